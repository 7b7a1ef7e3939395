#include "daemon/http/wire.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "core/base/log.h"
#include "core/tls/identity.h"

namespace gathering::http {
namespace {

// Interrupted calls are made again.
template <class Call>
ssize_t Uninterrupted(Call&& call) {
  for (;;) {
    const ssize_t count = call();
    if (count >= 0 || errno != EINTR) return count;
  }
}

int AsInt(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

bool WouldBlock(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

void Wire::FreeSsl::operator()(SSL* ssl) const {
  SSL_free(ssl);
}

// The library's own socket BIO writes in a way that raises SIGPIPE, and does not tell whether it emptied the
// socket.
const BIO_METHOD* Wire::SocketMethod() {
  static const std::unique_ptr<BIO_METHOD, decltype(&BIO_meth_free)> method = [] {
    std::unique_ptr<BIO_METHOD, decltype(&BIO_meth_free)> made{
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection"), &BIO_meth_free};
    if (!made || BIO_meth_set_read(made.get(), &OnBioRead) != 1 ||
        BIO_meth_set_write(made.get(), &OnBioWrite) != 1 || BIO_meth_set_ctrl(made.get(), &OnBioControl) != 1)
      made.reset();
    return made;
  }();
  return method.get();
}

bool Wire::Secure(const tls::Identity& identity) {
  ssl_.reset(SSL_new(identity.context()));
  const BIO_METHOD* method = SocketMethod();
  BIO* bio = ssl_ && method != nullptr ? BIO_new(method) : nullptr;
  if (bio == nullptr) return false;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_read_ahead(ssl_.get(), 1);  // a record and what follows it in one call
  SSL_set_accept_state(ssl_.get());
  return true;
}

int Wire::OnBioRead(BIO* bio, char* into, int size) {
  auto& self = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t count =
      Uninterrupted([&] { return ::recv(self.descriptor(), into, static_cast<std::size_t>(size), 0); });
  self.emptied_ = count < size;
  self.blocked_ = count < 0 && WouldBlock(errno);
  if (self.blocked_) BIO_set_retry_read(bio);
  return static_cast<int>(count);
}

int Wire::OnBioWrite(BIO* bio, const char* bytes, int size) {
  auto& self = *static_cast<Wire*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t count = Uninterrupted(
      [&] { return ::send(self.descriptor(), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL); });
  self.blocked_ = count < 0 && WouldBlock(errno);
  if (self.blocked_) BIO_set_retry_write(bio);
  return static_cast<int>(count);
}

long Wire::OnBioControl(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

ssize_t Wire::Read(char* into, std::size_t size) {
  if (!ssl_) {
    const ssize_t count = Uninterrupted([&] { return ::recv(descriptor(), into, size, 0); });
    emptied_ = count < static_cast<ssize_t>(size);
    return count;
  }
  ERR_clear_error();
  blocked_ = false;
  const ssize_t count = Outcome(SSL_read(ssl_.get(), into, AsInt(size)));
  if (count < 0 && errno == EAGAIN && !blocked_) errno = EINTR;  // what was here held nothing for us
  return count;
}

bool Wire::Emptied() const {
  return emptied_ && (!ssl_ || SSL_has_pending(ssl_.get()) == 0);
}

ssize_t Wire::Write(std::string_view first, std::string_view then) {
  if (ssl_) {
    const std::string_view bytes = first.empty() ? then : first;
    ERR_clear_error();
    return Outcome(SSL_write(ssl_.get(), bytes.data(), AsInt(bytes.size())));
  }
  if (then.empty())
    return Uninterrupted([&] { return ::send(descriptor(), first.data(), first.size(), MSG_NOSIGNAL); });
  // The kernel only reads, but its type does not say so.
  iovec parts[2] = {{const_cast<char*>(first.data()), first.size()},
                    {const_cast<char*>(then.data()), then.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  return Uninterrupted([&] { return ::sendmsg(descriptor(), &message, MSG_NOSIGNAL); });
}

// What SSL_read or SSL_write says, as a socket would.
ssize_t Wire::Outcome(int result) {
  if (!greeted_ && SSL_is_init_finished(ssl_.get()) == 1) {
    greeted_ = true;
    handshakes_.done.Add();
  }
  if (result > 0) return result;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      errno = EAGAIN;
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_SSL:
      if (!std::exchange(ended_, true) && !greeted_) handshakes_.failed.Add();
      log::Debug("TLS failed", {{"why", tls::TakeErrors()}, {"handshake", !greeted_}});
      errno = EPROTO;
      return -1;
    default:
      ended_ = true;
      errno = ECONNRESET;  // whatever is there may be of another call, and EINTR would be tried again
      return -1;
  }
}

void Wire::SayGoodbye() {
  if (!ssl_ || !greeted_ || std::exchange(ended_, true)) return;
  ERR_clear_error();
  static_cast<void>(SSL_shutdown(ssl_.get()));  // if it does not fit, the end of the socket says it
  ERR_clear_error();
}

void Wire::FinishWriting() {
  SayGoodbye();
  ::shutdown(descriptor(), SHUT_WR);
}

ssize_t Wire::Discard(char* into, std::size_t size) {
  return Uninterrupted([&] { return ::recv(descriptor(), into, size, 0); });
}

void Wire::Close() {
  SayGoodbye();
  socket_.Reset();
}

}  // namespace gathering::http
