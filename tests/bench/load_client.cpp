// Asks a server as fast as it answers, from one thread, and says how fast that was.
//
//   load_client --address HOST:PORT --connections N --seconds S --path PATH
//               [--method M] [--header 'Name: value']... [--body TEXT] [--spread] [--json]
//
// HOST is an IPv4 address.  A closed loop: each client sends its next request when the answer to the last
// one is complete (by its Content-Length).  A client whose connection the server closed between two
// answers connects again.  What is not answered at the end does not count.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kConnectSeconds = 5;

struct Options {
  std::string host;
  std::uint16_t port = 0;
  std::uint32_t connections = 1;
  std::uint32_t seconds = 1;
  std::string method = "GET";
  std::string path;
  std::string headers;  // whole lines
  std::string body;
  bool spread = false;
  bool json = false;
};

// --- what is measured ------------------------------------------------------------------------------

// Counts of durations in buckets no wider than 1/32 of what they hold, as HDR histograms do it.
class Histogram {
 public:
  void Add(std::uint64_t nanoseconds) {
    ++buckets_[Bucket(nanoseconds)];
    ++count_;
    max_ = std::max(max_, nanoseconds);
  }

  // The upper edge of the bucket that `share` (0 to 1) of the durations do not exceed; microseconds.
  [[nodiscard]] double Microseconds(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_) + 0.5);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen >= wanted && seen > 0) return static_cast<double>(std::min(Edge(i), max_)) / 1e3;
    }
    return 0;
  }

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr std::uint64_t kSub = 1U << kSubBits;

  static std::size_t Bucket(std::uint64_t value) {
    if (value < kSub) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return (shift + 1) * kSub + (value >> shift) - kSub;
  }
  static std::uint64_t Edge(std::size_t bucket) {
    if (bucket < kSub) return bucket;
    const auto shift = bucket / kSub - 1;
    return ((bucket % kSub + kSub + 1) << shift) - 1;
  }

  std::array<std::uint64_t, (64 - kSubBits + 1) * kSub> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

struct Results {
  Histogram latency;
  std::map<int, std::uint64_t> statuses;
  std::uint64_t answers = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t errors = 0;  // answers cut off or unreadable, connections refused
  double seconds = 0;
};

// --- one client ------------------------------------------------------------------------------------

enum class Progress : std::uint8_t { kPartial, kAnswered, kClosed, kBroken };

class Client {
 public:
  explicit Client(const sockaddr_in& address) : address_{address} {}
  Client(Client&& other) noexcept : address_{other.address_}, fd_{std::exchange(other.fd_, -1)} {}
  ~Client() { Close(); }

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool closes() const { return closes_; }
  [[nodiscard]] Clock::time_point sent_at() const { return sent_at_; }
  std::uint64_t answers = 0;

  bool Connect() {
    Close();
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = kConnectSeconds, .tv_usec = 0};
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0) return false;
    return ::fcntl(fd_, F_SETFL, O_NONBLOCK) == 0;
  }

  // Requests are small: one that does not fit an empty socket buffer is an error.
  bool Send(std::string_view request) {
    input_.clear();
    body_end_.reset();
    closes_ = false;
    sent_at_ = Clock::now();
    return ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) == std::ssize(request);
  }

  Progress Receive() {
    char bytes[16'384];
    const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? Progress::kPartial : Closed();
    if (count == 0) return Closed();
    input_.append(bytes, static_cast<std::size_t>(count));
    if (!body_end_ && !ReadHead()) return input_.size() > 65'536 ? Progress::kBroken : Progress::kPartial;
    if (input_.size() > *body_end_) return Progress::kBroken;
    return input_.size() == *body_end_ ? Progress::kAnswered : Progress::kPartial;
  }

  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  [[nodiscard]] Progress Closed() const { return input_.empty() ? Progress::kClosed : Progress::kBroken; }

  // False until the head is complete.
  bool ReadHead() {
    const std::size_t end = input_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::string_view head{input_.data(), end};
    status_ = 0;
    if (head.size() > 12) std::from_chars(head.data() + 9, head.data() + 12, status_);
    std::size_t length = 0;
    for (std::size_t line = head.find("\r\n"); line != head.npos; line = head.find("\r\n", line)) {
      line += 2;
      ReadHeader(head.substr(line, head.find("\r\n", line) - line), length);
    }
    body_end_ = end + 4 + length;
    return true;
  }

  void ReadHeader(std::string_view line, std::size_t& length) {
    const auto value = [line](std::string_view name) -> std::string_view {
      if (line.size() <= name.size() || ::strncasecmp(line.data(), name.data(), name.size()) != 0) return {};
      return line.substr(line.find_first_not_of(' ', name.size()));
    };
    if (const auto text = value("content-length:"); !text.empty()) {
      std::from_chars(text.data(), text.data() + text.size(), length);
    }
    if (value("connection:") == "close") closes_ = true;
  }

  sockaddr_in address_;
  int fd_ = -1;
  std::string input_;
  std::optional<std::size_t> body_end_;
  int status_ = 0;
  bool closes_ = false;
  Clock::time_point sent_at_;
};

// --- all of them -----------------------------------------------------------------------------------

class Load {
 public:
  explicit Load(const Options& options) : options_{options}, epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(options.port);
    ::inet_pton(AF_INET, options.host.c_str(), &address_.sin_addr);
    request_ =
        options.method + " " + options.path + " HTTP/1.1\r\nHost: " + options.host + "\r\n" + options.headers;
    if (!options.body.empty()) {
      request_ +=
          "Content-Type: application/json\r\nContent-Length: " + std::to_string(options.body.size()) + "\r\n";
    }
    request_ += "\r\n" + options.body;
  }
  ~Load() { ::close(epoll_); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // Everybody connects first, so that the time measured is one of `connections` clients.
  void Run() {
    for (std::uint32_t i = 0; i < options_.connections; ++i) clients.emplace_back(address_);
    for (Client& client : clients) Join(client);
    const auto start = Clock::now();
    const auto end = start + std::chrono::seconds{options_.seconds};
    for (Client& client : clients) {
      if (client.fd() >= 0) Ask(client);
    }
    epoll_event events[256];
    for (auto now = Clock::now(); now < end && open_ > 0; now = Clock::now()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - now).count();
      const int count = ::epoll_wait(epoll_, events, 256, static_cast<int>(left));
      for (int i = 0; i < count; ++i) Continue(clients[events[i].data.u32]);
    }
    results.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  }

  std::vector<Client> clients;
  Results results;

 private:
  void Join(Client& client) {
    if (!client.Connect()) return Lose(client);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(&client - clients.data());
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd(), &event);
    ++open_;
  }

  void Lose(Client& client) {
    ++results.errors;
    client.Close();
  }

  void Ask(Client& client) {
    if (client.Send(request_)) return;
    --open_;
    Lose(client);
  }

  void Reconnect(Client& client) {
    --open_;
    Join(client);
    if (client.fd() >= 0) Ask(client);
  }

  void Continue(Client& client) {
    if (client.fd() < 0) return;
    switch (client.Receive()) {
      case Progress::kPartial:
        return;
      case Progress::kBroken:
        ++results.errors;
        return Reconnect(client);
      case Progress::kClosed:
        ++results.reconnects;
        return Reconnect(client);
      case Progress::kAnswered:
        break;
    }
    const auto took = Clock::now() - client.sent_at();
    results.latency.Add(static_cast<std::uint64_t>(std::chrono::nanoseconds{took}.count()));
    ++results.statuses[client.status()];
    ++results.answers;
    ++client.answers;
    if (!client.closes()) return Ask(client);
    ++results.reconnects;
    Reconnect(client);
  }

  const Options& options_;
  int epoll_;
  sockaddr_in address_{};
  std::string request_;
  std::uint32_t open_ = 0;
};

// --- what is printed -------------------------------------------------------------------------------

struct Figure {
  const char* name;
  double value;
};

std::vector<Figure> Latencies(const Results& results) {
  std::vector<Figure> figures;
  for (const auto& [name, share] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1.0}}) {
    figures.push_back({name, results.latency.Microseconds(share)});
  }
  return figures;
}

// How even the clients were served.
std::vector<Figure> Spread(const std::vector<Client>& clients) {
  std::vector<std::uint64_t> counts;
  for (const Client& client : clients) counts.push_back(client.answers);
  std::sort(counts.begin(), counts.end());
  std::vector<Figure> figures;
  for (const auto& [name, share] :
       {std::pair{"min", 0.0}, {"p1", 0.01}, {"p10", 0.1}, {"median", 0.5}, {"p90", 0.9}, {"max", 1.0}}) {
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(counts.size() - 1) + 0.5);
    figures.push_back({name, static_cast<double>(counts[rank])});
  }
  const auto silent = std::count(counts.begin(), counts.end(), 0U);
  figures.push_back({"nothing", static_cast<double>(silent)});
  return figures;
}

std::vector<Figure> Totals(const Results& results) {
  return {{"requests_per_second", static_cast<double>(results.answers) / results.seconds},
          {"requests", static_cast<double>(results.answers)},
          {"reconnects", static_cast<double>(results.reconnects)},
          {"errors", static_cast<double>(results.errors)}};
}

void PrintLine(const char* name, const std::vector<Figure>& figures) {
  std::printf("%-12s", name);
  for (const Figure& figure : figures) std::printf(" %s %.0f", figure.name, figure.value);
  std::printf("\n");
}

void PrintObject(const char* name, const std::vector<Figure>& figures, const char* after) {
  std::printf("\"%s\":{", name);
  const char* before = "";
  for (const Figure& figure : figures) {
    std::printf("%s\"%s\":%.0f", before, figure.name, figure.value);
    before = ",";
  }
  std::printf("}%s", after);
}

void Print(const Load& load, const Options& options) {
  std::vector<std::string> names;
  for (const auto& [status, count] : load.results.statuses) names.push_back(std::to_string(status));
  std::vector<Figure> statuses;
  for (const auto& [status, count] : load.results.statuses) {
    statuses.push_back({names[statuses.size()].c_str(), static_cast<double>(count)});
  }
  if (!options.json) {
    PrintLine("totals", Totals(load.results));
    PrintLine("latency_us", Latencies(load.results));
    PrintLine("statuses", statuses);
    if (options.spread) PrintLine("spread", Spread(load.clients));
    return;
  }
  std::printf("{");
  PrintObject("totals", Totals(load.results), ",");
  PrintObject("latency_us", Latencies(load.results), ",");
  PrintObject("statuses", statuses, options.spread ? "," : "}\n");
  if (options.spread) PrintObject("spread", Spread(load.clients), "}\n");
}

// --- the command line ------------------------------------------------------------------------------

template <class T>
bool Read(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number > 0;
}

bool Take(Options& options, std::string_view name, std::string_view value) {
  if (name == "--address") {
    const std::size_t colon = value.rfind(':');
    options.host = value.substr(0, colon);
    return colon != value.npos && Read(value.substr(colon + 1), options.port);
  }
  if (name == "--connections") return Read(value, options.connections);
  if (name == "--seconds") return Read(value, options.seconds);
  if (name == "--path") return !(options.path = value).empty();
  if (name == "--method") return !(options.method = value).empty();
  if (name == "--body") return !(options.body = value).empty();
  if (name == "--header") return !options.headers.append(value).append("\r\n").empty();
  return false;
}

std::optional<Options> Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--spread") {
      options.spread = true;
    } else if (name == "--json") {
      options.json = true;
    } else if (i + 1 == argc || !Take(options, name, argv[++i])) {
      return std::nullopt;
    }
  }
  if (options.port == 0 || options.path.empty()) return std::nullopt;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = Parse(argc, argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: load_client --address HOST:PORT --connections N --seconds S --path PATH\n"
                 "       [--method M] [--header 'Name: value']... [--body TEXT] [--spread] [--json]\n");
    return 2;
  }
  Load load{*options};
  load.Run();
  Print(load, *options);
  return load.results.answers > 0 ? 0 : 1;
}
