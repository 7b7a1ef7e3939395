// The daemon as its operator sees it: start, stop, crash, restart, several at once.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <map>
#include <stop_token>
#include <thread>

#include "core/base/guarded.h"
#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

json NewAgent(std::string_view name) {
  return {{"persona", {{"name", name}, {"role", "Developer"}}}};
}

std::string FirstLineWith(const std::string& text, std::string_view word) {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (line.find(word) != std::string::npos) return line;
  }
  return {};
}

// What the daemon says besides the requests it answers.
std::string Talk(const RunningDaemon& daemon) {
  std::istringstream lines{daemon.Log()};
  std::string talk;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(R"("msg":"request)") == std::string::npos) talk += line + "\n";
  }
  return talk;
}

pid_t PostmasterPid(const std::string& data_dir) {
  std::ifstream in{data_dir + "/postgres/postmaster.pid"};
  pid_t pid = 0;
  in >> pid;
  return pid;
}

// Statements of the daemon that wait for a lock.
std::int64_t CountWaiting(const std::string& url) {
  db::Connection connection{{.url = url}};
  return connection
      .Execute(
          "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = "
          "'Lock'")
      .As<std::int64_t>(0);
}

// Whether the daemon takes no new connections.
bool Refused(const RunningDaemon& daemon) {
  try {
    daemon.Client().Get("/health/live");
    return false;
  } catch (const std::runtime_error&) {
    return true;
  }
}

// Clients that create agents without pause and remember the ids they were told.
class Writers {
 public:
  Writers(const RunningDaemon& daemon, std::size_t count) {
    const std::string token = daemon.AdminToken();
    for (std::size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, address = daemon.address(), token](const std::stop_token& stop) {
        while (!stop.stop_requested()) Write(address, token, stop);
      });
    }
  }
  std::size_t Count() const {
    return acknowledged_.With([](const auto& ids) { return ids.size(); });
  }
  std::vector<std::int64_t> Stop() {
    threads_.clear();
    return acknowledged_.With([](const auto& ids) { return ids; });
  }

 private:
  // Until an error or the stop; a lost connection is what this is about.
  void Write(const std::string& address, const std::string& token, const std::stop_token& stop) {
    HttpClient client{address};
    client.Use(token);
    try {
      while (!stop.stop_requested()) {
        const Answer answer = client.Post("/agents", NewAgent("Writer"));
        if (answer.status != 201) continue;
        acknowledged_.With(
            [id = answer.Json().at("id").get<std::int64_t>()](auto& ids) { ids.push_back(id); });
      }
    } catch (const std::runtime_error&) {
      std::this_thread::yield();
    }
  }

  Guarded<std::vector<std::int64_t>> acknowledged_;
  std::vector<std::jthread> threads_;
};

bool LogsIn(const RunningDaemon& daemon, std::optional<HttpClient>& admin) {
  try {
    admin.emplace(daemon.Admin());
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

void CheckAllThere(const RunningDaemon& daemon, const std::vector<std::int64_t>& acknowledged) {
  std::optional<HttpClient> admin;
  REQUIRE(Eventually([&] { return LogsIn(daemon, admin); }, 30s));
  std::size_t lost = 0;
  for (const std::int64_t id : acknowledged) {
    lost += admin->Get("/agents/" + std::to_string(id)).status == 200 ? 0 : 1;
  }
  CHECK(lost == 0);
  CHECK(acknowledged.size() > 200);
}

// A daemon that has closed its listeners and still has a request, which waits for a lock.
struct Stopping {
  explicit Stopping(int signal, std::map<std::string, std::string> environment = {})
      : daemon{{.database_url = database.url(), .environment = std::move(environment)}} {
    blocker.Script("BEGIN; LOCK TABLE circles IN ACCESS EXCLUSIVE MODE");
    answer = std::async(std::launch::async, [this] { return admin.Get("/circles"); });
    REQUIRE(Eventually([&] { return CountWaiting(database.url()) == 1; }, 5s));
    daemon.Signal(signal);
    REQUIRE(Eventually([&] { return Refused(daemon); }, 5s));
  }

  FreshDatabase database;
  RunningDaemon daemon;
  HttpClient admin = daemon.Admin();
  db::Connection blocker{{.url = database.url()}};
  std::future<Answer> answer;
};

}  // namespace

TEST_CASE("a first start on the embedded database makes an administrator and says the password once") {
  TemporaryDirectory data;
  const std::map<std::string, std::string> no_admin = {
      {"ADMIN_EMAIL", ""}, {"ADMIN_PASSWORD_HASH", ""}, {"SECRET_KEY", ""}};
  {
    RunningDaemon first{{.data_dir = data.path(), .environment = no_admin}};
    const std::string line = FirstLineWith(first.Log(), "password");
    REQUIRE_FALSE(line.empty());
    const std::string password = line.substr(line.rfind(' ') + 1);
    CHECK(first.Client()
              .Post("/auth/login/json", {{"email", "admin@localhost"}, {"password", password}})
              .status == 200);
    CHECK(first.Client()
              .PostForm("/auth/login", {{"username", "admin@localhost"}, {"password", password}})
              .status == 200);
    struct stat secret {};
    REQUIRE(::stat((data.path() + "/secret_key").c_str(), &secret) == 0);
    CHECK((secret.st_mode & 0777) == 0600);
  }
  RunningDaemon second{{.data_dir = data.path(), .environment = no_admin}};
  CHECK(FirstLineWith(second.Log(), "password").empty());
}

TEST_CASE("what was acknowledged is there after a restart, and a revoked token stays refused") {
  TemporaryDirectory data;
  std::string revoked;
  std::int64_t id = 0;
  {
    RunningDaemon first{{.data_dir = data.path()}};
    HttpClient admin = first.Admin();
    id = admin.Post("/agents", NewAgent("Ada")).Json().at("id");
    revoked = first.AdminToken();
    HttpClient leaving = first.Client();
    leaving.Use(revoked);
    REQUIRE(leaving.Post("/auth/logout").status == 200);
    CHECK(leaving.Get("/auth/me").status == 401);
    first.Signal(SIGTERM);
    CHECK(first.Wait() == 0);
  }
  RunningDaemon second{{.data_dir = data.path()}};
  CHECK(second.Admin().Get("/agents/" + std::to_string(id)).Json().at("name") == "Ada");
  HttpClient old = second.Client();
  old.Use(revoked);
  CHECK(old.Get("/auth/me").status == 401);
}

TEST_CASE("a daemon killed under load is back within two seconds with everything it acknowledged") {
  TemporaryDirectory data;
  std::vector<std::int64_t> acknowledged;
  {
    RunningDaemon first{{.data_dir = data.path()}};
    Writers writers{first, 8};
    REQUIRE(Eventually([&] { return writers.Count() > 200; }, 20s));
    first.Signal(SIGKILL);
    CHECK(first.Wait() == 128 + SIGKILL);
    acknowledged = writers.Stop();
  }
  const auto begin = std::chrono::steady_clock::now();
  RunningDaemon second{{.data_dir = data.path()}};
  const auto took = std::chrono::steady_clock::now() - begin;
  WARN("restart after kill -9 took " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
                                     << " ms");
  CheckAllThere(second, acknowledged);
}

TEST_CASE("a PostgreSQL killed under load is started again and nothing acknowledged is lost") {
  TemporaryDirectory data;
  RunningDaemon daemon{{.data_dir = data.path()}};
  Writers writers{daemon, 8};
  REQUIRE(Eventually([&] { return writers.Count() > 200; }, 20s));
  const pid_t before = PostmasterPid(data.path());
  REQUIRE(::kill(before, SIGKILL) == 0);
  const auto begin = std::chrono::steady_clock::now();
  const std::size_t count = writers.Count();
  const bool back =
      Eventually([&] { return PostmasterPid(data.path()) != before && writers.Count() > count + 16; }, 60s);
  INFO(Talk(daemon));
  REQUIRE(back);
  const auto took = std::chrono::steady_clock::now() - begin;
  WARN("writing again after kill -9 of PostgreSQL took "
       << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms");
  CHECK(daemon.Client().Get("/health/live").status == 200);
  CheckAllThere(daemon, writers.Stop());
}

TEST_CASE("SIGTERM turns readiness off while requests are still served, then the daemon exits with 0") {
  const FreshDatabase database;
  RunningDaemon daemon{
      {.database_url = database.url(), .environment = {{"GATHERING_HTTP_DRAIN_DELAY", "2s"}}}};
  CHECK(daemon.Client().Get("/health/ready").status == 200);
  daemon.Signal(SIGTERM);
  CHECK(Eventually([&] { return daemon.Client().Get("/health/ready").status == 503; }, 2s));
  CHECK(daemon.Client().Get("/health/live").status == 200);
  CHECK(daemon.Wait() == 0);
}

TEST_CASE("a request in progress at SIGTERM is answered before the daemon exits with 0") {
  Stopping world{SIGTERM};
  world.blocker.Script("COMMIT");
  CHECK(world.answer.get().status == 200);
  CHECK(world.daemon.Wait() == 0);
}

TEST_CASE("a second SIGINT ends the daemon at once") {
  Stopping world{SIGINT};
  world.daemon.Signal(SIGINT);
  CHECK(world.daemon.Wait() == 128 + SIGINT);
  CHECK_THROWS(world.answer.get());
}

TEST_CASE("a second SIGTERM cuts off who is still being served, and the end is still an orderly one") {
  Stopping world{SIGTERM, {{"GATHERING_HTTP_DRAIN_TIMEOUT", "10m"}}};
  world.daemon.Signal(SIGTERM);
  CHECK(world.daemon.Wait() == 0);
  CHECK_THROWS(world.answer.get());
  CHECK(world.daemon.Log().find("connections were cut off") != std::string::npos);
}

TEST_CASE("a second SIGTERM cuts the drain delay short, and the end is still an orderly one") {
  const FreshDatabase database;
  RunningDaemon daemon{
      {.database_url = database.url(), .environment = {{"GATHERING_HTTP_DRAIN_DELAY", "10m"}}}};
  daemon.Signal(SIGTERM);
  REQUIRE(Eventually([&] { return daemon.Client().Get("/health/ready").status == 503; }, 5s));
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 0);
}

TEST_CASE("a signal during the start ends the daemon at once") {
  FreshDatabase database;
  db::Connection blocker{{.url = database.url()}};
  blocker.Script("BEGIN; LOCK TABLE gathering_migrations IN ACCESS EXCLUSIVE MODE");
  RunningDaemon daemon{{.database_url = database.url(), .until_listening = false}};
  REQUIRE(Eventually([&] { return CountWaiting(database.url()) == 1; }, 10s));
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 128 + SIGTERM);
}

TEST_CASE("two daemons on one database agree at once") {
  FreshDatabase database;
  RunningDaemon one{{.database_url = database.url(), .arguments = {"--migrate"}}};
  RunningDaemon two{{.database_url = database.url()}};
  HttpClient a = one.Admin();
  HttpClient b = two.Admin();
  REQUIRE(a.Post("/circles", {{"name", "shared"}}).status == 201);
  CHECK(b.Get("/circles/shared").status == 200);
  CHECK(b.Post("/circles", {{"name", "shared"}}).status == 409);
  REQUIRE(b.Post("/circles/shared/start").status == 200);
  CHECK(a.Get("/circles/shared").Json().at("status") == "running");

  const std::string token = two.AdminToken();
  HttpClient on_one = one.Client();
  on_one.Use(token);
  HttpClient on_two = two.Client();
  on_two.Use(token);
  REQUIRE(on_one.Get("/auth/me").status == 200);
  REQUIRE(on_two.Post("/auth/logout").status == 200);
  CHECK(Eventually([&] { return on_one.Get("/auth/me").status == 401; }, 2s));
}

TEST_CASE("a second daemon on the same data directory is refused") {
  RunningDaemon first{{}};
  CHECK_THROWS_WITH((RunningDaemon{{.data_dir = first.data_dir()}}), Catch::Contains("in use"));
  CHECK(first.Client().Get("/health/live").status == 200);
}

TEST_CASE("the walk of the examples runs from beginning to end") {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  const std::string command =
      "GATHERING_URL=http://" + daemon.address() + " ADMIN_EMAIL=" + std::string{kAdminEmail} +
      " ADMIN_PASSWORD=" + std::string{kAdminPassword} +
      " CIRCLE=walk " GATHERING_SOURCE_DIR "/examples/walk.sh > " + daemon.data_dir() + "/walk.txt 2>&1";
  const int status = std::system(command.c_str());
  std::ifstream in{daemon.data_dir() + "/walk.txt"};
  const std::string output{std::istreambuf_iterator<char>{in}, {}};
  INFO(output);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  for (const char* state : {"pending", "assigned", "in_progress", "in_review", "completed"}) {
    CHECK(output.find(state) != std::string::npos);
  }
}

}  // namespace gathering::test
