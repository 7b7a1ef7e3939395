// Rate limits as clients and operators meet them.
#include <catch2/catch.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>

#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/raw_client.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

using Environment = std::map<std::string, std::string>;

// Limits as shipped unless the environment says otherwise.
DaemonOptions Limited(const FreshDatabase& database, Environment more = {}) {
  more.try_emplace("GATHERING_RATE_LIMITS_ENABLED", "true");
  return {.database_url = database.url(), .environment = std::move(more)};
}

std::int64_t Number(const Answer& answer, std::string_view header) {
  const std::string text = answer.Header(header).value_or("");
  std::int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Answer LogIn(HttpClient& client, std::string_view email, std::string_view password) {
  return client.Post("/auth/login/json", json{{"email", email}, {"password", password}});
}

// Tries until the answer has this status; how long that took.
std::chrono::milliseconds Until(HttpClient& client, std::string_view path, int status) {
  const auto begin = std::chrono::steady_clock::now();
  while (client.Get(path).status != status) REQUIRE(std::chrono::steady_clock::now() - begin < 20s);
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

}  // namespace

TEST_CASE("the sixth login of a minute is refused, as the contract says and with all the fields",
          "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(database)};
  HttpClient client = daemon.Client();
  for (int i = 1; i <= 5; ++i) {
    // Accounts of their own, so that only the address is over its limit.
    const Answer answer = LogIn(client, std::to_string(i) + "@example.com", "wrong");
    CHECK(answer.status == 401);
    CHECK(Number(answer, "X-RateLimit-Limit") == 5);
    CHECK_FALSE(answer.Header("Retry-After"));
  }
  const Answer refused = LogIn(client, "6@example.com", "wrong");
  REQUIRE(refused.status == 429);
  CHECK(refused.Json().at("error") == "Rate limit exceeded: 5 per 1 minute");
  CHECK(refused.Json().at("request_id") == refused.Header("X-Request-ID"));
  CHECK(Number(refused, "X-RateLimit-Remaining") == 0);
  CHECK(refused.Header("RateLimit-Policy") == R"("auth";q=5;w=60)");
  CHECK(refused.Header("RateLimit")->starts_with(R"("auth";r=0;t=)"));
  const std::int64_t retry_after = Number(refused, "Retry-After");
  CHECK(retry_after >= 1);
  CHECK(retry_after <= 12);  // 5 a minute come back one every 12 s
  CHECK(refused.Header("X-Content-Type-Options") == "nosniff");

  // Other tiers go on as if nothing had happened.
  CHECK(client.Get("/health/live").status == 200);
  CHECK(client.Get("/agents").status == 401);
}

TEST_CASE("each tier has its limit as shipped, which all its routes share", "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(database)};
  HttpClient admin = daemon.Admin();
  struct Tier {
    int limit;
    std::function<Answer()> ask;
    std::function<Answer()> ask_another_route;
  };
  const Tier tiers[] = {
      {30, [&] { return admin.Patch("/agents/3", json::object()); },
       [&] { return admin.Delete("/circles/a"); }},
      {120, [&] { return admin.Get("/agents/3"); }, [&] { return admin.Get("/circles"); }},
      {300, [&] { return admin.Get("/health/live"); }, [&] { return admin.Get("/health"); }}};
  for (const Tier& tier : tiers) {
    const auto begin = std::chrono::steady_clock::now();
    int admitted = 0;
    Answer answer = tier.ask();
    for (; answer.status != 429; answer = tier.ask()) {
      REQUIRE(++admitted < 2 * tier.limit);
      REQUIRE(Number(answer, "X-RateLimit-Limit") == tier.limit);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    CHECK(admitted >= tier.limit);
    CHECK(admitted <= tier.limit + 1 + static_cast<int>(tier.limit * seconds / 60));
    CHECK(answer.Json().at("error") ==
          "Rate limit exceeded: " + std::to_string(tier.limit) + " per 1 minute");
    CHECK(tier.ask_another_route().status == 429);
  }
}

TEST_CASE("after exactly Retry-After the next request is let through", "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(database, {{"GATHERING_RATE_LIMITS_HEALTH", "1 per 2 seconds"}})};
  HttpClient client = daemon.Client();
  REQUIRE(client.Get("/health/live").status == 200);
  const auto begin = std::chrono::steady_clock::now();
  const Answer refused = client.Get("/health/live");
  REQUIRE(refused.status == 429);
  const std::chrono::seconds wait{Number(refused, "Retry-After")};
  CHECK(wait == 2s);
  Until(client, "/health/live", 200);
  const auto waited = std::chrono::steady_clock::now() - begin;
  CHECK(waited <= wait + 200ms);
  CHECK(waited >= wait - 1s);  // it is told in whole seconds
}

TEST_CASE("users are limited each by themselves, whatever address they share", "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(database, {{"GATHERING_RATE_LIMITS_READ", "3/minute"}})};
  HttpClient admin = daemon.Admin();
  HttpClient anonymous = daemon.Client();
  for (int i = 0; i < 3; ++i) CHECK(admin.Get("/agents").status == 200);
  CHECK(admin.Get("/agents").status == 429);
  CHECK(admin.Get("/circles").status == 429);  // one tier, one budget
  CHECK(admin.Post("/circles", json{{"name", "crew"}}).status == 201);
  for (int i = 0; i < 3; ++i) CHECK(anonymous.Get("/agents").status == 401);
  CHECK(anonymous.Get("/agents").status == 429);
}

TEST_CASE("a refused request's body is not read", "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(database, {{"GATHERING_RATE_LIMITS_WRITE", "1/hour"}})};
  RawClient first{daemon.address()};
  first.Send("POST /circles HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
  CHECK(first.ReceiveAll().starts_with("HTTP/1.1 401"));
  SECTION("one that asks before sending it is not told to go on") {
    RawClient second{daemon.address()};
    second.Send(
        "POST /circles HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n");
    const std::string answer = second.ReceiveAll();
    CHECK(answer.starts_with("HTTP/1.1 429"));
    CHECK(answer.find("Connection: close") != std::string::npos);
  }
  SECTION("one that just sends the head is answered at once") {
    RawClient second{daemon.address()};
    second.Send("POST /circles HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbeginning");
    CHECK(second.ReceiveAll().starts_with("HTTP/1.1 429"));
  }
}

TEST_CASE("a body that is let through is invited and arrives", "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(database)};
  RawClient client{daemon.address()};
  client.Send(
      "POST /auth/login/json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 42\r\n"
      "Expect: 100-continue\r\nConnection: close\r\n\r\n");
  const auto invitation = client.Receive();
  REQUIRE(invitation.has_value());
  CHECK(invitation->status == 100);
  client.Send(R"({"email":"a@example.com","password":"xyz"})");
  CHECK(client.ReceiveAll().starts_with("HTTP/1.1 401"));
}

TEST_CASE("an account backs off after wrong passwords, whether it exists or not", "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(database, {{"GATHERING_RATE_LIMITS_AUTH", "1000/second"},
                                                {"GATHERING_RATE_LIMITS_LOGIN_FAILURES_MAX", "3"}})};
  HttpClient client = daemon.Client();
  std::vector<Answer> refusals;
  for (const std::string& email : {std::string{kAdminEmail}, std::string{"nobody@example.com"}}) {
    for (int i = 0; i < 3; ++i) CHECK(LogIn(client, email, "wrong").status == 401);
    refusals.push_back(LogIn(client, " " + email, "wrong"));
    CHECK(refusals.back().status == 422);  // not an address
    refusals.back() = LogIn(client, email, "wrong");
    CHECK(refusals.back().status == 429);
    CHECK(Number(refusals.back(), "Retry-After") == 1);
  }
  CHECK(refusals[0].Json().at("error") == refusals[1].Json().at("error"));
  // The right password does not help before the time has come, and clears the account afterwards.
  CHECK(LogIn(client, kAdminEmail, kAdminPassword).status == 429);
  const auto give_up_at = std::chrono::steady_clock::now() + 10s;
  while (LogIn(client, kAdminEmail, kAdminPassword).status != 200)
    REQUIRE(std::chrono::steady_clock::now() < give_up_at);
  for (int i = 0; i < 3; ++i) CHECK(LogIn(client, kAdminEmail, "wrong").status == 401);
}

TEST_CASE("a limit in the shadow is counted and refuses nobody", "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(
      database, {{"GATHERING_RATE_LIMITS_READ", "2/minute"}, {"GATHERING_RATE_LIMITS_SHADOW", "read"}})};
  HttpClient admin = daemon.Admin();
  for (int i = 0; i < 5; ++i) CHECK(admin.Get("/agents").status == 200);
  const json report = admin.Get("/health/limits").Json();
  const auto tiers = report.at("tiers");
  const auto read = std::ranges::find_if(tiers, [](const json& tier) { return tier.at("tier") == "read"; });
  REQUIRE(read != tiers.end());
  CHECK(read->at("allowed") == 2);
  CHECK(read->at("limited") == 3);
  CHECK(read->at("shadowed") == 3);
  CHECK(report.at("store").at("keys") >= 2);
  CHECK(report.at("redis").empty());
}

TEST_CASE("exempt clients and routes are not limited, expensive ones count for several", "[limits]") {
  const FreshDatabase database;
  SECTION("a network") {
    const RunningDaemon daemon{
        Limited(database, {{"GATHERING_RATE_LIMITS_HEALTH", "1/hour"},
                           {"GATHERING_RATE_LIMITS_EXEMPT_ADDRESSES", "127.0.0.0/8"}})};
    HttpClient client = daemon.Client();
    for (int i = 0; i < 5; ++i) CHECK(client.Get("/health/live").status == 200);
    CHECK_FALSE(client.Get("/health/live").Header("X-RateLimit-Limit"));
  }
  SECTION("a route, and one that costs") {
    const RunningDaemon daemon{Limited(database, {{"GATHERING_RATE_LIMITS_HEALTH", "10/hour"},
                                                  {"GATHERING_RATE_LIMITS_EXEMPT_ROUTES", "health.live"},
                                                  {"GATHERING_RATE_LIMITS_COSTS", "health.ready=5"}})};
    HttpClient client = daemon.Client();
    for (int i = 0; i < 12; ++i) CHECK(client.Get("/health/live").status == 200);
    CHECK(Number(client.Get("/health/ready"), "X-RateLimit-Remaining") == 5);
    CHECK(client.Get("/health/ready").status == 200);
    CHECK(client.Get("/health/ready").status == 429);
  }
}

TEST_CASE("clients behind a trusted proxy are told apart, and those who pretend are not", "[limits]") {
  const FreshDatabase database;
  const RunningDaemon daemon{Limited(database, {{"GATHERING_RATE_LIMITS_HEALTH", "1/hour"},
                                                {"GATHERING_RATE_LIMITS_TRUSTED_PROXIES", "127.0.0.1"}})};
  HttpClient proxy = daemon.Client();
  const auto from = [&](std::string_view client) {
    return proxy.Send("GET", "/health/live", {{"X-Forwarded-For", std::string{client}}}).status;
  };
  CHECK(from("203.0.113.1") == 200);
  CHECK(from("203.0.113.1") == 429);
  CHECK(from("203.0.113.2") == 200);
  CHECK(from("203.0.113.9, 203.0.113.2") == 429);  // what the client wrote itself does not count
  CHECK(from("2001:db8::1") == 200);
  CHECK(from("2001:db8::2") == 429);  // one /64
  CHECK(from("nonsense") == 400);
}

TEST_CASE("SIGHUP changes limits and keeps what was counted", "[limits]") {
  const FreshDatabase database;
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/gathering.toml";
  const auto configure = [&](std::string_view limit) {
    std::ofstream{file} << "[rate_limits]\nhealth = \"" << limit << "\"\n";
  };
  configure("3/hour");
  DaemonOptions options = Limited(database);
  options.arguments = {"--config", file};
  RunningDaemon daemon{std::move(options)};
  HttpClient client = daemon.Client();
  for (int i = 0; i < 3; ++i) CHECK(client.Get("/health/live").status == 200);
  CHECK(client.Get("/health/live").status == 429);

  configure("often");
  daemon.Signal(SIGHUP);
  const auto logged = [&](std::string_view text) {
    const auto give_up_at = std::chrono::steady_clock::now() + 20s;
    while (daemon.Log().find(text) == std::string::npos)
      REQUIRE(std::chrono::steady_clock::now() < give_up_at);
  };
  logged("the configuration was not read again");
  CHECK(client.Get("/health/live").status == 429);

  configure("5/hour");
  daemon.Signal(SIGHUP);
  logged("configuration read again");
  const Answer next = client.Get("/health/live");
  CHECK(next.status == 200);
  CHECK(Number(next, "X-RateLimit-Limit") == 5);
  CHECK(Number(next, "X-RateLimit-Remaining") == 1);
}

TEST_CASE("a limit for a route that does not exist keeps the daemon from starting", "[limits]") {
  const FreshDatabase database;
  DaemonOptions options = Limited(database, {{"GATHERING_RATE_LIMITS_ROUTES", "agents.lust=5/minute"}});
  options.until_listening = false;
  RunningDaemon daemon{std::move(options)};
  CHECK(daemon.Wait() == 78);
  CHECK(daemon.Log().find("there is no route 'agents.lust'") != std::string::npos);
}

TEST_CASE("a configuration's limits can be tried on the log of what happened", "[limits]") {
  const FreshDatabase database;
  const TemporaryDirectory directory;
  RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient admin = daemon.Admin();
  HttpClient anonymous = daemon.Client();
  for (int i = 0; i < 6; ++i) CHECK(admin.Get("/agents").status == 200);
  for (int i = 0; i < 3; ++i) CHECK(anonymous.Get("/agents").status == 401);
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 0);
  const std::string log = directory.path() + "/access.log";
  std::ofstream{log} << daemon.Log() << "not JSON\n";
  const ProcessResult tried =
      Run(GATHERING_BINARY,
          {.arguments = {"config", "try-limits", log, "--output", "json"},
           .environment = {{"GATHERING_CONFIG", "/dev/null"}, {"GATHERING_RATE_LIMITS_READ", "4/hour"}}});
  REQUIRE(tried.code == 0);
  const json report = json::parse(tried.out);
  CHECK(report.at("requests") == 10);  // and the login
  CHECK(report.at("unreadable") >= 1);
  const auto tiers = report.at("tiers");
  const auto read = std::ranges::find_if(tiers, [](const json& tier) { return tier.at("name") == "read"; });
  REQUIRE(read != tiers.end());
  CHECK(read->at("requests") == 9);
  CHECK(read->at("refused") == 2);
  REQUIRE(report.at("clients").size() == 1);
  CHECK(report.at("clients")[0].at("refused") == 2);
  CHECK(Run(GATHERING_BINARY, {.arguments = {"config", "try-limits", "/nonexistent"},
                               .environment = {{"GATHERING_CONFIG", "/dev/null"}}})
            .code == 2);
}

}  // namespace gathering::test
