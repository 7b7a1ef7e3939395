// The daemon and its service manager: what it says of itself, sockets it is given, its unit files.
#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>

#include "core/base/fd.h"
#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/notifications.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/sockets.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* kAnalyze = "/usr/bin/systemd-analyze";
constexpr std::string_view kServing = "serving on ";

// A service manager that listens, and a database for a daemon that tells it of itself.
struct Managed {
  TemporaryDirectory directory;
  Notifications heard{directory.path() + "/notify"};
  FreshDatabase database;

  DaemonOptions Options(std::map<std::string, std::string> environment = {}) const {
    environment["NOTIFY_SOCKET"] = heard.name();
    return {.database_url = database.url(), .environment = std::move(environment), .until_listening = false};
  }
};

bool Lives(const std::string& address) {
  return HttpClient{address}.Get("/health/live").status == 200;
}

// A client that asks again and again, each time over a new connection, until it is destroyed.
class Asker {
 public:
  explicit Asker(const std::string& address) {
    thread_ = std::jthread{[this, address](const std::stop_token& stop) {
      while (!stop.stop_requested()) Ask(address);
    }};
  }
  [[nodiscard]] int answers() const { return answers_; }
  [[nodiscard]] int failures() const { return failures_; }

 private:
  void Ask(const std::string& address) {
    try {
      ++(Lives(address) ? answers_ : failures_);
    } catch (const std::runtime_error&) {
      ++failures_;
    }
  }

  std::atomic<int> answers_{0};
  std::atomic<int> failures_{0};
  std::jthread thread_;
};

bool HasAnalyze() {
  if (::access(kAnalyze, X_OK) == 0) return true;
  WARN("skipped: no systemd-analyze here; install systemd");
  return false;
}

// The examples, with the program under test, and with or without the drop-in beside the service.
class Units {
 public:
  explicit Units(bool embedded) {
    for (const char* name : {"gathering.service", "gathering.socket", "gathering-tls.socket"}) Write(name);
    if (!embedded) return;
    fs::create_directory(directory_.path() + "/gathering.service.d");
    Write("gathering.service.d/embedded.conf");
  }
  [[nodiscard]] std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }

 private:
  void Write(const std::string& name) const {
    std::ifstream in{GATHERING_SOURCE_DIR "/examples/systemd/" + name};
    REQUIRE(in);
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    constexpr std::string_view kProgram = "ExecStart=gathering ";
    const std::size_t at = text.find(kProgram);
    if (at != std::string::npos)
      text.replace(at, kProgram.size(), fmt::format("ExecStart={} ", GATHERING_BINARY));
    std::ofstream{Path(name)} << text;
  }

  TemporaryDirectory directory_;
};

}  // namespace

TEST_CASE("a daemon is ready when it listens, and not before its schema was checked") {
  Managed managed;
  db::Connection blocker{{.url = managed.database.url()}};
  blocker.Script("BEGIN; LOCK TABLE gathering_migrations IN ACCESS EXCLUSIVE MODE");
  const RunningDaemon daemon{managed.Options()};
  managed.heard.Await("STATUS=checking the schema");
  CHECK_FALSE(managed.heard.Next(200ms));
  blocker.Script("COMMIT");
  const std::string status = ValueIn(managed.heard.Await("READY=1"), "STATUS").value_or("");
  REQUIRE(status.starts_with(kServing));
  CHECK(Lives(status.substr(kServing.size())));
}

TEST_CASE("a daemon that makes its own database asks for patience and says what it does") {
  Notifications heard{"@gathering-systemd-test-" + std::to_string(::getpid())};
  const RunningDaemon daemon{{.environment = {{"NOTIFY_SOCKET", heard.name()}}, .until_listening = false}};
  const std::string start = heard.Await("STATUS=starting a private PostgreSQL");
  CHECK(ValueIn(start, "EXTEND_TIMEOUT_USEC"));
  const std::string migration = heard.Await("STATUS=bringing the schema up to date");
  CHECK(ValueIn(migration, "EXTEND_TIMEOUT_USEC"));
  CHECK_NOTHROW(heard.Await("READY=1"));
}

TEST_CASE("a daemon says that it reads its configuration again, and that it stops") {
  Managed managed;
  RunningDaemon daemon{managed.Options({{"GATHERING_HTTP_DRAIN_TIMEOUT", "120s"}})};
  managed.heard.Await("READY=1");
  daemon.Signal(SIGHUP);
  const std::string reloading = managed.heard.Await("RELOADING=1");
  const auto moment = ValueIn(reloading, "MONOTONIC_USEC");
  REQUIRE(moment);
  CHECK(moment->find_first_not_of("0123456789") == std::string::npos);
  CHECK(ValueIn(managed.heard.Await("READY=1"), "STATUS").value_or("").starts_with(kServing));
  daemon.Signal(SIGTERM);
  const std::string stopping = managed.heard.Await("STOPPING=1");
  CHECK(ValueIn(stopping, "STATUS").value_or("").find("SIGTERM") != std::string::npos);
  CHECK(ValueIn(stopping, "EXTEND_TIMEOUT_USEC") == "150000000");
  CHECK(daemon.Wait() == 0);
}

TEST_CASE("a daemon proves every half interval of the watchdog that its loops turn") {
  Managed managed;
  const RunningDaemon daemon{managed.Options({{"WATCHDOG_USEC", "200000"}})};
  managed.heard.Await("READY=1");
  for (int i = 0; i < 5; ++i) CHECK_NOTHROW(managed.heard.Await("WATCHDOG=1", 5s));
}

TEST_CASE("a watchdog for another process gets no proofs") {
  Managed managed;
  const RunningDaemon daemon{managed.Options({{"WATCHDOG_USEC", "20000"}, {"WATCHDOG_PID", "1"}})};
  managed.heard.Await("READY=1");
  CHECK_FALSE(managed.heard.Next(200ms));
}

TEST_CASE("while daemons come and go on a socket that was passed, no client is refused") {
  const FreshDatabase database;
  const Fd socket = ListenOnLoopback();
  const DaemonOptions options{.database_url = database.url(), .passed = {socket.get()}};
  std::optional<Asker> asker;
  {
    RunningDaemon first{options};
    CHECK(first.address() == AddressOf(socket));
    asker.emplace(first.address());
    Await([&] { return asker->answers() > 50; });
    first.Signal(SIGTERM);
    CHECK(first.Wait() == 0);
  }
  const int before = asker->answers();
  const RunningDaemon second{options};
  CHECK(second.address() == AddressOf(socket));
  Await([&] { return asker->answers() > before + 50; });
  CHECK(asker->failures() == 0);
  asker.reset();  // while there still is somebody who answers
}

TEST_CASE("a control socket that was passed is for administrators, and its file stays") {
  const FreshDatabase database;
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/admin.sock";
  const Fd control = ListenAt(path, 0600);
  RunningDaemon daemon{{.database_url = database.url(),
                        .environment = {{"LISTEN_FDNAMES", "control"}},
                        .passed = {control.get()}}};
  CHECK(daemon.address().starts_with("127.0.0.1:"));  // http.listen as without
  CHECK(HttpClient{daemon.address()}.Get("/health/caches").status == 401);
  CHECK(HttpClient{"unix:" + path}.Get("/health/caches").status == 200);
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 0);
  CHECK(fs::is_socket(path));
}

TEST_CASE("a socket that cannot be served is a wrong configuration") {
  const FreshDatabase database;
  const TemporaryDirectory directory;
  const Fd open = ListenAt(directory.path() + "/open.sock", 0666);
  const Fd loopback = ListenOnLoopback();
  const Fd datagrams{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const Fd deaf{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  struct Wrong {
    int descriptor;
    const char* name;
    const char* word;
  };
  for (const Wrong& wrong :
       {Wrong{open.get(), "control", "SocketMode="}, Wrong{loopback.get(), "control", "ListenStream=/PATH"},
        Wrong{datagrams.get(), "web", "'web'"}, Wrong{deaf.get(), "web", "Accept=no"}}) {
    INFO(wrong.word);
    RunningDaemon daemon{{.database_url = database.url(),
                          .environment = {{"LISTEN_FDNAMES", wrong.name}},
                          .until_listening = false,
                          .passed = {wrong.descriptor}}};
    CHECK(daemon.Wait() == 78);
    CHECK(daemon.Log().find(wrong.word) != std::string::npos);
  }
}

TEST_CASE("systemd finds nothing wrong with the unit files") {
  if (!HasAnalyze()) return;
  for (const bool embedded : {false, true}) {
    INFO((embedded ? "with" : "without") << " the drop-in");
    const Units units{embedded};
    const ProcessResult result =
        Run(kAnalyze, {.arguments = {"verify", "--man=no", units.Path("gathering.service"),
                                     units.Path("gathering.socket"), units.Path("gathering-tls.socket")}});
    INFO(result.out << result.err);
    CHECK(result.code == 0);
    CHECK(result.err.find(units.Path("")) == std::string::npos);
  }
}

TEST_CASE("the service is exposed by less than two tenths of what systemd can count") {
  if (!HasAnalyze()) return;
  for (const bool embedded : {false, true}) {
    INFO((embedded ? "with" : "without") << " the drop-in");
    const Units units{embedded};
    const ProcessResult result =
        Run(kAnalyze, {.arguments = {"security", "--offline=true", "--threshold=20", "--no-pager",
                                     units.Path("gathering.service")}});
    INFO(result.out << result.err);
    CHECK(result.code == 0);
  }
}

}  // namespace gathering::test
