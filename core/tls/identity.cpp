#include "core/tls/identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"

namespace gathering::tls {
namespace {

template <auto free>
struct FreeWith {
  void operator()(auto* owned) const { free(owned); }
};
using Bio = std::unique_ptr<BIO, FreeWith<&BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, FreeWith<&EVP_PKEY_free>>;

constexpr unsigned char kProtocols[] = "\x08http/1.1";  // as ALPN writes a list
constexpr unsigned int kProtocolsBytes = sizeof kProtocols - 1;

[[noreturn]] void Refuse(const std::string& file, std::string_view what) {
  ERR_clear_error();
  throw Error{Code::kRejected, fmt::format("{}: {}", file, what)};
}

int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                   unsigned int offered_bytes, void*) {
  unsigned char* found = nullptr;
  const int outcome =
      SSL_select_next_proto(&found, size, kProtocols, kProtocolsBytes, offered, offered_bytes);
  *chosen = found;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Nobody is asked: the daemon has no terminal.
int HasNoPassphrase(char*, int, int, void* asked) {
  if (asked != nullptr) *static_cast<bool*>(asked) = true;
  return -1;
}

// The directory and other things that open but cannot be read are told of as they are.
Bio OpenFile(const std::string& file) {
  errno = 0;
  Bio bio{BIO_new_file(file.c_str(), "r")};
  if (!bio) Refuse(file, errno != 0 ? std::strerror(errno) : "it cannot be read");
  return bio;
}

Key ReadKey(const std::string& file) {
  const Bio bio = OpenFile(file);
  bool asked = false;
  Key key{PEM_read_bio_PrivateKey(bio.get(), nullptr, &HasNoPassphrase, &asked)};
  if (asked) Refuse(file, "the key has a passphrase; give one without, in a file only the daemon can read");
  if (!key) Refuse(file, "it holds no private key in PEM");
  return key;
}

void ReadCertificate(SSL_CTX& context, const std::string& file) {
  static_cast<void>(OpenFile(file));
  if (SSL_CTX_use_certificate_chain_file(&context, file.c_str()) == 1) return;
  const unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) == ERR_LIB_SSL)  // it was read, and is not liked: "ee key too small"
    Refuse(file, fmt::format("the certificate cannot be used: {}", ERR_reason_error_string(error)));
  Refuse(file, "it holds no certificate in PEM, or its chain is broken");
}

std::string NameText(const X509_NAME* name) {
  const Bio bio{BIO_new(BIO_s_mem())};
  if (!bio || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string{};
}

Timestamp Moment(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {std::int64_t{::timegm(&parts)} * 1'000'000};
}

Certificate Describe(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  X509_digest(&certificate, EVP_sha256(), digest.data(), &size);
  return {.subject = NameText(X509_get_subject_name(&certificate)),
          .issuer = NameText(X509_get_issuer_name(&certificate)),
          .fingerprint = fmt::format("{:02x}", fmt::join(digest.data(), digest.data() + size, "")),
          .not_before = Moment(X509_get0_notBefore(&certificate)),
          .not_after = Moment(X509_get0_notAfter(&certificate))};
}

void SetRules(SSL_CTX& context) {
  SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
  SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(&context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_clear_mode(&context,
                     SSL_MODE_AUTO_RETRY);  // or a client's records without data would hold the thread
  SSL_CTX_set_alpn_select_cb(&context, &ChooseProtocol, nullptr);
  SSL_CTX_set_default_passwd_cb(&context, &HasNoPassphrase);
}

}  // namespace

void Identity::FreeContext::operator()(SSL_CTX* context) const {
  SSL_CTX_free(context);
}

std::shared_ptr<const Identity> Identity::Load(const Files& files) {
  ERR_clear_error();
  Context context{SSL_CTX_new(TLS_server_method())};
  if (!context) throw Error{Code::kInternal, "TLS cannot be used", TakeErrors()};
  SetRules(*context);
  ReadCertificate(*context, files.certificate);
  const std::string& key_file = files.key.empty() ? files.certificate : files.key;
  const Key key = ReadKey(key_file);
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 || SSL_CTX_check_private_key(context.get()) != 1)
    Refuse(key_file, fmt::format("the key is not that of the certificate in {}", files.certificate));
  const X509* certificate = SSL_CTX_get0_certificate(context.get());
  Certificate facts = Describe(*certificate);
  return std::shared_ptr<const Identity>{new Identity{std::move(context), std::move(facts)}};
}

std::string TakeErrors() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  if (error == 0) return "unknown";
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : fmt::format("error {:x}", error);
}

}  // namespace gathering::tls
