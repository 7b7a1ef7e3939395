#include "core/limits/redis_link.h"

#include <arpa/inet.h>
#include <hiredis/read.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"

namespace gathering::limits {
namespace {

constexpr std::chrono::seconds kRetryAfter{1};
constexpr std::size_t kChunkBytes = 16'384;
constexpr std::size_t kAddressesMax = 8;

std::string ErrnoText(int error) {
  return std::generic_category().message(error);
}

std::string TlsErrorText() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  if (error == 0) return "TLS failed";
  std::array<char, 256> text{};
  ERR_error_string_n(error, text.data(), text.size());
  return text.data();
}

bool IsNumeric(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::vector<RedisAddress> Ask(const RedisUrl& url, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found);
  if (error != 0)
    throw Unavailable("Redis cannot be found", kRetryAfter,
                      fmt::format("{}: {}", url.host, gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{found, freeaddrinfo};
  std::vector<RedisAddress> addresses;
  for (const addrinfo* at = found; at != nullptr && addresses.size() < kAddressesMax; at = at->ai_next) {
    RedisAddress address;
    address.size = at->ai_addrlen;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    addresses.push_back(address);
  }
  return addresses;
}

}  // namespace

// --- endpoint ------------------------------------------------------------------------------------

struct RedisEndpoint::Tls {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
};

RedisEndpoint::RedisEndpoint(RedisUrl url) : url_(std::move(url)) {
  if (!url_.tls) return;
  tls_ = std::make_unique<Tls>();
  SSL_CTX* const context = tls_->context.get();
  const auto require = [](bool done, std::string_view what) {
    if (!done) throw Error{Code::kInvalid, fmt::format("{} cannot be used for Redis", what), TlsErrorText()};
  };
  require(context != nullptr, "TLS");
  require(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1, "TLS 1.2");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (url_.ca_file.empty()) {
    require(SSL_CTX_set_default_verify_paths(context) == 1, "the system's certificates");
  } else {
    require(SSL_CTX_load_verify_locations(context, url_.ca_file.c_str(), nullptr) == 1,
            "the file ssl_ca_certs");
  }
  if (!url_.certificate_file.empty())
    require(SSL_CTX_use_certificate_chain_file(context, url_.certificate_file.c_str()) == 1,
            "the file ssl_certfile");
  if (!url_.key_file.empty())
    require(SSL_CTX_use_PrivateKey_file(context, url_.key_file.c_str(), SSL_FILETYPE_PEM) == 1,
            "the file ssl_keyfile");
}

RedisEndpoint::~RedisEndpoint() = default;

std::vector<RedisAddress> RedisEndpoint::Known() const {
  if (url_.socket.empty())
    return IsNumeric(url_.host) ? Ask(url_, AI_NUMERICHOST) : std::vector<RedisAddress>{};
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  url_.socket.copy(local.sun_path, sizeof local.sun_path - 1);
  RedisAddress address;
  address.size = sizeof local;
  std::memcpy(&address.storage, &local, sizeof local);
  return {address};
}

std::vector<RedisAddress> RedisEndpoint::Resolve() const {
  std::vector<RedisAddress> known = Known();
  return known.empty() ? Ask(url_, 0) : known;
}

// --- what the libraries keep for a link ----------------------------------------------------------

namespace {

// hiredis tells what it reads; it goes straight into the link's one reply.
RedisReply& ReplyOf(const redisReadTask* task) {
  return *static_cast<RedisReply*>(task->privdata);
}

void* OnText(const redisReadTask* task, char* text, std::size_t size) {
  RedisReply& reply = ReplyOf(task);
  if (task->parent != nullptr) return &reply;
  reply.kind = task->type == REDIS_REPLY_ERROR ? RedisReply::Kind::kError : RedisReply::Kind::kText;
  reply.text.assign(text, size);
  return &reply;
}

template <class Count>
void* OnList(const redisReadTask* task, Count /*count*/) {
  RedisReply& reply = ReplyOf(task);
  if (task->parent == nullptr) reply.kind = RedisReply::Kind::kList;
  return &reply;
}

void* OnInteger(const redisReadTask* task, long long value) {
  RedisReply& reply = ReplyOf(task);
  if (task->parent == nullptr) reply.kind = RedisReply::Kind::kInteger;
  if (reply.size < RedisReply::kIntegersMax) reply.integers[reply.size++] = value;
  return &reply;
}

void* OnNil(const redisReadTask* task) {
  return task->privdata;
}

redisReplyObjectFunctions& ReaderFunctions() {
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions made{};
    made.createString = OnText;
    made.createArray = OnList;
    made.createInteger = OnInteger;
    made.createNil = OnNil;
    made.freeObject = [](void*) {};
    return made;
  }();
  return functions;
}

}  // namespace

struct RedisLink::Engine {
  std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader{
      redisReaderCreateWithFunctions(&ReaderFunctions()), redisReaderFree};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, SSL_free};
  BIO* in = nullptr;   // ciphertext from the server; owned by ssl
  BIO* out = nullptr;  // and to it
};

// --- connecting ----------------------------------------------------------------------------------

RedisLink::RedisLink(const RedisEndpoint& endpoint, const RedisAddress& address)
    : endpoint_(endpoint), engine_(std::make_unique<Engine>()) {
  if (engine_->reader == nullptr) throw std::bad_alloc{};
  engine_->reader->privdata = &reply_;
  if (endpoint_.tls_) {
    engine_->ssl.reset(SSL_new(endpoint_.tls_->context.get()));
    engine_->in = BIO_new(BIO_s_mem());
    engine_->out = BIO_new(BIO_s_mem());
    SSL* const ssl = engine_->ssl.get();
    if (ssl == nullptr || engine_->in == nullptr || engine_->out == nullptr) throw std::bad_alloc{};
    SSL_set_bio(ssl, engine_->in, engine_->out);
    SSL_set_connect_state(ssl);
    const std::string& host = endpoint_.url_.host;
    if (IsNumeric(host)) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
    } else {
      SSL_set_tlsext_host_name(ssl, host.c_str());
      SSL_set1_host(ssl, host.c_str());
    }
  }
  Connect(address);
}

RedisLink::~RedisLink() = default;

void RedisLink::Connect(const RedisAddress& address) {
  fd_ = Fd{socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd_.valid()) {
    Lose(ErrnoText(errno));
    return;
  }
  if (address.storage.ss_family != AF_UNIX) {
    const int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  const void* const name = &address.storage;
  if (connect(fd_.get(), static_cast<const sockaddr*>(name), address.size) == 0) {
    connected_ = true;
    Greet();
  } else if (errno != EINPROGRESS) {
    Lose(ErrnoText(errno));
  }
}

bool RedisLink::FinishConnect() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    Lose(ErrnoText(error));
    return false;
  }
  // The descriptor may have been ready for something else, long ago.
  sockaddr_storage peer{};
  size = sizeof peer;
  void* const name = &peer;
  if (getpeername(fd_.get(), static_cast<sockaddr*>(name), &size) != 0) return false;
  connected_ = true;
  Greet();
  return state_ != State::kLost;
}

void RedisLink::Greet() {
  const RedisUrl& url = endpoint_.url_;
  if (!url.password.empty()) {
    url.user.empty() ? Append({"AUTH", url.password}) : Append({"AUTH", url.user, url.password});
    ++greetings_;
  }
  if (url.database != 0) {
    Append({"SELECT", std::to_string(url.database)});
    ++greetings_;
  }
  // Through TLS nothing is known of the server before the handshake, so there is always a greeting.
  if (url.tls && greetings_ == 0) {
    Append({"PING"});
    ++greetings_;
  }
  greeted_ = greetings_ == 0;
  if (greeted_) state_ = State::kReady;
  Flush();
}

void RedisLink::CheckGreeting() {
  while (greetings_ > 0) {
    const RedisReply* const reply = Next();
    if (reply == nullptr) return;
    if (reply->kind == RedisReply::Kind::kError) {
      // More telling than that it then closed the connection.
      cause_.clear();
      state_ = State::kConnecting;
      Lose("Redis refused us: " + reply->text);
      return;
    }
    --greetings_;
  }
  greeted_ = true;
  if (state_ == State::kConnecting) state_ = State::kReady;
}

// --- sending -------------------------------------------------------------------------------------

void RedisLink::Append(std::initializer_list<std::string_view> words) {
  Begin(words.size());
  for (const std::string_view word : words) Word(word);
}

void RedisLink::Begin(std::size_t count) {
  fmt::format_to(std::back_inserter(plain_), "*{}\r\n", count);
}

void RedisLink::Word(std::string_view word) {
  std::array<char, 24> size;
  const auto [end, error] = std::to_chars(size.data(), size.data() + size.size(), word.size());
  plain_ += '$';
  plain_.append(size.data(), end);
  plain_ += "\r\n";
  plain_ += word;
  plain_ += "\r\n";
}

void RedisLink::Flush() {
  if (state_ == State::kLost || !connected_) return;
  if (engine_->ssl) {
    Encrypt();
  } else if (wire_.empty()) {
    wire_.swap(plain_);
  } else {
    wire_ += plain_;
    plain_.clear();
  }
  std::size_t sent = 0;
  while (sent < wire_.size()) {
    const ssize_t count = send(fd_.get(), wire_.data() + sent, wire_.size() - sent, MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        Lose(ErrnoText(errno));
        return;
      }
      break;
    }
    sent += static_cast<std::size_t>(count);
  }
  wire_.erase(0, sent);
}

// What may be encrypted yet goes to `wire_`, with whatever the handshake has to say.
void RedisLink::Encrypt() {
  SSL* const ssl = engine_->ssl.get();
  ERR_clear_error();
  if (SSL_is_init_finished(ssl) == 0) {
    const int done = SSL_do_handshake(ssl);
    if (done != 1 && SSL_get_error(ssl, done) != SSL_ERROR_WANT_READ) {
      Lose(TlsErrorText());
      return;
    }
  }
  if (SSL_is_init_finished(ssl) != 0 && !plain_.empty()) {
    std::size_t taken = 0;
    if (SSL_write_ex(ssl, plain_.data(), plain_.size(), &taken) != 1) {
      Lose(TlsErrorText());
      return;
    }
    plain_.erase(0, taken);
  }
  std::array<char, kChunkBytes> chunk;
  for (int size = 0; (size = BIO_read(engine_->out, chunk.data(), static_cast<int>(chunk.size()))) > 0;)
    wire_.append(chunk.data(), static_cast<std::size_t>(size));
}

// --- receiving -----------------------------------------------------------------------------------

void RedisLink::Advance() {
  if (state_ == State::kLost) return;
  if (!connected_ && !FinishConnect()) return;
  Receive();
  if (!greeted_) CheckGreeting();
  if (state_ != State::kLost) Flush();
}

void RedisLink::Receive() {
  std::array<char, kChunkBytes> chunk;
  while (state_ != State::kLost) {
    const ssize_t count = recv(fd_.get(), chunk.data(), chunk.size(), 0);
    if (count == 0) {
      Lose("the server closed the connection");
    } else if (count < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) Lose(ErrnoText(errno));
      return;
    } else if (engine_->ssl) {
      BIO_write(engine_->in, chunk.data(), static_cast<int>(count));
      Decrypt();
    } else {
      Feed(chunk.data(), static_cast<std::size_t>(count));
    }
  }
}

void RedisLink::Decrypt() {
  SSL* const ssl = engine_->ssl.get();
  ERR_clear_error();
  std::array<char, kChunkBytes> chunk;
  while (state_ != State::kLost) {
    std::size_t size = 0;
    const int done = SSL_read_ex(ssl, chunk.data(), chunk.size(), &size);
    if (done == 1) {
      Feed(chunk.data(), size);
      continue;
    }
    switch (SSL_get_error(ssl, done)) {
      case SSL_ERROR_WANT_READ:
        return;
      case SSL_ERROR_ZERO_RETURN:
        Lose("the server closed the connection");
        return;
      default:
        Lose(TlsErrorText());
        return;
    }
  }
}

void RedisLink::Feed(const char* bytes, std::size_t size) {
  redisReader* const reader = engine_->reader.get();
  if (reader->len - reader->pos + size > kReplyBytesMax) {
    Lose("the server's reply is too long");
  } else if (redisReaderFeed(reader, bytes, size) != REDIS_OK) {
    Lose(reader->errstr);
  }
}

const RedisReply* RedisLink::Next() {
  redisReader* const reader = engine_->reader.get();
  if (reader->err != 0) return nullptr;
  if (reader->ridx < 0) {
    reply_.kind = RedisReply::Kind::kOther;
    reply_.size = 0;
  }
  void* whole = nullptr;
  if (redisReaderGetReply(reader, &whole) != REDIS_OK) {
    Lose(fmt::format("the server does not speak Redis: {}", reader->errstr));
    return nullptr;
  }
  return whole == nullptr ? nullptr : &reply_;
}

void RedisLink::Lose(std::string cause) {
  if (state_ == State::kLost) return;
  state_ = State::kLost;
  cause_ = std::move(cause);
}

}  // namespace gathering::limits
