#pragma once
// What a server shows and proves of itself over TLS: a certificate with its chain, and the key to it.
//
// Connections made with it speak TLS 1.2 or 1.3 with the ciphers and the security level of the system
// (openssl.cnf), and of ALPN's protocols (RFC 7301) only http/1.1: a client that offers others alone is
// refused. There is no renegotiation and no compression, and nothing of a session stays here: tickets are the
// client's to keep.  What is read from the files is never read again; who wants them anew loads another
// identity.
#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/base/timestamp.h"
#include "core/tls/files.h"

namespace gathering::tls {

struct Certificate {
  std::string subject;      // "CN=gathering.example,O=Example", RFC 2253
  std::string issuer;       // likewise
  std::string fingerprint;  // SHA-256, lower-case hexadecimal
  Timestamp not_before;
  Timestamp not_after;
};

// From then on somebody has to be told that it ends.
inline constexpr std::int64_t kRenewalMicros = std::int64_t{14} * 86'400 * 1'000'000;

// Immutable; safe from any thread.
class Identity {
 public:
  // Reads both files.  Throws Error kRejected with one line that names the file and says what to do: it
  // cannot be read, it holds no certificate or key, the key has a passphrase, it is another certificate's.
  [[nodiscard]] static std::shared_ptr<const Identity> Load(const Files& files);

  [[nodiscard]] const Certificate& certificate() const { return certificate_; }

  // For SSL_new, which keeps what it needs of this alive.
  [[nodiscard]] SSL_CTX* context() const { return context_.get(); }

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const;
  };
  using Context = std::unique_ptr<SSL_CTX, FreeContext>;

  Identity(Context context, Certificate certificate)
      : context_(std::move(context)), certificate_(std::move(certificate)) {}

  const Context context_;
  const Certificate certificate_;
};

// Why the library's last call on this thread failed, as one line for a log; its queue of errors is empty
// then.
[[nodiscard]] std::string TakeErrors();

}  // namespace gathering::tls
