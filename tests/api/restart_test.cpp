// Daemons that stop and start again while clients go on: nothing fails, and each write is done once.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "core/base/child.h"
#include "core/base/guarded.h"
#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/sockets.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr const char* kNginx = "/usr/sbin/nginx";
constexpr int kClients = 8;
constexpr std::chrono::milliseconds kBetweenRequests{16};  // of one client; 500 a second of all
constexpr int kBetweenRestarts = 250;                      // answers

void MakeCrew(HttpClient admin) {
  REQUIRE(admin.Post("/circles", json{{"name", "crew"}}).status == 201);
  REQUIRE(admin.Post("/circles/crew/start").status == 200);
}

// Clients who read and write by the clock, whether their last answer came late or not.
class Traffic {
 public:
  Traffic(const std::string& address, const std::string& token) {
    for (int c = 0; c < kClients; ++c) {
      threads_.emplace_back(
          [this, c, client = HttpClient{address}, token](const std::stop_token& stop) mutable {
            client.Use(token);
            Run(client, c, stop);
          });
    }
  }

  void AwaitAnswers(int more) const {
    const int goal = answers_ + more;
    Await([&] { return answers_ >= goal; });
  }
  void Stop() { threads_.clear(); }
  [[nodiscard]] std::vector<std::string> failures() const {
    return failures_.With([](const auto& all) { return all; });
  }
  // Titles of tasks that were acknowledged, sorted.
  [[nodiscard]] std::vector<std::string> written() const {
    auto titles = written_.With([](const auto& all) { return all; });
    std::sort(titles.begin(), titles.end());
    return titles;
  }

 private:
  void Run(HttpClient& client, int number, const std::stop_token& stop) {
    auto due = std::chrono::steady_clock::now() + kBetweenRequests * number / kClients;
    for (int i = 0; !stop.stop_requested(); ++i, due += kBetweenRequests) {
      std::unique_lock lock{mutex_};
      stopped_.wait_until(lock, stop, due, [] { return false; });
      lock.unlock();
      Ask(client, fmt::format("{}-{}", number, i), (number + i) % 2 == 0);
    }
  }
  void Ask(HttpClient& client, const std::string& title, bool writes) {
    try {
      const Answer answer =
          writes ? client.Post("/circles/crew/tasks", json{{"title", title}}) : client.Get("/circles/crew");
      ++answers_;
      if (answer.status >= 300) {
        Fail(title, fmt::format("{} {}", answer.status, answer.body));
      } else if (writes) {
        written_.With([&](auto& all) { all.push_back(title); });
      }
    } catch (const std::runtime_error& error) {
      Fail(title, error.what());
    }
  }
  void Fail(const std::string& title, const std::string& why) {
    failures_.With([&](auto& all) { all.push_back(title + ": " + why); });
  }

  std::atomic<int> answers_ = 0;
  Guarded<std::vector<std::string>> failures_;
  Guarded<std::vector<std::string>> written_;
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::vector<std::jthread> threads_;  // last: they use the others
};

void CheckNothingIsLost(const Traffic& traffic, const FreshDatabase& database) {
  CHECK(traffic.failures() == std::vector<std::string>{});
  db::Connection sql{{.url = database.url()}};
  std::vector<std::string> titles;
  const auto rows = sql.Execute("SELECT title FROM tasks ORDER BY title COLLATE \"C\"");
  for (std::size_t i = 0; i < rows.size(); ++i) titles.push_back(rows.As<std::string>(i));
  CHECK(titles == traffic.written());
}

std::string FreeAddress() {
  return AddressOf(ListenOnLoopback());
}

std::string Replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

// nginx as the examples configure it, on a socket of its own, in front of two daemons.
class Nginx {
 public:
  Nginx(const std::string& one, const std::string& other, bool keeps_connections) {
    std::ifstream in{GATHERING_SOURCE_DIR "/examples/nginx.conf"};
    REQUIRE(in);
    std::string site{std::istreambuf_iterator<char>{in}, {}};
    site = Replaced(site, "listen 127.0.0.1:8000", "listen " + address());
    site = Replaced(site, "127.0.0.1:8001", one);
    site = Replaced(site, "127.0.0.1:8002", other);
    if (!keeps_connections) site = Replaced(site, "keepalive 16;", "");
    std::ofstream{directory_.path() + "/nginx.conf"} << fmt::format(
        "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/error.log;\n"
        "events {{ worker_connections 512; }}\n"
        "http {{\naccess_log off;\nclient_body_temp_path {0}/body;\nproxy_temp_path {0}/proxy;\n"
        "fastcgi_temp_path {0}/f;\nuwsgi_temp_path {0}/u;\nscgi_temp_path {0}/s;\n{1}}}\n",
        directory_.path(), site);
    ChildOptions options;
    options.arguments = {kNginx, "-e", directory_.path() + "/error.log", "-c",
                         directory_.path() + "/nginx.conf"};
    child_ = std::make_unique<Child>(options);
    Await([&] { return child_->Wait(0ms) || Serves(); });
    REQUIRE(Serves());
  }
  [[nodiscard]] std::string address() const { return "unix:" + directory_.path() + "/socket"; }

 private:
  [[nodiscard]] bool Serves() const {
    try {
      return HttpClient{address()}.Get("/health/live").status == 200;
    } catch (const std::runtime_error&) {
      return false;
    }
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Child> child_;
};

}  // namespace

TEST_CASE("a restart on a passed socket under 500 requests a second fails none and does each write once") {
  const FreshDatabase database;
  const Fd socket = ListenOnLoopback();
  const std::string drain_delay = GENERATE("0ms", "100ms");
  const DaemonOptions options{.database_url = database.url(),
                              .environment = {{"GATHERING_HTTP_DRAIN_DELAY", drain_delay}},
                              .passed = {socket.get()}};
  std::optional<RunningDaemon> daemon{options};
  MakeCrew(daemon->Admin());
  Traffic traffic{daemon->address(), daemon->AdminToken()};
  for (int restart = 0; restart < 2; ++restart) {
    traffic.AwaitAnswers(kBetweenRestarts);
    daemon->Signal(SIGTERM);
    CHECK(daemon->Wait() == 0);
    daemon.emplace(options);
  }
  traffic.AwaitAnswers(kBetweenRestarts);
  traffic.Stop();
  CheckNothingIsLost(traffic, database);
}

TEST_CASE("two daemons behind nginx are restarted one after the other, and no client notices") {
  if (::access(kNginx, X_OK) != 0) {
    WARN("skipped: no nginx here; run examples/install-packages.sh --with-tests");
    return;
  }
  const bool keeps_connections = GENERATE(true, false);
  const FreshDatabase database;
  const std::string addresses[] = {FreeAddress(), FreeAddress()};
  std::optional<RunningDaemon> daemons[2];
  const auto start = [&](std::size_t i) {
    daemons[i].emplace(DaemonOptions{.database_url = database.url(),
                                     .listen = addresses[i],
                                     .environment = {{"GATHERING_HTTP_DRAIN_DELAY", "100ms"}}});
    CHECK(daemons[i]->address() == addresses[i]);
  };
  start(0);
  start(1);
  MakeCrew(daemons[0]->Admin());
  const Nginx nginx{addresses[0], addresses[1], keeps_connections};
  Traffic traffic{nginx.address(), daemons[0]->AdminToken()};
  for (const std::size_t i : {0, 1, 0, 1}) {
    traffic.AwaitAnswers(kBetweenRestarts);
    daemons[i]->Signal(SIGTERM);
    CHECK(daemons[i]->Wait() == 0);
    start(i);
  }
  traffic.AwaitAnswers(kBetweenRestarts);
  traffic.Stop();
  CheckNothingIsLost(traffic, database);
}

}  // namespace gathering::test
