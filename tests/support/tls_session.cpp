#include "tests/support/tls_session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <stdexcept>

#include <fmt/format.h>

namespace gathering::test {

void TlsSession::Free::operator()(SSL_CTX* context) const {
  SSL_CTX_free(context);
}

void TlsSession::Free::operator()(SSL* ssl) const {
  SSL_free(ssl);
}

TlsSession::TlsSession(int descriptor, const TlsOptions& options)
    : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_.get())) {
  if (options.version != 0) {
    SSL_set_security_level(ssl_.get(), 0);  // or old versions would not even be offered
    SSL_set_min_proto_version(ssl_.get(), options.version);
    SSL_set_max_proto_version(ssl_.get(), options.version);
  }
  std::string protocols;
  for (const std::string& one : options.protocols) protocols += static_cast<char>(one.size()) + one;
  SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                      static_cast<unsigned>(protocols.size()));
  if (options.resume != nullptr) SSL_set_session(ssl_.get(), options.resume);
  SSL_set_fd(ssl_.get(), descriptor);
  ERR_clear_error();
  if (SSL_connect(ssl_.get()) != 1) {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    throw std::runtime_error{fmt::format("no TLS: {}", reason != nullptr ? reason : "the server went away")};
  }
}

bool TlsSession::Send(std::string_view bytes) {
  return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
         static_cast<int>(bytes.size());
}

ssize_t TlsSession::Receive(char* into, std::size_t size) {
  const int count = SSL_read(ssl_.get(), into, static_cast<int>(size));
  if (count > 0) return count;
  return SSL_get_error(ssl_.get(), count) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

bool TlsSession::HasPending() const {
  return SSL_pending(ssl_.get()) > 0;
}

std::string TlsSession::KeyUpdates(int count) {
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set0_wbio(ssl_.get(), out);
  for (int i = 0; i < count; ++i) {
    SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(ssl_.get());
  }
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  return std::string(bytes, static_cast<std::size_t>(size));
}

std::string TlsSession::version() const {
  return SSL_get_version(ssl_.get());
}

std::string TlsSession::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return std::string(reinterpret_cast<const char*>(name), size);
}

std::string TlsSession::fingerprint() const {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate{SSL_get1_peer_certificate(ssl_.get()),
                                                                &X509_free};
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!certificate || X509_digest(certificate.get(), EVP_sha256(), digest, &size) != 1) return {};
  return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
}

std::string ClientHello() {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free};
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl{SSL_new(context.get()), &SSL_free};
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_connect(ssl.get());  // waits for an answer that does not come
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  return std::string(bytes, static_cast<std::size_t>(size));
}

}  // namespace gathering::test
