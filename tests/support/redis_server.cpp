#include "tests/support/redis_server.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <list>
#include <stdexcept>
#include <utility>

#include "core/base/clock.h"
#include "core/base/error.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kProgram = "/usr/bin/redis-server";
constexpr auto kPatience = 10s;
constexpr int kPollMs = 2;

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) {
  const void* const plain = &address;
  return static_cast<const sockaddr*>(plain);
}

}  // namespace

RedisServer::RedisServer(std::vector<std::string> arguments)
    : arguments_(std::move(arguments)), null_(open("/dev/null", O_RDWR | O_CLOEXEC)) {
  Start();
}

RedisServer::~RedisServer() = default;

void RedisServer::Start() {
  ChildOptions options;
  options.arguments = {
      kProgram, "--port",    "0",         "--unixsocket",      socket(), "--save", "", "--appendonly", "no",
      "--dir",  directory(), "--logfile", directory() + "/log"};
  options.arguments.insert(options.arguments.end(), arguments_.begin(), arguments_.end());
  options.environment = {"PATH=/usr/bin:/bin"};
  options.output = null_.get();
  if (access(kProgram, X_OK) != 0)
    throw std::runtime_error{"redis-server is missing: run examples/install-packages.sh --with-tests"};
  child_ = std::make_unique<Child>(options);
  const SystemClock clock;
  const auto give_up_at = clock.Now() + kPatience;
  while (true) {
    try {
      const std::string answer = Command({"PING"});
      if (answer == "PONG" || answer.starts_with("-NOAUTH")) return;
    } catch (const std::runtime_error&) {
      if (clock.Now() > give_up_at) throw;
    }
    if (child_->Wait(5ms)) throw std::runtime_error{"redis-server ended: " + child_->HowEnded()};
  }
}

void RedisServer::Kill() {
  child_->Signal(SIGKILL);
  child_->Wait(-1ms);
  child_.reset();
}

void RedisServer::Stop() {
  child_->Signal(SIGSTOP);
}

void RedisServer::Continue() {
  child_->Signal(SIGCONT);
}

std::string RedisServer::Command(const std::vector<std::string>& words) const {
  const std::unique_ptr<redisContext, decltype(&redisFree)> context{
      redisConnectUnixWithTimeout(socket().c_str(), {.tv_sec = 10, .tv_usec = 0}), redisFree};
  if (!context || context->err != 0) throw std::runtime_error{"no connection to redis-server"};
  redisSetTimeout(context.get(), {.tv_sec = 10, .tv_usec = 0});
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  const std::unique_ptr<redisReply, decltype(&freeReplyObject)> reply{
      static_cast<redisReply*>(
          redisCommandArgv(context.get(), static_cast<int>(words.size()), texts.data(), sizes.data())),
      freeReplyObject};
  if (!reply) throw std::runtime_error{std::string{"no answer of redis-server: "} + context->errstr};
  std::string text;
  if (reply->str != nullptr) text.assign(reply->str, static_cast<std::size_t>(reply->len));
  if (reply->type == REDIS_REPLY_ERROR) return "-" + text;
  if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
  for (std::size_t i = 0; i < reply->elements; ++i) {
    const redisReply& element = *reply->element[i];
    if (!text.empty()) text += ' ';
    text += element.str != nullptr ? std::string{element.str} : std::to_string(element.integer);
  }
  return text;
}

std::uint16_t FreePort() {
  const Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  void* const plain = &address;
  socklen_t size = sizeof address;
  if (::bind(socket.get(), static_cast<sockaddr*>(plain), size) != 0 ||
      ::getsockname(socket.get(), static_cast<sockaddr*>(plain), &size) != 0)
    throw std::runtime_error{"no free port"};
  return ntohs(address.sin_port);
}

// --- the proxy -----------------------------------------------------------------------------------

namespace {

struct Delayed {
  Clock::Steady due;
  std::string bytes;
};

struct Passage {
  Fd client;
  Fd server;
  std::deque<Delayed> replies;
};

// Appends what has arrived; false when the other side is gone.
bool Read(const Fd& from, std::string& to) {
  std::array<char, 65'536> chunk;
  while (true) {
    const ssize_t size = recv(from.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    to.append(chunk.data(), static_cast<std::size_t>(size));
  }
}

// Blocks: what passes here is small.
bool Write(const Fd& to, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t size = send(to.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) return false;
    sent += static_cast<std::size_t>(size);
  }
  return true;
}

bool Pass(Passage& passage, Clock::Steady now, std::chrono::milliseconds delay) {
  std::string asked;
  std::string said;
  if (!Read(passage.client, asked) || !Write(passage.server, asked) || !Read(passage.server, said))
    return false;
  if (!said.empty()) passage.replies.push_back({now + delay, std::move(said)});
  while (!passage.replies.empty() && passage.replies.front().due <= now) {
    if (!Write(passage.client, passage.replies.front().bytes)) return false;
    passage.replies.pop_front();
  }
  return true;
}

}  // namespace

SlowProxy::SlowProxy(std::string target)
    : target_(std::move(target)),
      socket_(directory_.path() + "/slow.sock"),
      listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const sockaddr_un address = AddressOf(socket_);
  if (bind(listener_.get(), Generic(address), sizeof address) != 0 || listen(listener_.get(), 64) != 0)
    throw std::runtime_error{"no socket for the slow proxy"};
  thread_ = std::jthread{[this](const std::stop_token& stop) { Run(stop); }};
}

SlowProxy::~SlowProxy() = default;

void SlowProxy::Run(const std::stop_token& stop) {
  const SystemClock clock;
  std::list<Passage> passages;
  while (!stop.stop_requested()) {
    std::vector<pollfd> watched{{.fd = listener_.get(), .events = POLLIN, .revents = 0}};
    for (const Passage& passage : passages) {
      watched.push_back({.fd = passage.client.get(), .events = POLLIN, .revents = 0});
      watched.push_back({.fd = passage.server.get(), .events = POLLIN, .revents = 0});
    }
    poll(watched.data(), watched.size(), kPollMs);
    Fd client{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (client.valid()) {
      Fd server{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      const sockaddr_un address = AddressOf(target_);
      if (connect(server.get(), Generic(address), sizeof address) == 0)
        passages.push_back({.client = std::move(client), .server = std::move(server), .replies = {}});
    }
    const std::chrono::milliseconds delay{delay_ms_.load()};
    for (auto passage = passages.begin(); passage != passages.end();)
      passage = Pass(*passage, clock.Now(), delay) ? std::next(passage) : passages.erase(passage);
  }
}

}  // namespace gathering::test
