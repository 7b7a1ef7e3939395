// SIGUSR1: what a daemon says of what it is at.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/notifications.h"
#include "tests/support/postgres.h"
#include "tests/support/raw_client.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::string_view kReadId = "00000000000040008000000000000001";
constexpr std::string_view kWriteId = "00000000000040008000000000000002";

// Lines of the log that tell of this part, the oldest first.
std::vector<json> Told(const RunningDaemon& daemon, std::string_view of) {
  std::vector<json> lines;
  std::istringstream log{daemon.Log()};
  for (std::string line; std::getline(log, line);) {
    json parsed = json::parse(line, nullptr, false);
    if (parsed.is_object() && parsed.value("of", "") == of) lines.push_back(std::move(parsed));
  }
  return lines;
}

// Asks until a request is told of that fits; whoever asks within a second of an answer gets none.
json AwaitRequest(const RunningDaemon& daemon, const std::function<bool(const json&)>& fits) {
  json found;
  Await([&] {
    daemon.Signal(SIGUSR1);
    const auto requests = Told(daemon, "request");
    const auto one = std::find_if(requests.begin(), requests.end(), fits);
    if (one != requests.end()) found = *one;
    return one != requests.end();
  });
  return found;
}

std::string RequestOf(std::string_view line, std::string_view request_id, std::string_view token,
                      std::string_view body = {}) {
  return fmt::format(
      "{} HTTP/1.1\r\nHost: test\r\nX-Request-ID: {}\r\nAuthorization: Bearer {}\r\n"
      "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      line, request_id, token, body.size(), body);
}

// A daemon with an agent, whose statements wait for as long as the test wants, and somebody who can hold its
// table.
struct World {
  World() { REQUIRE(daemon.Admin().Post("/agents", json::parse(NewAgent("Ada"))).status == 201); }

  static std::string NewAgent(std::string_view name) {
    return fmt::format(R"({{"persona":{{"name":"{}","role":"Dev"}}}})", name);
  }
  void SetLogLevel(std::string_view level) const {
    std::ofstream{file} << fmt::format("log.level = \"{}\"\n", level);
    daemon.Signal(SIGHUP);
    Await([&] { return daemon.Log().find("configuration read again") != std::string::npos; });
  }

  FreshDatabase database;
  TemporaryDirectory directory;
  const std::string file = directory.path() + "/gathering.toml";
  const bool written = (std::ofstream{file} << "\n").good();
  RunningDaemon daemon{{.database_url = database.url(),
                        .arguments = {"--config", file},
                        .environment = {{"GATHERING_DATABASE_POOL_STATEMENT_TIMEOUT", "1m"},
                                        {"GATHERING_DATABASE_POOL_LOCK_TIMEOUT", "1m"},
                                        {"GATHERING_HTTP_LIMITS_REQUEST_TIMEOUT", "1m"}}}};
  HttpClient admin{"unix:" + daemon.data_dir() + "/control.sock"};  // asks no database who that is
  const std::string token = daemon.AdminToken();
  db::Connection sql{{.url = database.url()}};
};

}  // namespace

TEST_CASE("under load the state names the slow requests, how old they are and what they wait for") {
  World world;
  world.SetLogLevel("error");  // what is asked for is told all the same
  world.sql.Script("BEGIN; LOCK TABLE agents IN ACCESS EXCLUSIVE MODE");
  RawClient reader{world.daemon.address()};
  REQUIRE(reader.Send(RequestOf("GET /agents/1?hint=in-the-query", kReadId, world.token)));
  RawClient writer{world.daemon.address()};
  REQUIRE(writer.Send(RequestOf("POST /agents", kWriteId, world.token, World::NewAgent("Bo"))));
  const std::jthread load{[&](const std::stop_token& stop) {
    HttpClient client = world.daemon.Client();
    while (!stop.stop_requested()) client.Get("/health/live");
  }};

  const json read = AwaitRequest(world.daemon, [](const json& one) {
    return one.at("request_id") == kReadId && one.at("age_ms") >= 200;
  });
  CHECK(read.at("level") == "info");
  CHECK(read.at("route") == "agents.get");
  CHECK(read.at("method") == "GET");
  CHECK(read.at("client") == "127.0.0.1");
  // In its pipeline, until it holds up others: then in the pool.
  const std::string waits_for = read.at("waits_for");
  CHECK((waits_for == "pipelined statement agent_whole" || waits_for == "transaction agent_whole"));
  const json write = AwaitRequest(world.daemon, [](const json& one) {
    return one.at("request_id") == kWriteId && one.at("waits_for") == "transaction agent_create";
  });
  CHECK(write.at("route") == "agents.create");
  CHECK(Told(world.daemon, "pool").back().at("in_use") >= 1);
  CHECK(Told(world.daemon, "http").back().at("requests_in_progress") >= 2);
  world.sql.Script("ROLLBACK");
  CHECK(reader.Receive()->status == 200);
  CHECK(writer.Receive()->status == 201);
}

TEST_CASE("the state tells of every part in a bounded number of lines and holds no secret") {
  World world;
  constexpr int kSlow = 30;
  world.sql.Script("BEGIN; LOCK TABLE agents IN ACCESS EXCLUSIVE MODE");
  std::vector<RawClient> slow;
  for (int i = 0; i < kSlow; ++i) {
    slow.emplace_back(world.daemon.address());
    REQUIRE(slow.back().Send(RequestOf(fmt::format("GET /agents/{}", i + 1), kReadId, world.token)));
  }
  Await([&] {
    const std::string text = world.admin.Get("/metrics").body;
    return text.find("gathering_http_requests_in_progress 31") != std::string::npos;
  });
  world.daemon.Signal(SIGUSR1);
  Await([&] { return !Told(world.daemon, "rate_limits").empty(); });
  const std::map<std::string, std::size_t> lines = {
      {"process", 1}, {"http", 1},   {"request", 20}, {"pool", 1},        {"workers", 3}, {"pipelines", 2},
      {"events", 1},  {"caches", 1}, {"cache", 8},    {"rate_limits", 1}, {"loop", 0}};
  for (const auto& [of, count] : lines) {
    INFO(of);
    CHECK(Told(world.daemon, of).size() == count);
  }
  CHECK(Told(world.daemon, "process").front().at("memory_bytes") > 1'000'000);
  CHECK(Told(world.daemon, "process").front().at("descriptors") > kSlow);
  double age = std::numeric_limits<double>::max();
  for (const json& one : Told(world.daemon, "request")) {
    CHECK(one.at("age_ms") <= age);  // the oldest first
    age = one.at("age_ms");
  }
  CHECK(world.daemon.Log().find(world.token) == std::string::npos);
  world.sql.Script("ROLLBACK");
  for (RawClient& one : slow) CHECK(one.Receive());
}

TEST_CASE("a hundred SIGUSR1 are answered once a second at most, and harm nothing") {
  World world;
  const auto begin = std::chrono::steady_clock::now();
  HttpClient client = world.daemon.Client();
  for (int i = 0; i < 100; ++i) {
    world.daemon.Signal(SIGUSR1);
    CHECK(client.Get("/health/live").status == 200);
  }
  Await([&] { return !Told(world.daemon, "rate_limits").empty(); });
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
  CHECK(Told(world.daemon, "process").size() <= static_cast<std::size_t>(seconds.count()));
  world.daemon.Signal(SIGTERM);
  CHECK(world.daemon.Wait() == 0);
}

TEST_CASE("while it stops the daemon tells what it is still at") {
  World world;
  world.sql.Script("BEGIN; LOCK TABLE agents IN ACCESS EXCLUSIVE MODE");
  RawClient reader{world.daemon.address()};
  REQUIRE(reader.Send(RequestOf("GET /agents/1", kReadId, world.token)));
  AwaitRequest(world.daemon, [](const json& one) { return one.at("request_id") == kReadId; });
  world.daemon.Signal(SIGTERM);
  Await([&] {
    world.daemon.Signal(SIGUSR1);
    const auto processes = Told(world.daemon, "process");
    return !Told(world.daemon, "rate_limits").empty() && processes.back().at("stopping") == true;
  });
  CHECK(Told(world.daemon, "request").back().at("request_id") == kReadId);
  world.sql.Script("ROLLBACK");
  CHECK(reader.Receive()->status == 200);
  CHECK(world.daemon.Wait() == 0);
}

TEST_CASE("before it serves SIGUSR1 and SIGHUP do nothing") {
  TemporaryDirectory directory;
  Notifications heard{directory.path() + "/notify"};
  FreshDatabase database;
  db::Connection blocker{{.url = database.url()}};
  blocker.Script("BEGIN; LOCK TABLE gathering_migrations IN ACCESS EXCLUSIVE MODE");
  RunningDaemon daemon{{.database_url = database.url(),
                        .environment = {{"NOTIFY_SOCKET", heard.name()}},
                        .until_listening = false}};
  heard.Await("STATUS=checking the schema");
  daemon.Signal(SIGUSR1);
  daemon.Signal(SIGHUP);
  blocker.Script("COMMIT");
  CHECK_NOTHROW(heard.Await("READY=1"));
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 0);
  CHECK(Told(daemon, "process").empty());
}

}  // namespace gathering::test
