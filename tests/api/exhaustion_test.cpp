// Clients who only take up room, and machines that have none: who can be served is served, and what comes
// back is used again.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <list>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/auth/password.h"
#include "core/base/child.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/raw_client.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr int kAttackers = 1'000;
constexpr auto kDeadline = 2s;  // of everything that has one
constexpr auto kLate = 3s;      // how much later a busy machine may notice
constexpr std::uint64_t kAttackerBytes = 65'536;

// A thousand sockets here, and as many there.
void RaiseFileLimit() {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE(limit.rlim_cur > 2 * kAttackers);
}

// A line of /proc/PID/status, in KiB.
std::uint64_t StatusKiB(pid_t pid, const std::string& name) {
  std::ifstream in{fmt::format("/proc/{}/status", pid)};
  for (std::string line; std::getline(in, line);) {
    std::uint64_t kib = 0;
    if (line.starts_with(name + ":") && std::istringstream{line.substr(name.size() + 1)} >> kib) return kib;
  }
  throw std::runtime_error{"no " + name + " of that process"};
}

std::chrono::milliseconds ProcessorTime(pid_t pid) {
  std::ifstream in{fmt::format("/proc/{}/stat", pid)};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  std::istringstream rest{text.substr(text.rfind(')') + 2)};
  std::string skipped;
  for (int field = 0; field < 11; ++field) rest >> skipped;
  std::int64_t user = 0;
  std::int64_t system = 0;
  REQUIRE(rest >> user >> system);
  const std::int64_t ticks = user + system;
  return std::chrono::milliseconds{ticks * 1'000 / ::sysconf(_SC_CLK_TCK)};
}

// Asks liveness over a connection of its own for as long as it lives.
class Probe {
 public:
  explicit Probe(const RunningDaemon& daemon)
      : thread_([this, client = daemon.Client()](const std::stop_token& stop) mutable {
          while (!stop.stop_requested()) {
            const auto begin = steady_clock::now();
            if (client.Get("/health/live").status != 200) ++failures_;
            times_.push_back(steady_clock::now() - begin);
          }
        }) {}

  // Ends it: that each was answered, and 99 of a hundred by then.
  void CheckAnswers(steady_clock::duration p99) {
    thread_ = {};
    REQUIRE(times_.size() > 100);
    CHECK(failures_ == 0);
    std::sort(times_.begin(), times_.end());
    CHECK(times_[times_.size() * 99 / 100] < p99);
  }

 private:
  int failures_ = 0;
  std::vector<steady_clock::duration> times_;
  std::jthread thread_;
};

// What the kernel has for clients of the daemon and they have not taken, in connections.
int Untaken(const RunningDaemon& daemon) {
  int decimal = 0;
  REQUIRE(std::istringstream{daemon.address().substr(daemon.address().rfind(':') + 1)} >> decimal);
  const std::string port = fmt::format(":{:04X}", decimal);
  std::ifstream in{"/proc/net/tcp"};
  int count = 0;
  std::string number;
  std::string local;
  std::string remote;
  std::string state;
  std::string queues;
  for (std::string line; std::getline(in, line);) {
    std::istringstream{line} >> number >> local >> remote >> state >> queues;
    count += local.ends_with(port) && !queues.starts_with("00000000:") ? 1 : 0;
  }
  return count;
}

struct Attack {
  const char* what;
  std::function<void(RawClient&)> begin;
  const char* then;   // sent byte by byte, again and again
  bool reads = true;  // else it does not see that it was cut
};

const std::vector<Attack>& Attacks() {
  static const std::vector<Attack> all = {
      {"connections without data", [](RawClient&) {}, ""},
      {"heads that never end",
       [](RawClient& client) { client.Send("GET /health/live HTTP/1.1\r\nHost: test\r\nX-Pad: "); }, "x"},
      {"bodies that come a byte at a time",
       [](RawClient& client) {
         client.Send(
             "POST /auth/login/json HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
             "Content-Length: 100000\r\n\r\n{");
       },
       " "},
      {"readers who do not read",
       [](RawClient& client) {
         client.SetReceiveBuffer(2'048);
         for (int i = 0; i < 8; ++i) client.Send("GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n");
       },
       "", false},
  };
  return all;
}

// By the server: data may still be there to be read.
bool IsCut(const RawClient& client) {
  pollfd watched{.fd = client.descriptor(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&watched, 1, 0) > 0;
}

std::list<RawClient> Begin(const Attack& attack, const RunningDaemon& daemon, int count) {
  std::list<RawClient> attackers;
  for (int i = 0; i < count; ++i) {
    attackers.emplace_back(daemon.address());
    attack.begin(attackers.back());
  }
  return attackers;
}

// Goes on until the daemon has cut all of them, and the kernel keeps nothing for them; false: not within
// `patience`.
bool AreCut(std::list<RawClient>& attackers, const Attack& attack, const RunningDaemon& daemon,
            steady_clock::duration patience) {
  return Eventually(
      [&] {
        std::erase_if(attackers, [&](RawClient& one) { return IsCut(one) || !one.Send(attack.then); });
        ::poll(nullptr, 0, 100);  // a byte in a tenth of a second is what they are
        return attack.reads ? attackers.empty() : Untaken(daemon) == 0;
      },
      patience);
}

}  // namespace

TEST_CASE("a thousand of each kind of slow client are cut at their deadline and hold up nobody") {
  RaiseFileLimit();
  const FreshDatabase database;
  const RunningDaemon daemon{
      {.database_url = database.url(),
       .environment = {{"GATHERING_HTTP_LIMITS_HEAD_TIMEOUT", "2s"},
                       {"GATHERING_HTTP_LIMITS_BODY_GRACE", "2s"},
                       {"GATHERING_HTTP_LIMITS_IDLE_TIMEOUT", "2s"},
                       {"GATHERING_HTTP_LIMITS_WRITE_TIMEOUT", "2s"},
                       {"GATHERING_HTTP_LIMITS_CONNECTIONS_PER_ADDRESS_MAX", "4000"}}}};
  for (const Attack& attack : Attacks()) {
    INFO(attack.what);
    const std::uint64_t before = StatusKiB(daemon.pid(), "VmRSS");
    Probe probe{daemon};
    std::list<RawClient> attackers = Begin(attack, daemon, kAttackers);
    if (!attack.reads) CHECK(Eventually([&] { return Untaken(daemon) > kAttackers / 2; }));
    CHECK(StatusKiB(daemon.pid(), "VmRSS") < before + kAttackers * kAttackerBytes / 1'024);
    CHECK(AreCut(attackers, attack, daemon, kDeadline + kLate));
    probe.CheckAnswers(100ms);
  }
}

TEST_CASE("a daemon without descriptors serves whom it has, does not spin, and takes others when it can") {
  RaiseFileLimit();
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient known = daemon.Admin();
  REQUIRE(known.Get("/circles").status == 200);
  rlimit usual{};
  REQUIRE(::prlimit(daemon.pid(), RLIMIT_NOFILE, nullptr, &usual) == 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = usual.rlim_max};  // fewer than are open: every new one fails
  REQUIRE(::prlimit(daemon.pid(), RLIMIT_NOFILE, &none, nullptr) == 0);

  std::list<RawClient> waiting;
  for (int i = 0; i < 50; ++i) waiting.emplace_back(daemon.address(), 30s);
  for (RawClient& client : waiting) client.Send("GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n");
  Await([&] { return daemon.Log().find("clients have to wait") != std::string::npos; });
  const auto begin = steady_clock::now();
  const auto busy = ProcessorTime(daemon.pid());
  int answers = 0;
  while (steady_clock::now() < begin + 1s) {
    CHECK(known.Get("/circles").status == 200);
    ++answers;
    ::poll(nullptr, 0, 20);
  }
  CHECK(answers > 10);
  CHECK(ProcessorTime(daemon.pid()) - busy < 500ms);

  REQUIRE(::prlimit(daemon.pid(), RLIMIT_NOFILE, &usual, nullptr) == 0);
  for (RawClient& client : waiting) {
    const auto answer = client.Receive();
    REQUIRE(answer);
    CHECK(answer->status == 200);
  }
}

TEST_CASE("a daemon without memory refuses what needs it, lives, and serves all when there is some") {
  const FreshDatabase database;
  const RunningDaemon daemon{
      {.database_url = database.url(),
       .environment = {{"GATHERING_HTTP_LIMITS_CONNECTIONS_PER_ADDRESS_MAX", "4000"}}}};
  HttpClient known = daemon.Admin();
  REQUIRE(known.Get("/circles").status == 200);
  rlimit usual{};
  REQUIRE(::prlimit(daemon.pid(), RLIMIT_AS, nullptr, &usual) == 0);
  const std::uint64_t used = StatusKiB(daemon.pid(), "VmSize") * 1'024;
  const rlimit tight{.rlim_cur = used + (4U << 20U), .rlim_max = usual.rlim_max};
  REQUIRE(::prlimit(daemon.pid(), RLIMIT_AS, &tight, nullptr) == 0);

  // Each body is a megabyte, and all are wanted at once.
  std::list<RawClient> greedy;
  const std::string head =
      "POST /auth/login/json HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
      "Content-Length: 1000000\r\n\r\n";
  for (int i = 0; i < 250; ++i) {
    greedy.emplace_back(daemon.address());
    greedy.back().Send(head + std::string(900'000, 'x'));  // refused at its first byte, when all are there
  }
  int refused = 0;
  for (RawClient& client : greedy) {
    client.Send(std::string(100'000, ' '));
    const auto answer = client.Receive();
    if (!answer || answer->status == 503) ++refused;
    if (answer) CHECK((answer->status == 503 || answer->status == 400 || answer->status == 422));
  }
  CHECK(refused > 0);  // else there was memory for all

  REQUIRE(::prlimit(daemon.pid(), RLIMIT_AS, &usual, nullptr) == 0);
  greedy.clear();
  HttpClient fresh = daemon.Admin();
  CHECK(fresh.Get("/circles").status == 200);
}

TEST_CASE("the memory that a password's hash takes is given back when the password is checked") {
  if (std::getenv("ASAN_OPTIONS") != nullptr || std::getenv("TSAN_OPTIONS") != nullptr) {
    WARN("skipped: a sanitizer keeps memory for reasons of its own");
    return;
  }
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient stranger = daemon.Client();
  const auto log_in = [&] {
    return stranger.Post("/auth/login/json", {{"email", "nobody@example.com"}, {"password", "guessed"}});
  };
  const std::uint64_t before = StatusKiB(daemon.pid(), "VmRSS");
  for (int i = 0; i < 3; ++i) CHECK(log_in().status == 401);
  CHECK(StatusKiB(daemon.pid(), "VmHWM") > before + auth::kArgonMemoryKib * 3 / 4);  // it was taken
  CHECK(StatusKiB(daemon.pid(), "VmRSS") < before + auth::kArgonMemoryKib / 4);
}

TEST_CASE("a daemon that may not start its threads says so and ends") {
  const auto nobody = FindAccount("nobody");
  if (!nobody || ::getuid() != 0) {
    WARN("skipped: only root can become another user, whose threads are bounded");
    return;
  }
  const FreshDatabase database;
  const TemporaryDirectory directory;
  REQUIRE(::chown(directory.path().c_str(), nobody->uid, nobody->gid) == 0);
  const std::string log = directory.path() + "/log";
  const int output = ::open(log.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(output >= 0);
  ChildOptions options;
  options.arguments = {"/bin/bash", "-c",
                       fmt::format("ulimit -u 1 && exec {} serve --listen 127.0.0.1:0", GATHERING_BINARY)};
  options.environment = {"PATH=/usr/bin:/bin", "DATABASE_URL=" + database.url(),
                         "GATHERING_DATA_DIR=" + directory.path(), "SECRET_KEY=" + std::string(40, 'k')};
  options.account = nobody;
  options.output = output;
  Child child{options};
  CHECK(child.Wait(20s));
  CHECK(child.HowEnded() == "exit code 1");
  ::close(output);
  std::ifstream in{log};
  const std::string said{std::istreambuf_iterator<char>{in}, {}};
  INFO(said);
  CHECK(said.find("thread") != std::string::npos);
}

}  // namespace gathering::test
