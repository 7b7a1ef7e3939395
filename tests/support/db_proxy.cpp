#include "tests/support/db_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/fd.h"

namespace gathering::test {
namespace {

constexpr std::size_t kConnectionsMax = 256;
constexpr std::size_t kMessageBytesMax = std::size_t{16} * 1024 * 1024;
constexpr std::size_t kStartupBytesMax = 10'000;    // the server's own bound
constexpr std::size_t kBufferBytesMax = 64 * 1024;  // of one direction; full, its source is not read
constexpr std::size_t kReadBytes = 64 * 1024;

// What the first packets of a connection say in place of a version.
constexpr std::uint32_t kCancelRequest = 80'877'102;
constexpr std::uint32_t kTlsRequest = 80'877'103;
constexpr std::uint32_t kGssRequest = 80'877'104;

std::runtime_error Failed(const std::string& what) {
  return std::runtime_error(what + ": " + std::strerror(errno));
}

std::uint32_t NetworkNumber(std::string_view bytes) {
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return ntohl(number);
}

struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Target ReadTarget(const std::string& text) {
  Target target;
  if (text.starts_with('/')) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (text.size() >= sizeof to.sun_path) throw std::runtime_error("too long for a unix socket: " + text);
    text.copy(to.sun_path, text.size());
    std::memcpy(&target.address, &to, sizeof to);
    target.size = sizeof to;
    return target;
  }
  const std::size_t colon = std::min(text.rfind(':'), text.size());
  std::uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(text.data() + std::min(colon + 1, text.size()), text.data() + text.size(), port);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  const bool read = error == std::errc{} && end == text.data() + text.size() &&
                    ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &to.sin_addr) == 1;
  if (!read) throw std::runtime_error("neither /path nor address:port: " + text);
  std::memcpy(&target.address, &to, sizeof to);
  target.size = sizeof to;
  return target;
}

void SendAtOnce(const Fd& socket) {
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Invalid when nobody is there; a connection still being made takes and gives nothing until it is.
Fd Connect(const Target& target) {
  Fd socket{::socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
  if (::connect(socket.get(), address, target.size) != 0 && errno != EINPROGRESS) return Fd{};
  if (target.address.ss_family == AF_INET) SendAtOnce(socket);
  return socket;
}

// Appends what has arrived.  False: the other side is gone.
bool Receive(const Fd& socket, std::string& to) {
  const std::size_t before = to.size();
  to.resize(before + kReadBytes);
  const ssize_t size = ::recv(socket.get(), to.data() + before, kReadBytes, 0);
  const bool later = size < 0 && (errno == EAGAIN || errno == EINTR);
  to.resize(before + (size > 0 ? static_cast<std::size_t>(size) : 0));
  return size > 0 || later;
}

// Sends as much as goes now, and drops it from `bytes`.  False: the other side is gone.
bool Send(const Fd& socket, std::string& bytes) {
  std::size_t sent = 0;
  bool alive = true;
  while (sent < bytes.size()) {
    const ssize_t size = ::send(socket.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      alive = errno == EAGAIN;
      break;
    }
    sent += static_cast<std::size_t>(size);
  }
  bytes.erase(0, sent);
  return alive;
}

// Finds the server's ReadyForQuery messages in what it sends, however that is cut in pieces.
class ReadyFinder {
 public:
  int Count(std::string_view bytes) {
    int found = 0;
    while (!bytes.empty()) {
      const std::size_t skipped = std::min(rest_, bytes.size());
      rest_ -= skipped;
      bytes.remove_prefix(skipped);
      const std::size_t taken = std::min(kHead - head_.size(), bytes.size());
      head_.append(bytes.substr(0, taken));
      bytes.remove_prefix(taken);
      if (head_.size() < kHead) continue;
      if (head_.front() == 'Z') ++found;
      rest_ = std::max<std::size_t>(NetworkNumber(std::string_view{head_}.substr(1)), 4) - 4;
      head_.clear();
    }
    return found;
  }

 private:
  static constexpr std::size_t kHead = 5;  // type and length
  std::string head_;
  std::size_t rest_ = 0;  // of the message whose head was read
};

enum class Phase : std::uint8_t { kStartup, kMessages, kCancel };

enum class Ending : std::uint8_t {
  kNone,
  kFlush,   // the client is gone; the server still gets what was passed
  kAnswer,  // the client goes when the server has everything, the server when it has answered
};

// One client and the server behind it.
struct Link {
  std::uint64_t number = 0;
  Fd client;
  Fd server;
  std::string from_client;  // messages not complete or not looked at yet
  std::string to_server;
  std::string to_client;
  Phase phase = Phase::kStartup;
  Ending ending = Ending::kNone;
  ReadyFinder ready;
  int ready_due = 0;        // ReadyForQuery messages that the server owes
  bool asks_ready = false;  // the last message passed brings one
};

// A query, a Sync and a function call bring a ReadyForQuery each.  (Not so a Sync while the server takes
// COPY data, which nothing here sends.)
bool AsksReady(char type) {
  return type == '\0' || type == 'Q' || type == 'S' || type == 'F';
}

// The size of the first message in `bytes`; 0 while its length has not arrived, none when it is nonsense.
std::optional<std::size_t> SizeOf(std::string_view bytes, Phase phase) {
  const std::size_t type = phase == Phase::kStartup ? 0 : 1;
  if (bytes.size() < type + 4) return 0;
  const std::size_t length = NetworkNumber(bytes.substr(type));
  const bool sound = phase == Phase::kStartup ? length >= 8 && length <= kStartupBytesMax
                                              : length >= 4 && length <= kMessageBytesMax;
  if (!sound) return std::nullopt;
  return type + length;
}

void CloseClient(Link& link) {
  link.client.Reset();
  link.from_client.clear();
  link.to_client.clear();
}

void Leave(Link& link) {
  CloseClient(link);
  link.ending = Ending::kFlush;
}

}  // namespace

class DbProxy::State {
 public:
  explicit State(const std::string& target) : target_(ReadTarget(target)) {
    listener_ = Fd{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.get(), any, size) != 0 || ::listen(listener_.get(), SOMAXCONN) != 0 ||
        ::getsockname(listener_.get(), any, &size) != 0) {
      throw Failed("cannot listen on loopback");
    }
    port_ = ntohs(address.sin_port);
    wake_ = Fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!wake_.valid()) throw Failed("eventfd");
    thread_ = std::jthread{[this](const std::stop_token& stop) { Run(stop); }};
  }
  ~State() {
    thread_.request_stop();
    Wake();
  }

  std::uint16_t port() const { return port_; }

  // Changes what the thread looks at, between two of its rounds.
  template <class F>
  void Change(F&& change) {
    {
      const std::scoped_lock lock{mutex_};
      change(*this);
    }
    Wake();
  }

  DbProxyStats Stats() const {
    return {.accepted = accepted_, .refused = refused_, .cuts = cuts_, .open = open_};
  }

  Hook hook;
  bool frozen = false;
  bool refusing = false;

 private:
  void Wake() { ::eventfd_write(wake_.get(), 1); }
  void Run(const std::stop_token& stop);
  std::vector<pollfd> Watched();
  void Accept();
  void Serve(Link& link, bool client_speaks, bool server_speaks);
  void Read(Link& link);
  void Startup(Link& link, std::string_view packet);
  void Judge(Link& link, const FrontendMessage& message, std::string_view bytes);
  void Flush(Link& link);

  const Target target_;
  Fd listener_;
  Fd wake_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;       // held through each round of the thread, not while it waits
  std::list<Link> links_;  // of the thread alone
  std::atomic<std::uint64_t> accepted_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::uint64_t> cuts_ = 0;
  std::atomic<std::uint32_t> open_ = 0;
  std::jthread thread_;  // the last member: it ends before the others
};

void DbProxy::State::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<pollfd> watched = Watched();
    ::poll(watched.data(), watched.size(), -1);
    const std::scoped_lock lock{mutex_};
    eventfd_t wakes = 0;
    ::eventfd_read(wake_.get(), &wakes);
    if (frozen || watched.size() == 1) continue;
    auto event = watched.begin() + 2;
    for (Link& link : links_) {
      const bool client_speaks = (event++->revents & ~POLLOUT) != 0;
      const bool server_speaks = (event++->revents & ~POLLOUT) != 0;
      Serve(link, client_speaks, server_speaks);
    }
    links_.remove_if([](const Link& link) { return !link.client.valid() && !link.server.valid(); });
    if (watched[1].revents != 0) Accept();
    open_ = static_cast<std::uint32_t>(links_.size());
  }
}

// The wake-up, the listener, then client and server of each link; only the first when frozen.  A side from
// which nothing is wanted is not watched: its hang-up would be told again and again.
std::vector<pollfd> DbProxy::State::Watched() {
  const std::scoped_lock lock{mutex_};
  std::vector<pollfd> watched = {{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  if (frozen) return watched;
  const auto watch = [&](const Fd& socket, bool reads, bool writes) {
    const int events = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0);
    watched.push_back(
        {.fd = events != 0 ? socket.get() : -1, .events = static_cast<short>(events), .revents = 0});
  };
  watch(listener_, links_.size() < kConnectionsMax, false);
  for (const Link& link : links_) {
    const bool listening = link.ending == Ending::kNone && link.server.valid();
    watch(link.client, listening && link.to_server.size() < kBufferBytesMax, !link.to_client.empty());
    watch(link.server, link.to_client.size() < kBufferBytesMax, !link.to_server.empty());
  }
  return watched;
}

void DbProxy::State::Accept() {
  Fd client{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (!client.valid()) return;
  if (refusing) {
    ++refused_;
    return;
  }
  SendAtOnce(client);
  const std::uint64_t number = ++accepted_;
  Fd server = Connect(target_);
  if (!server.valid()) return;
  Link& link = links_.emplace_back();
  link.number = number;
  link.client = std::move(client);
  link.server = std::move(server);
}

void DbProxy::State::Serve(Link& link, bool client_speaks, bool server_speaks) {
  if (server_speaks) {
    const std::size_t before = link.to_client.size();
    if (!Receive(link.server, link.to_client)) link.server.Reset();
    link.ready_due -= link.ready.Count(std::string_view{link.to_client}.substr(before));
  }
  if (client_speaks && link.ending == Ending::kNone && link.server.valid()) {
    if (Receive(link.client, link.from_client)) {
      Read(link);
    } else {
      Leave(link);
    }
  }
  Flush(link);
}

// Takes the complete messages off what the client has sent.
void DbProxy::State::Read(Link& link) {
  std::string_view rest = link.from_client;
  while (link.ending == Ending::kNone && link.phase != Phase::kCancel) {
    const auto size = SizeOf(rest, link.phase);
    if (!size) return Leave(link);
    if (*size == 0 || rest.size() < *size) break;
    const std::string_view bytes = rest.substr(0, *size);
    rest.remove_prefix(*size);
    if (link.phase == Phase::kStartup) {
      Startup(link, bytes);
    } else {
      Judge(link, {.type = bytes[0], .payload = bytes.substr(5), .connection = link.number}, bytes);
    }
  }
  if (link.ending != Ending::kNone) return;  // what else has arrived goes nowhere
  if (link.phase == Phase::kCancel) {
    link.to_server.append(rest);
    rest = {};
  }
  link.from_client.erase(0, link.from_client.size() - rest.size());
}

void DbProxy::State::Startup(Link& link, std::string_view packet) {
  const std::uint32_t code = NetworkNumber(packet.substr(4));
  if (code == kTlsRequest || code == kGssRequest) {
    link.to_client += 'N';  // the client goes on without, and we can read along
  } else if (code == kCancelRequest) {
    link.to_server.append(packet);
    link.phase = Phase::kCancel;
  } else {
    link.phase = Phase::kMessages;
    Judge(link, {.type = '\0', .payload = packet.substr(8), .connection = link.number}, packet);
  }
}

void DbProxy::State::Judge(Link& link, const FrontendMessage& message, std::string_view bytes) {
  const Verdict verdict = hook ? hook(message) : Verdict::kPass;
  if (verdict == Verdict::kCutBefore) {
    ++cuts_;
    return Leave(link);
  }
  link.to_server.append(bytes);
  link.asks_ready = AsksReady(message.type);
  if (link.asks_ready) ++link.ready_due;
  if (verdict == Verdict::kCutAfter) link.ending = Ending::kAnswer;
}

// Sends what can be sent, and closes what has nothing more to do.
void DbProxy::State::Flush(Link& link) {
  if (link.ending != Ending::kNone) {
    link.to_client.clear();
  } else if (!Send(link.client, link.to_client)) {
    Leave(link);
  }
  if (link.server.valid() && !Send(link.server, link.to_server)) {
    // It may have said why before it went: that is still read, unless nobody is to hear it.
    link.to_server.clear();
    if (link.ending != Ending::kNone) link.server.Reset();
  }
  if (link.server.valid() && link.to_server.empty()) {
    if (link.ending == Ending::kAnswer && link.client.valid()) {
      ++cuts_;  // first: who sees the loss may look at the number
      CloseClient(link);
      if (!link.asks_ready) ::shutdown(link.server.get(), SHUT_WR);
    }
    const bool answered = link.ending == Ending::kAnswer && link.asks_ready && link.ready_due <= 0;
    if (link.ending == Ending::kFlush || answered) link.server.Reset();
  }
  if (!link.server.valid() && link.to_client.empty()) CloseClient(link);
}

DbProxy::DbProxy(const std::string& target) : state_(std::make_unique<State>(target)) {}

DbProxy::~DbProxy() = default;

std::uint16_t DbProxy::port() const {
  return state_->port();
}

std::string DbProxy::Url(const std::string& base) const {
  // Of a keyword given twice the last one counts, in both forms.
  const std::string number = std::to_string(port());
  if (base.starts_with("postgresql://") || base.starts_with("postgres://")) {
    const char* joint = base.find('?') == std::string::npos ? "?" : "&";
    return base + joint + "host=127.0.0.1&hostaddr=127.0.0.1&port=" + number;
  }
  return base + " host=127.0.0.1 hostaddr=127.0.0.1 port=" + number;
}

void DbProxy::SetHook(Hook hook) {
  state_->Change([&](State& state) { state.hook.swap(hook); });
}

void DbProxy::Freeze() {
  state_->Change([](State& state) { state.frozen = true; });
}

void DbProxy::Thaw() {
  state_->Change([](State& state) { state.frozen = false; });
}

void DbProxy::Refuse(bool refuse) {
  state_->Change([&](State& state) { state.refusing = refuse; });
}

DbProxyStats DbProxy::Stats() const {
  return state_->Stats();
}

std::string_view SimpleQuery(const FrontendMessage& message) {
  if (message.type != 'Q' || message.payload.empty()) return {};
  return message.payload.substr(0, message.payload.size() - 1);  // a NUL ends it
}

bool IsCommit(const FrontendMessage& message) {
  return SimpleQuery(message) == "COMMIT";
}

bool IsSync(const FrontendMessage& message) {
  return message.type == 'S';
}

}  // namespace gathering::test
