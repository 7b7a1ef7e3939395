// SIGHUP: what a configuration that is read again changes in a daemon that goes on, and what it does not.
#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/event_source.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/notifications.h"
#include "tests/support/postgres.h"
#include "tests/support/raw_client.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::string_view kRefused = "the configuration was not read again";

// A daemon whose configuration is a file, and its service manager, who hears when it has read it.
class World {
 public:
  explicit World(std::string_view text, std::map<std::string, std::string> environment = {})
      : daemon_(Options(text, std::move(environment))),
        admin_("unix:" + daemon_.data_dir() + "/control.sock") {
    heard_.Await("READY=1");
  }

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] RunningDaemon& daemon() { return daemon_; }
  [[nodiscard]] Notifications& heard() { return heard_; }
  [[nodiscard]] const FreshDatabase& database() const { return database_; }
  [[nodiscard]] HttpClient& admin() { return admin_; }  // needs no token and is not limited

  void Write(std::string_view text) const {
    fs::remove_all(file_);
    std::ofstream{file_} << text;
  }
  // Whether the new one is in force.
  bool Reload() {
    daemon_.Signal(SIGHUP);
    heard_.Await("RELOADING=1");
    return heard_.Await("READY=1").find("not read again") == std::string::npos;
  }
  bool Reload(std::string_view text) {
    Write(text);
    return Reload();
  }
  // Lines of the log with this message.
  [[nodiscard]] std::vector<json> Lines(std::string_view message) const {
    std::vector<json> lines;
    std::istringstream log{daemon_.Log()};
    for (std::string line; std::getline(log, line);) {
      json parsed = json::parse(line, nullptr, false);
      if (parsed.is_object() && parsed.value("msg", "") == message) lines.push_back(std::move(parsed));
    }
    return lines;
  }
  [[nodiscard]] json AwaitLine(std::string_view message, std::size_t number) const {
    Await([&] { return Lines(message).size() >= number; });
    return Lines(message).at(number - 1);
  }
  [[nodiscard]] json CacheOf(std::string_view name) {
    const json report = admin_.Get("/health/caches").Json();
    for (const json& cache : report.at("caches")) {
      if (cache.at("name") == name) return cache;
    }
    FAIL("there is no cache " << name);
    return {};
  }

 private:
  DaemonOptions Options(std::string_view text, std::map<std::string, std::string> environment) {
    Write(text);
    environment["NOTIFY_SOCKET"] = heard_.name();
    environment.try_emplace("GATHERING_RATE_LIMITS_ENABLED", "");  // the file says
    return {.database_url = database_.url(),
            .arguments = {"--config", file_},
            .environment = std::move(environment)};
  }

  TemporaryDirectory directory_;
  const std::string file_ = directory_.path() + "/gathering.toml";
  Notifications heard_{directory_.path() + "/notify"};
  FreshDatabase database_;
  RunningDaemon daemon_;
  HttpClient admin_;
};

std::string AskFrom(std::string_view path, std::string_view origin) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: test\r\nOrigin: {}\r\n\r\n", path, origin);
}

json NewAgent(std::string_view name) {
  return {{"persona", {{"name", name}, {"role", "Developer"}}}};
}

}  // namespace

TEST_CASE("a reload changes limits, origins and the log's level for a connection that stays open") {
  World world{"[rate_limits]\nhealth = \"300/day\"\n[http]\ncors_origins = [\"https://old.example\"]\n"};
  RawClient client{world.daemon().address()};
  const auto ask = [&](std::string_view origin) {
    auto answer = client.Exchange(AskFrom("/health/live", origin));
    REQUIRE(answer);  // it is the same connection
    return *std::move(answer);
  };
  CHECK(ask("https://old.example").Header("X-RateLimit-Limit") == "300");
  CHECK(ask("https://old.example").Header("Access-Control-Allow-Origin") == "https://old.example");
  CHECK_FALSE(ask("https://new.example").Has("Access-Control-Allow-Origin"));
  CHECK(world.Lines("request").empty());  // probes are told at level debug

  REQUIRE(
      world.Reload("[rate_limits]\nhealth = \"200/day\"\n"
                   "[http]\ncors_origins = [\"https://new.example\"]\n[log]\nlevel = \"debug\"\n"));
  const RawResponse after = ask("https://new.example");
  CHECK(after.Header("X-RateLimit-Limit") == "200");
  CHECK(after.Header("X-RateLimit-Remaining") == "196");  // what was counted still is
  CHECK(after.Header("Access-Control-Allow-Origin") == "https://new.example");
  CHECK_FALSE(ask("https://old.example").Has("Access-Control-Allow-Origin"));
  CHECK(world.AwaitLine("request", 1).at("route") == "health.live");
}

TEST_CASE("a reload changes every cache's bounds, within the budget that it changes, too") {
  World world{""};
  CHECK(world.CacheOf("agents").at("entries_max") == 10'000);
  std::string text = "[caches]\nbytes = \"4MiB\"\n";
  const std::vector<std::string> names = {"tokens",  "event_history", "agents",    "sessions",
                                          "circles", "personas",      "providers", "models"};
  for (const std::string& name : names)
    text += fmt::format("[caches.{}]\nentries = 320\nbytes = \"1MiB\"\n", name);
  REQUIRE(world.Reload(text));
  CHECK(world.admin().Get("/health/caches").Json().at("budget_bytes") == 4 * 1'048'576);
  CHECK(world.admin().Get("/health/caches").Json().at("part") == 0.5);
  for (const std::string& name : names) {
    INFO(name);
    const bool gives_way = name != "event_history";
    CHECK(world.CacheOf(name).at("entries_max") == (gives_way ? 160 : 320));
    CHECK(world.CacheOf(name).at("bytes_max") == (gives_way ? 524'288 : 1'048'576));
  }
  REQUIRE(world.Reload(""));
  CHECK(world.CacheOf("agents").at("entries_max") == 10'000);
  CHECK(world.CacheOf("agents").at("bytes_max") == 32 * 1'048'576);
  CHECK(world.admin().Get("/health/caches").Json().at("part") == 1);
}

TEST_CASE("a shorter lifetime holds for what is remembered already") {
  World world{"[rate_limits]\nenabled = false\n"};
  Await([&] { return world.admin().Get("/health/caches").Json().at("current") == true; });
  Await([&] {
    return world.admin().Get("/personas/1").status == 200 && world.CacheOf("personas").at("hits") > 0;
  });
  CHECK(world.CacheOf("personas").at("evictions").at("expired") == 0);
  REQUIRE(world.Reload("[rate_limits]\nenabled = false\n[caches.personas]\nttl = \"10ms\"\n"));
  Await([&] {
    return world.admin().Get("/personas/1").status == 200 &&
           world.CacheOf("personas").at("evictions").at("expired") > 0;
  });
}

TEST_CASE("a reload changes which requests are slow") {
  World world{"[log]\nslow_request = \"1h\"\n"};
  REQUIRE(world.admin().Get("/circles").status == 200);
  REQUIRE(world.Reload("[log]\nslow_request = \"1ms\"\n"));
  Await([&] {
    static_cast<void>(
        world.admin().Post("/auth/login/json", {{"email", "nobody@example.com"}, {"password", "p"}}));
    return !world.Lines("slow request").empty();  // a password takes its time
  });
  for (const json& line : world.Lines("slow request")) CHECK(line.at("route") != "circles.list");
}

TEST_CASE("a reload changes how long keys are remembered, how streams live and how it stops") {
  World world{"[rate_limits]\nenabled = false\n"};
  const auto post = [&] {
    return world.admin().Send("POST", "/circles",
                              {{"Content-Type", "application/json"}, {"Idempotency-Key", "k"}},
                              R"({"name":"crew"})");
  };
  REQUIRE(post().status == 201);
  REQUIRE(post().Header("Idempotency-Replayed") == "true");
  db::Connection sql{{.url = world.database().url()}};
  sql.Script("UPDATE idempotency_keys SET created_at = created_at - interval '1 hour'");
  REQUIRE(post().status == 201);

  REQUIRE(
      world.Reload("[rate_limits]\nenabled = false\n[streams]\nheartbeat = \"100ms\"\n"
                   "[http]\nidempotency_ttl = \"10m\"\ndrain_delay = \"1ms\"\ndrain_timeout = \"7s\"\n"));
  CHECK(post().status == 409);  // done again: there is such a circle
  EventSource stream{"unix:" + world.daemon().data_dir() + "/control.sock", "/events/stream"};
  Await([&] {
    static_cast<void>(stream.Next(5ms));
    return stream.comments() > 0;
  });
  world.daemon().Signal(SIGTERM);
  const std::string stopping = world.heard().Await("STOPPING=1");
  CHECK(ValueIn(stopping, "EXTEND_TIMEOUT_USEC") == "37001000");
}

TEST_CASE("a reload waits for no request and cuts none off") {
  World world{"[rate_limits]\nenabled = false\n"};
  REQUIRE(world.admin().Post("/agents", NewAgent("Ada")).status == 201);
  db::Connection sql{{.url = world.database().url()}};
  sql.Script("BEGIN; LOCK TABLE agents IN ACCESS EXCLUSIVE MODE");
  RawClient slow{"unix:" + world.daemon().data_dir() + "/control.sock"};
  REQUIRE(slow.Send("GET /agents/1 HTTP/1.1\r\nHost: test\r\n\r\n"));
  Await([&] {
    return world.admin().Get("/health/database").Json().dump().find("\"in_flight\":1") != std::string::npos;
  });
  REQUIRE(world.Reload("[rate_limits]\nenabled = false\n[caches.agents]\nentries = 5\n"));
  sql.Script("COMMIT");
  const auto answer = slow.Receive();
  REQUIRE(answer);
  CHECK(answer->status == 200);
}

TEST_CASE("the log names what a reload changed, what takes a restart, and no secret") {
  World world{""};
  REQUIRE(
      world.Reload("log.level = \"debug\"\n[caches.agents]\nentries = 77\n[http]\nloops = 3\n"
                   "[rate_limits]\nredis_url = \"redis://:hunter2@127.0.0.1:1\"\n"));
  const json first = world.AwaitLine("setting changed", 2);
  CHECK(world.Lines("setting changed").at(0).at("key") == "caches.agents.entries");
  CHECK(world.Lines("setting changed").at(0).at("before") == "10000");
  CHECK(world.Lines("setting changed").at(0).at("after") == "77");
  CHECK(first.at("key") == "log.level");
  CHECK(first.at("before") == "\"info\"");
  CHECK(first.at("after") == "\"debug\"");
  CHECK(world.AwaitLine("configuration read again", 1).at("changed") == 2);
  CHECK(world.AwaitLine("some settings take a restart", 1).at("keys") == "http.loops, rate_limits.redis_url");

  // Read again as it is: nothing changes, what takes a restart is still not in force.
  REQUIRE(world.Reload());
  CHECK(world.AwaitLine("configuration read again", 2).at("changed") == 0);
  CHECK(world.AwaitLine("some settings take a restart", 2).at("keys") == "http.loops, rate_limits.redis_url");

  // Taken back: against what is in force, only one thing differs.
  REQUIRE(world.Reload("[caches.agents]\nentries = 77\n[log]\nlevel = \"error\"\n"));
  CHECK(world.AwaitLine("configuration read again", 3).at("changed") == 1);
  CHECK(world.Lines("some settings take a restart").size() == 2);
  CHECK(world.daemon().Log().find("hunter2") == std::string::npos);
}

TEST_CASE("a reload while requests come at full speed loses none and shows none a mixture") {
  const auto text = [](std::string_view origin, int entries) {
    return fmt::format(
        "[rate_limits]\nenabled = false\n[caches.agents]\nentries = {}\n[http]\ncors_origins = [\"{}\"]\n"
        "[http.limits]\nrequests_per_connection_max = 1000000000\n",
        entries, origin);
  };
  const std::string one = text("https://one.example", 100);
  const std::string two = text("https://two.example", 5'000);
  World world{one};
  REQUIRE(world.admin().Post("/agents", NewAgent("Ada")).status == 201);
  const std::string token = world.daemon().AdminToken();
  std::atomic<int> asked = 0;
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> askers;
    for (const std::string origin : {"https://one.example", "https://two.example", "https://one.example"}) {
      askers.emplace_back([&, origin](const std::stop_token& stop) {
        RawClient client{world.daemon().address()};
        const std::string request = fmt::format(
            "GET /agents/1 HTTP/1.1\r\nHost: test\r\nOrigin: {}\r\nAuthorization: Bearer {}\r\n\r\n", origin,
            token);
        while (!stop.stop_requested()) {
          const auto answer = client.Exchange(request);
          const bool right = answer && answer->status == 200 &&
                             (!answer->Has("Access-Control-Allow-Origin") ||
                              answer->Header("Access-Control-Allow-Origin") == origin);
          ++(right ? asked : wrong);
          if (!answer) return;
        }
      });
    }
    for (int i = 0; i < 40; ++i) {
      const int before = asked;
      CHECK(world.Reload(i % 4 == 3   ? "caches.agents.entries = 0\n"
                         : i % 2 == 0 ? two
                                      : one) == (i % 4 != 3));
      Await([&] { return asked > before || wrong > 0; });
    }
  }
  CHECK(wrong == 0);
  CHECK(asked > 40);
}

// --- what is wrong --------------------------------------------------------------------------------

namespace {

// A way to spoil the file, and what has to be said of it: so many lines, and among them this.
struct Broken {
  std::string_view name;
  std::function<void(const World&)> spoil;
  std::size_t problems;
  std::string_view said;
};

std::function<void(const World&)> Text(std::string_view text) {
  return [text = std::string{text}](const World& world) { world.Write(text); };
}

const std::vector<Broken>& BrokenFiles() {
  using namespace std::string_view_literals;
  static const std::vector<Broken> all = {
      {"a bracket is missing", Text("[caches\nbytes = 5"), 1, "gathering.toml:1:"},
      {"a key twice", Text("log.level = \"debug\"\nlog.level = \"info\""), 1, "gathering.toml:2:"},
      {"an unknown key", Text("caches.agents.entires = 5"), 1, "did you mean 'caches.agents.entries'?"},
      {"an unknown table", Text("[cache]\nbytes = 5"), 1, "unknown key"},
      {"too small", Text("caches.agents.entries = 0"), 1, "a number from 1 to"},
      {"too large", Text("caches.agents.ttl = \"25h\""), 1, "a duration from"},
      {"negative", Text("caches.bytes = -1"), 1, "a number of bytes"},
      {"not a whole number", Text("caches.agents.entries = 1e30"), 1, "caches.agents.entries"},
      {"another type", Text("caches.agents.ttl = 5"), 1, "caches.agents.ttl"},
      {"a list of numbers", Text("http.cors_origins = [1, 2]"), 1, "a list of strings"},
      {"an empty duration", Text("streams.heartbeat = \"\""), 1, "streams.heartbeat"},
      {"an empty level", Text("log.level = \"\""), 1, "one of debug, info"},
      {"a contradiction", Text("[http.limits]\npath_bytes_max = 9000"), 1,
       "is above http.limits.request_line"},
      {"a limit that is none", Text("rate_limits.read = \"often\""), 1, "rate_limits.read"},
      {"a route that is none", Text("rate_limits.routes = [\"agents.lust=5/minute\"]"), 1,
       "there is no route 'agents.lust'"},
      {"what is good beside what is not",
       Text("[caches.agents]\nentries = 7\n[http]\ncors_origins = [\"https://c.example\"]\n"
            "[rate_limits]\nhealth = \"7/minute\"\n[log]\nlevel = \"loud\""),
       1, "log.level"},
      {"five things at once",
       Text("nonsense = 1\ncaches.agents.entries = 0\ncaches.bytes = \"much\"\nlog.level = \"loud\"\n"
            "rate_limits.read = \"often\""),
       5, "unknown key 'nonsense'"},
      {"not UTF-8", Text("http.cors_origins = [\"https://\xff\xfe\"]"), 1, "gathering.toml:1:"},
      {"a zero byte", Text("log.level = \"de\0bug\""sv), 1, "gathering.toml:1:"},
      {"bytes of no meaning",
       Text("\x7f"
            "ELF\x02\x01\x01"),
       1, "gathering.toml:1:"},
      {"more than may be read", Text(std::string(1'100'000, '\n')), 1, "is over 1048576 bytes"},
      {"a secret's file is gone", Text("auth.secret_key_file = \"/nonexistent/key\""), 1,
       "cannot read /nonexistent/key"},
      {"gone", [](const World& world) { fs::remove_all(world.file()); }, 1, "No such file or directory"},
      {"a directory",
       [](const World& world) {
         fs::remove_all(world.file());
         fs::create_directory(world.file());
       },
       1, "it is a directory"},
      {"a link to itself",
       [](const World& world) {
         fs::remove_all(world.file());
         fs::create_symlink(world.file(), world.file());
       },
       1, "cannot read"},
      {"a pipe",
       [](const World& world) {
         fs::remove_all(world.file());
         REQUIRE(::mkfifo(world.file().c_str(), 0600) == 0);
       },
       1, "it is a pipe"},
  };
  return all;
}

// What shows from outside of what a reload may change.
json VisibleOf(World& world) {
  json visible;
  const json report = world.admin().Get("/health/caches").Json();
  for (const json& cache : report.at("caches"))
    visible[cache.at("name").get<std::string>()] = {cache.at("entries_max"), cache.at("bytes_max"),
                                                    cache.at("policy")};
  visible["budget"] = report.at("budget_bytes");
  RawClient client{world.daemon().address()};
  const auto live = client.Exchange(AskFrom("/health/live", "https://a.example"));
  REQUIRE(live);
  visible["status"] = live->status;
  visible["body"] = live->body;
  for (const char* name : {"X-RateLimit-Limit", "Access-Control-Allow-Origin", "RateLimit-Policy"})
    visible[name] = live->Header(name);
  return visible;
}

}  // namespace

TEST_CASE("a hundred broken configurations change nothing, and each is told with all its problems") {
  constexpr std::size_t kRounds = 4;
  World world{
      "[caches]\nbytes = \"64MiB\"\n[caches.agents]\nentries = 640\n[rate_limits]\nhealth = "
      "\"100000/minute\"\n"
      "[http]\ncors_origins = [\"https://a.example\"]\n"};
  const json before = VisibleOf(world);
  REQUIRE(before.at("X-RateLimit-Limit") == "100000");
  std::size_t told = 0;
  std::size_t spoilt = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (const Broken& broken : BrokenFiles()) {
      INFO(broken.name);
      broken.spoil(world);
      CHECK_FALSE(world.Reload());
      ++spoilt;
      told += broken.problems;
      Await([&] { return world.Lines(kRefused).size() >= told; });
      const auto lines = world.Lines(kRefused);
      CHECK(lines.size() == told);
      const bool said = std::any_of(
          lines.end() - static_cast<std::ptrdiff_t>(broken.problems), lines.end(), [&](const json& line) {
            return line.at("problem").get<std::string>().find(broken.said) != std::string::npos;
          });
      CHECK(said);
      if (round == 0) CHECK(VisibleOf(world) == before);
    }
  }
  CHECK(spoilt >= 100);
  CHECK(VisibleOf(world) == before);
  CHECK(world.Lines("setting changed").empty());
  CHECK(world.Reload("[caches.agents]\nentries = 64\n"));  // and it still listens
  CHECK(world.CacheOf("agents").at("entries_max") == 64);
}

}  // namespace gathering::test
