// `gathering cache-stats` and the control socket it asks over, with a daemon that runs.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

using Words = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

std::string ControlSocket(const std::string& data_dir) {
  return data_dir + "/control.sock";
}

ProcessResult CacheStats(Words words, Variables environment = {}, Stdout output = Stdout::kCaptured) {
  words.insert(words.begin(), "cache-stats");
  environment.try_emplace("GATHERING_CONFIG", "/dev/null");
  environment.try_emplace("HOME", "/nonexistent");
  return Run(GATHERING_BINARY, {.arguments = std::move(words),
                                .environment = std::move(environment),
                                .output = output,
                                .deadline = 60s});
}

// A daemon, and the command as somebody on its machine calls it.
class Fixture {
 public:
  explicit Fixture(Variables environment = {})
      : daemon_({.database_url = database_.url(), .environment = std::move(environment)}) {}

  RunningDaemon& daemon() { return daemon_; }
  [[nodiscard]] const std::string& database_url() const { return database_.url(); }
  [[nodiscard]] HttpClient Control() const { return HttpClient{"unix:" + ControlSocket(daemon_.data_dir())}; }

  [[nodiscard]] ProcessResult Stats(Words words = {}, Stdout output = Stdout::kCaptured) const {
    words.insert(words.end(), {"--data-dir", daemon_.data_dir()});
    return CacheStats(std::move(words), {}, output);
  }
  // What it prints, when it ends well.
  [[nodiscard]] std::string Text(Words words = {}) const {
    const ProcessResult run = Stats(std::move(words));
    INFO(run.err);
    REQUIRE(run.code == 0);
    return run.out;
  }

  // The token of a new user who is no administrator.
  [[nodiscard]] std::string UserToken() const {
    HttpClient client = daemon_.Client();
    const std::string email = "ada@example.com";
    const std::string password = "Correct-Horse-2026";
    client.Post("/auth/register", {{"email", email}, {"password", password}, {"name", "Ada"}});
    return client.PostForm("/auth/login", {{"username", email}, {"password", password}})
        .Json()
        .at("access_token");
  }

 private:
  FreshDatabase database_;
  RunningDaemon daemon_;
};

json CacheOf(const json& look, const std::string& name) {
  for (const json& cache : look.at("caches")) {
    if (cache.at("name") == name) return cache;
  }
  return nullptr;
}

}  // namespace

// --- what it prints --------------------------------------------------------------------------------

TEST_CASE("one look is a table with a row for each cache", "[cache-stats]") {
  const Fixture& fixture = Shared<Fixture>();
  const std::vector<std::string> lines = LinesOf(fixture.Text());
  REQUIRE(lines.size() >= 4);
  CHECK(Contains(lines[0], "evicted"));
  for (const char* column : {"cache", "policy", "entries", "bytes", "hit %", "hits/s", "loads", "failed",
                             "for entries", "for bytes", "expired", "invalidated", "oldest"}) {
    CHECK(Contains(lines[1], column));
  }
  const auto tokens =
      std::ranges::find_if(lines, [](const std::string& line) { return line.starts_with("tokens "); });
  REQUIRE(tokens != lines.end());
  CHECK(Contains(*tokens, " lru "));
  CHECK(Contains(*tokens, "0/10k"));
  CHECK(Contains(*tokens, "/16 MiB"));
}

TEST_CASE("as JSON a look is one line with a schema, and a rate takes two", "[cache-stats]") {
  Fixture fixture;
  HttpClient admin = fixture.daemon().Admin();
  for (int i = 0; i < 5; ++i) admin.Get("/auth/me");
  const json look = json::parse(fixture.Text({"--output", "json"}));
  CHECK(look.at("schema") == 1);
  CHECK(look.at("instances").empty());
  const json tokens = CacheOf(look, "tokens");
  CHECK(tokens.at("entries") == 1);
  const double hits = tokens.at("hits");
  CHECK(hits >= 1);
  CHECK(tokens.at("hit_ratio") == Approx(hits / (hits + tokens.at("misses").get<double>())));
  CHECK(tokens.at("hits_per_second").is_null());
  CHECK(tokens.at("evictions").at("expired") == 0);

  const auto lines = LinesOf(fixture.Text({"--output", "json", "--watch", "100ms", "--count", "3"}));
  REQUIRE(lines.size() == 3);
  CHECK(CacheOf(json::parse(lines[0]), "tokens").at("hits_per_second").is_null());
  CHECK(CacheOf(json::parse(lines[2]), "tokens").at("hits_per_second") == 0.0);
}

TEST_CASE("as CSV every look has its rows under one header", "[cache-stats]") {
  const Fixture& fixture = Shared<Fixture>();
  const std::string text = fixture.Text({"--output", "csv", "--watch", "100ms", "--count", "2"});
  const auto lines = LinesOf(text);
  CHECK(lines.size() % 2 == 1);
  CHECK(lines[0].starts_with("time,instances,cache,policy,entries,"));
  const auto commas = std::ranges::count(lines[0], ',');
  for (const std::string& line : lines) {
    CHECK(line.ends_with('\r'));
    CHECK(std::ranges::count(line, ',') == commas);
  }
  CHECK(std::ranges::count_if(lines, [](const std::string& line) { return Contains(line, ",tokens,"); }) ==
        2);
}

TEST_CASE("for Prometheus every metric has its help, its type and base units", "[cache-stats]") {
  const Fixture& fixture = Shared<Fixture>();
  const std::string text = fixture.Text({"--output", "prometheus"});
  CHECK(Contains(text, "# TYPE gathering_cache_entries gauge\n"));
  CHECK(Contains(text, "gathering_cache_entries{cache=\"tokens\"} 0\n"));
  CHECK(Contains(text, "gathering_cache_entries_max{cache=\"tokens\"} 10000\n"));
  CHECK(Contains(text, "# TYPE gathering_cache_evictions_total counter\n"));
  CHECK(Contains(text, "gathering_cache_evictions_total{cache=\"tokens\",cause=\"expired\"} 0\n"));
  CHECK(Contains(text, "gathering_cache_load_seconds_total{cache=\"tokens\"} 0\n"));
  CHECK_FALSE(Contains(text, "gathering_cache_hit_ratio{cache=\"tokens\"}"));  // nothing was asked for
  std::string last;
  for (const std::string& line : LinesOf(text)) {
    INFO(line);
    if (line.starts_with("# HELP ")) {
      last = line.substr(7, line.find(' ', 7) - 7);
      continue;
    }
    if (line.starts_with("# TYPE ")) {
      CHECK(line.starts_with("# TYPE " + last + " "));
      CHECK(line.ends_with(last.ends_with("_total") ? " counter" : " gauge"));
      continue;
    }
    CHECK(line.starts_with(last + "{cache=\""));
    double value = -1;
    CHECK(static_cast<bool>(std::istringstream{line.substr(line.rfind(' '))} >> value));
    CHECK(value >= 0);
  }
}

TEST_CASE("one cache comes with advice, and an unknown one is answered with those there are",
          "[cache-stats]") {
  const Fixture& fixture = Shared<Fixture>();
  const std::string text = fixture.Text({"--cache", "tokens"});
  CHECK_FALSE(Contains(text, "event_history"));
  CHECK(Contains(text, "tokens: nothing was asked for yet\n"));
  CHECK(Contains(text, "what other sizes would bring is not known yet\n"));
  const ProcessResult unknown = fixture.Stats({"--cache", "tokns"});
  CHECK(unknown.code == 2);
  CHECK(Contains(unknown.err, "there is no cache 'tokns'; there are "));
  CHECK(Contains(unknown.err, "did you mean 'tokens'?"));
}

// --- watching --------------------------------------------------------------------------------------

TEST_CASE("watched elsewhere than on a terminal, each table stands under its time", "[cache-stats]") {
  const Fixture& fixture = Shared<Fixture>();
  const std::string text = fixture.Text({"--watch", "100ms", "--count", "3"});
  CHECK_FALSE(Contains(text, "\x1b"));
  const auto lines = LinesOf(text);
  CHECK(std::ranges::count_if(lines, [](const std::string& line) {
          return line.starts_with("20") && line.ends_with('Z');
        }) == 3);
  CHECK(std::ranges::count_if(lines, [](const std::string& line) { return line.starts_with("tokens "); }) ==
        3);
}

TEST_CASE("watched on a terminal it redraws", "[cache-stats]") {
  Fixture fixture;
  const std::string command = std::string{GATHERING_BINARY} +
                              " cache-stats --watch 100ms --count 2 --data-dir " +
                              fixture.daemon().data_dir();
  const ProcessResult run = Run("/usr/bin/script", {.arguments = {"-qec", command, "/dev/null"},
                                                    .environment = {{"GATHERING_CONFIG", "/dev/null"}},
                                                    .deadline = 60s});
  CHECK(run.code == 0);
  const std::string clear = "\x1b[2J\x1b[H20";
  const std::size_t first = run.out.find(clear);
  REQUIRE(first != std::string::npos);
  CHECK(run.out.find(clear, first + 1) != std::string::npos);
}

TEST_CASE("watching ends with 130 at SIGINT, and with 0 when nobody reads any more", "[cache-stats]") {
  Fixture fixture;
  const ProcessResult interrupted =
      Run("/usr/bin/timeout",
          {.arguments = {"--preserve-status", "-s", "INT", "1", GATHERING_BINARY, "cache-stats", "--watch",
                         "100ms", "--data-dir", fixture.daemon().data_dir()},
           .environment = {{"GATHERING_CONFIG", "/dev/null"}},
           .deadline = 60s});
  CHECK(interrupted.code == 130);
  CHECK(interrupted.err.empty());
  CHECK(fixture.Stats({"--watch", "100ms"}, Stdout::kReaderGone).code == 0);
}

TEST_CASE("what contradicts itself is wrong use", "[cache-stats]") {
  const Fixture& fixture = Shared<Fixture>();
  for (const Words& words : {Words{"--count", "3"}, Words{"--watch", "0s"}, Words{"--watch", "1ms"},
                             Words{"--output", "xml"}, Words{"--watch", "--output", "prometheus"},
                             Words{"--token-file", "/dev/null"}, Words{"--url", "ftp://x"}}) {
    INFO(words.front());
    CHECK(fixture.Stats(words).code == 2);
  }
}

// --- checking --------------------------------------------------------------------------------------

TEST_CASE("a check ends as a Nagios plugin does, with one line", "[cache-stats]") {
  const Fixture& fixture = Shared<Fixture>();
  const auto check = [&](const Words& conditions) {
    Words words;
    for (const std::string& condition : conditions) words.insert(words.end(), {"--check", condition});
    ProcessResult run = fixture.Stats(words);
    CHECK(LinesOf(run.out).size() == 1);
    CHECK(run.err.empty());
    return run;
  };
  const ProcessResult well = check({"load_failures>0", "warn:fill>0.9"});
  CHECK(well.code == 0);
  CHECK(well.out.starts_with("CACHES OK - "));
  CHECK(Contains(well.out, "| "));
  CHECK(Contains(well.out, "'tokens.entries'=0;;;0;10000"));
  const ProcessResult warning = check({"warn:tokens:entries>=0", "refused>0"});
  CHECK(warning.code == 1);
  CHECK(warning.out.starts_with("CACHES WARNING - tokens: entries is 0, >=0 |"));
  const ProcessResult critical = check({"warn:entries>=0", "tokens:entries<1"});
  CHECK(critical.code == 2);
  CHECK(critical.out.starts_with("CACHES CRITICAL - tokens: entries is 0, <1; "));
  CHECK(check({"tokens:hit_ratio<=1"}).code == 0);  // nothing was asked for
  CHECK(check({"tokns:entries>0"}).code == 3);
  CHECK(check({"entries=0"}).code == 3);
  const ProcessResult unknown = check({"hits>0"});
  CHECK(unknown.code == 3);
  CHECK(unknown.out.starts_with("CACHES UNKNOWN - "));
}

TEST_CASE("a check of a daemon that is away is unknown", "[cache-stats]") {
  const TemporaryDirectory directory;
  const ProcessResult run = CacheStats({"--check", "hit_ratio<0.6", "--data-dir", directory.path()});
  CHECK(run.code == 3);
  CHECK(run.out.starts_with("CACHES UNKNOWN - no daemon answers at " + ControlSocket(directory.path())));
}

// --- whom it asks ----------------------------------------------------------------------------------

TEST_CASE("a daemon that is away ends it with 69 and a sentence, also when it left its socket",
          "[cache-stats]") {
  Fixture fixture;
  const std::string sentence = "gathering: no daemon answers at " +
                               ControlSocket(fixture.daemon().data_dir()) +
                               "; start it with gathering serve, or give --url\n";
  fixture.daemon().Signal(SIGKILL);
  CHECK(fixture.daemon().Wait() == 128 + SIGKILL);
  CHECK(std::filesystem::is_socket(ControlSocket(fixture.daemon().data_dir())));
  ProcessResult run = fixture.Stats();
  CHECK(run.code == 69);
  CHECK(run.out.empty());
  CHECK(run.err == sentence);
  std::filesystem::remove(ControlSocket(fixture.daemon().data_dir()));
  run = fixture.Stats();
  CHECK(run.code == 69);
  CHECK(run.err == sentence);
  CHECK(CacheStats({"--url", "http://127.0.0.1:1"}).code == 69);
}

TEST_CASE("a daemon elsewhere is asked with an administrator's token", "[cache-stats]") {
  Fixture fixture;
  const std::string url = "http://" + fixture.daemon().address();
  const ProcessResult without = CacheStats({"--url", url});
  CHECK(without.code == 1);
  CHECK(Contains(without.err, "GATHERING_TOKEN"));
  const std::string token = fixture.daemon().AdminToken();
  const ProcessResult with = CacheStats({"--url", url + "/"}, {{"GATHERING_TOKEN", token}});
  CHECK(with.code == 0);
  CHECK(with.err.empty());
  CHECK(Contains(with.out, "tokens "));
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/token";
  std::ofstream{file} << token << "\n";
  CHECK(CacheStats({"--url", url, "--token-file", file}).code == 0);
  CHECK(CacheStats({"--url", url, "--token-file", file + ".none"}).code == 2);
  const ProcessResult user = CacheStats({"--url", url}, {{"GATHERING_TOKEN", fixture.UserToken()}});
  CHECK(user.code == 1);
  CHECK(Contains(user.err, "the token is not an administrator's"));
}

TEST_CASE("daemons on one database are shown together", "[cache-stats]") {
  Fixture fixture;
  auto other = std::make_unique<RunningDaemon>(DaemonOptions{.database_url = fixture.database_url()});
  HttpClient admin = other->Admin();
  admin.Get("/auth/me");
  const auto look = [&] { return json::parse(fixture.Text({"--all-instances", "--output", "json"})); };
  Await([&] { return look().at("instances").size() == 2; });
  json both = look();
  CHECK(CacheOf(both, "tokens").at("entries_max") == 20'000);
  std::set<std::string> names;
  for (const json& instance : both.at("instances")) {
    names.insert(instance.at("name"));
    CHECK(CacheOf(instance, "tokens").at("entries_max") == 10'000);
  }
  CHECK(names.size() == 2);
  CHECK(Contains(fixture.Text({"--all-instances"}), "2 instances together: "));
  CHECK(Contains(fixture.Text({"--all-instances", "--output", "prometheus"}), "\ngathering_instances 2\n"));
  // What the other one remembers is told within seconds.
  Await([&] { return CacheOf(look(), "tokens").at("entries") == 1; });
  other.reset();
  Await([&] { return look().at("instances").size() == 1; });  // it said goodbye
}

// --- the control socket ----------------------------------------------------------------------------

TEST_CASE("the control socket is its owner's alone, and goes with the daemon", "[control]") {
  Fixture fixture;
  const std::string path = ControlSocket(fixture.daemon().data_dir());
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK(S_ISSOCK(found.st_mode));
  CHECK((found.st_mode & 0777) == 0600);
  CHECK(Contains(fixture.daemon().Log(), "unix:" + path));
  fixture.daemon().Signal(SIGTERM);
  CHECK(fixture.daemon().Wait() == 0);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("who may open the control socket is administrator without a token", "[control]") {
  Fixture fixture;
  HttpClient control = fixture.Control();
  CHECK(control.Get("/health/caches").status == 200);
  const Answer me = control.Get("/auth/me");
  CHECK(me.status == 200);
  CHECK(me.Json().at("role") == "admin");
  CHECK(control.Post("/circles", {{"name", "crew"}}).status == 201);
  db::Connection connection{{.url = fixture.database_url()}};
  CHECK(connection.Execute("SELECT created_by FROM circles WHERE name = 'crew'").As<std::string>(0) ==
        "control");
  const Headers once = {{"Idempotency-Key", "k1"}, {"Content-Type", "application/json"}};
  CHECK(control.Send("POST", "/circles", once, R"({"name": "band"})").status == 201);
  CHECK(control.Send("POST", "/circles", once, R"({"name": "band"})").status == 201);
  CHECK(control.Post("/auth/logout").status == 401);  // nobody logged in
  CHECK(control.Delete("/circles/crew").status < 300);

  control.Use(fixture.UserToken());  // a token says who it is all the same
  CHECK(control.Get("/health/caches").status == 403);
  control.Use("nonsense");
  CHECK(control.Get("/health/caches").status == 401);
}

TEST_CASE("nobody is administrator by saying so elsewhere", "[control]") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/clients.sock";
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url(),
                              .arguments = {"--listen", "unix:" + path},
                              .environment = {{"GATHERING_RATE_LIMITS_TRUSTED_PROXIES", "unix,127.0.0.1"}}}};
  for (const std::string& address : {daemon.address(), "unix:" + path}) {
    INFO(address);
    CHECK(HttpClient{address}.Get("/health/caches").status == 401);
    for (const char* name : {"X-Forwarded-For", "Forwarded", "X-Real-IP", "Host", "Peer"}) {
      const Answer answer = HttpClient{address}.Send("GET", "/health/caches", {{name, "control"}});
      CHECK(answer.status >= 400);
      CHECK(answer.status < 500);
    }
  }
}

TEST_CASE("no limit counts what comes by the control socket", "[control]") {
  Fixture fixture{{{"GATHERING_RATE_LIMITS_ENABLED", "true"},
                   {"GATHERING_RATE_LIMITS_HEALTH", "1/hour"},
                   {"GATHERING_HTTP_LIMITS_CONNECTIONS_PER_ADDRESS_MAX", "1"}}};
  std::vector<HttpClient> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(fixture.Control());
    for (int j = 0; j < 3; ++j) {
      const Answer answer = clients.back().Get("/health/caches");
      CHECK(answer.status == 200);
      CHECK_FALSE(answer.Header("X-RateLimit-Limit"));
    }
  }
  HttpClient other = fixture.daemon().Client();
  CHECK(other.Get("/health/live").status == 200);
  CHECK(other.Get("/health/live").status == 429);
}

TEST_CASE("the default socket that cannot be is only warned about, a named one must be", "[control]") {
  const FreshDatabase database;
  const TemporaryDirectory directory;
  const std::string deep = directory.path() + "/" + std::string(120, 'd');
  std::filesystem::create_directory(deep);
  {
    const RunningDaemon daemon{{.database_url = database.url(), .data_dir = deep}};
    CHECK(daemon.Client().Get("/health/live").status == 200);
    CHECK(Contains(daemon.Log(), "there is no control socket"));
    const ProcessResult run = CacheStats({"--data-dir", deep});
    CHECK(run.code == 69);
    CHECK(Contains(run.err, "no daemon answers at"));
  }
  const auto start = [&](const std::string& socket) {
    return RunningDaemon{
        {.database_url = database.url(), .environment = {{"GATHERING_HTTP_CONTROL_SOCKET", socket}}}};
  };
  CHECK_THROWS_WITH(start("/nonexistent/g.sock"),
                    Catch::Contains("cannot listen on unix:/nonexistent/g.sock"));
  const RunningDaemon daemon = start("none");
  CHECK_FALSE(std::filesystem::exists(ControlSocket(daemon.data_dir())));
  CHECK_FALSE(Contains(daemon.Log(), "there is no control socket"));
}

TEST_CASE("two daemons on one data directory: the second has no control socket, the first keeps its own",
          "[control]") {
  Fixture fixture;
  const std::string path = ControlSocket(fixture.daemon().data_dir());
  {
    const RunningDaemon second{
        {.database_url = fixture.database_url(), .data_dir = fixture.daemon().data_dir()}};
    CHECK(Contains(second.Log(), "another process listens there"));
  }
  CHECK(std::filesystem::is_socket(path));
  CHECK(fixture.Control().Get("/health/caches").status == 200);
}

}  // namespace gathering::test
