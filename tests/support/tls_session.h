#pragma once
// A client's side of TLS on a connected, blocking socket.  Certificates are not verified: what a test wants
// to know of the server's it asks for.
#include <openssl/ssl.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gathering::test {

struct TlsOptions {
  int version = 0;                          // TLS1_2_VERSION and so on; 0: whatever both like
  std::vector<std::string> protocols = {};  // of ALPN
  SSL_SESSION* resume = nullptr;            // of an earlier connection
};

class TlsSession {
 public:
  // Shakes hands; throws std::runtime_error when that fails.  The socket stays the caller's.
  explicit TlsSession(int descriptor, const TlsOptions& options = {});

  bool Send(std::string_view bytes);

  // As recv(2), once something is there; 0 after the server's goodbye, negative when it went without one.
  ssize_t Receive(char* into, std::size_t size);
  [[nodiscard]] bool HasPending() const;  // that need no more of the socket

  // So many messages that only change keys, as they go over the wire.  Nothing can be sent by this
  // afterwards.
  [[nodiscard]] std::string KeyUpdates(int count);

  [[nodiscard]] SSL* native() const { return ssl_.get(); }
  [[nodiscard]] std::string version() const;   // "TLSv1.3"
  [[nodiscard]] std::string protocol() const;  // chosen by ALPN; empty: none
  [[nodiscard]] std::string fingerprint()
      const;  // of the server's certificate, SHA-256 in lower-case hexadecimal

 private:
  struct Free {
    void operator()(SSL_CTX* context) const;
    void operator()(SSL* ssl) const;
  };

  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
};

// The first flight of such a client, as it goes over the wire.
[[nodiscard]] std::string ClientHello();

}  // namespace gathering::test
