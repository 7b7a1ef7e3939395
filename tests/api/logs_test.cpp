// What an operator finds in the log, and what nobody does.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <future>
#include <map>
#include <set>
#include <sstream>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/db_proxy.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/ws_client.h"

namespace gathering::test {
namespace {

using nlohmann::json;

constexpr std::string_view kId = "6f9619ff-8b86-4d01-b42d-00c04fc964ff";
constexpr std::string_view kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kSpan = "b7ad6b7169203331";

std::vector<json> Lines(const RunningDaemon& daemon) {
  std::vector<json> lines;
  std::istringstream in{daemon.Log()};
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("{") && !in.eof()) lines.push_back(json::parse(line));
  }
  return lines;
}

// The lines of one request, once the one about its end is there.
std::vector<json> LinesOf(const RunningDaemon& daemon, const std::string& request_id) {
  std::vector<json> found;
  Await([&] {
    found = Lines(daemon);
    std::erase_if(found, [&](const json& line) { return line.value("request_id", "") != request_id; });
    return std::ranges::any_of(found, [](const json& line) { return line["msg"] == "request"; });
  });
  return found;
}

const json* Find(const std::vector<json>& lines, std::string_view message) {
  const auto found = std::ranges::find_if(lines, [&](const json& line) { return line["msg"] == message; });
  return found == lines.end() ? nullptr : &*found;
}

// Holds a table that everybody else then waits for.
class Held {
 public:
  Held(const FreshDatabase& database, const std::string& table) : database_(database) {
    connection_.Script("BEGIN; LOCK TABLE " + table + " IN ACCESS EXCLUSIVE MODE");
  }
  // Until somebody has waited for so long.
  void Wait(std::chrono::milliseconds least) {
    Await([&] {
      const std::string sql =
          "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database WHERE NOT granted AND datname = '" +
          database_.name() + "' AND clock_timestamp() - waitstart >= interval '" +
          std::to_string(least.count()) + " ms'";
      return !watcher_.Execute(sql, {}).empty();
    });
  }
  void Release() { connection_.Script("ROLLBACK"); }

 private:
  const FreshDatabase& database_;
  db::Connection connection_{{.url = database_.url()}};
  db::Connection watcher_{{.url = database_.url()}};
};

Headers With(const std::string& token, Headers more) {
  more.emplace_back("Authorization", "Bearer " + token);
  return more;
}

}  // namespace

TEST_CASE("a slow request is logged with what it did, and a quick one is not") {
  const FreshDatabase database;
  RunningDaemon daemon{
      {.database_url = database.url(), .environment = {{"GATHERING_LOG_SLOW_REQUEST", "300ms"}}}};
  const std::string token = daemon.AdminToken();
  Held held{database, "circles"};
  auto answer = std::async(std::launch::async, [&] {
    return daemon.Client().Send("POST", "/circles", With(token, {{"Content-Type", "application/json"}}),
                                R"({"name":"n0t-in-the-log"})");
  });
  held.Wait(std::chrono::milliseconds{400});
  held.Release();
  const Answer made = answer.get();
  REQUIRE(made.status == 201);
  const std::string id = made.Header("X-Request-ID").value();
  Await([&] { return Find(LinesOf(daemon, id), "slow request") != nullptr; });
  const auto all = LinesOf(daemon, id);
  const json* const slow = Find(all, "slow request");
  REQUIRE(slow != nullptr);
  INFO(slow->dump());
  CHECK(slow->at("level") == "warning");
  CHECK(slow->at("method") == "POST");
  CHECK(slow->at("route") == "circles.create");
  CHECK(slow->at("status") == 201);
  CHECK(slow->at("duration_ms") >= 400);
  CHECK(slow->at("database_ms") >= 400);
  CHECK(slow->at("database_ms") <= slow->at("duration_ms"));
  CHECK(slow->at("database_wait_ms") >= 0);
  CHECK(slow->at("database_wait_ms") < 400);
  CHECK(slow->at("trace_id") == id);
  CHECK(slow->at("queries").get<std::string>().find("circle_add 1x ") != std::string::npos);
  CHECK(daemon.Log().find("n0t-in-the-log") == std::string::npos);

  const Answer list = daemon.Client().Send("GET", "/circles", With(token, {}));
  CHECK(Find(LinesOf(daemon, list.Header("X-Request-ID").value()), "slow request") == nullptr);
}

TEST_CASE("a request that waits for a connection says so") {
  const FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url(),
                        .environment = {{"GATHERING_LOG_SLOW_REQUEST", "300ms"},
                                        {"GATHERING_DATABASE_POOL_CONNECTIONS_MIN", "1"},
                                        {"GATHERING_DATABASE_POOL_CONNECTIONS_MAX", "1"}}}};
  const std::string token = daemon.AdminToken();
  const auto make = [&](const char* name) {
    return daemon.Client().Send("POST", "/circles", With(token, {{"Content-Type", "application/json"}}),
                                json{{"name", name}}.dump());
  };
  Held held{database, "circles"};
  auto first = std::async(std::launch::async, make, "first");
  held.Wait(std::chrono::milliseconds{1});
  auto second = std::async(std::launch::async, make, "second");
  HttpClient admin = daemon.Client();
  admin.Use(token);
  Await([&] { return admin.Get("/health/database").Json().at("pool").at("jobs_waiting") == 1; });
  const auto since = std::chrono::steady_clock::now();
  Await([&] { return std::chrono::steady_clock::now() - since > std::chrono::milliseconds{400}; });
  held.Release();
  CHECK(first.get().status == 201);
  const std::string waited = second.get().Header("X-Request-ID").value();
  Await([&] { return Find(LinesOf(daemon, waited), "slow request") != nullptr; });
  const auto lines = LinesOf(daemon, waited);
  const json& slow = *Find(lines, "slow request");
  INFO(slow.dump());
  CHECK(slow.at("database_wait_ms") >= 400);
}

TEST_CASE("with log.slow_request 0s no request is slow") {
  const FreshDatabase database;
  RunningDaemon daemon{
      {.database_url = database.url(), .environment = {{"GATHERING_LOG_SLOW_REQUEST", "0s"}}}};
  const Answer answer = daemon.Client().Send("GET", "/circles", With(daemon.AdminToken(), {}));
  LinesOf(daemon, answer.Header("X-Request-ID").value());
  daemon.Signal(SIGTERM);
  REQUIRE(daemon.Wait() == 0);
  CHECK(Find(Lines(daemon), "slow request") == nullptr);
}

TEST_CASE("every line of a request that fails carries its id, also those of statements") {
  const FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url(),
                        .environment = {{"LOG_LEVEL", "debug"},
                                        {"GATHERING_LOG_SLOW_REQUEST", "100ms"},
                                        {"GATHERING_DATABASE_POOL_LOCK_TIMEOUT", "200ms"}}}};
  const std::string token = daemon.AdminToken();
  Held held{database, "circles"};
  const Headers names =
      With(token, {{"X-Request-ID", std::string{kId}}, {"Content-Type", "application/json"}});
  const Answer read = daemon.Client().Send("GET", "/circles", names);
  const Answer write = daemon.Client().Send("POST", "/circles", names, R"({"name":"crew"})");
  held.Release();
  for (const Answer& answer : {read, write}) {
    CHECK(answer.status == 503);
    CHECK(answer.Header("X-Request-ID") == kId);
    CHECK(answer.Json().at("request_id") == kId);
  }
  std::map<std::string, int> count;
  std::set<std::string> spans;
  Await([&] {
    count.clear();
    for (const json& line : Lines(daemon)) {
      const std::string message = line["msg"];
      if (line.value("request_id", "") != kId) {
        CHECK(message != "request failed");
        continue;
      }
      ++count[message];
      spans.insert(line.at("span_id"));
      CHECK(line.at("trace_id") == "6f9619ff8b864d01b42d00c04fc964ff");
    }
    return count["slow request"] == 2;
  });
  CHECK(count["request"] == 2);
  CHECK(count["request failed"] == 2);
  CHECK(spans.size() == 2);  // one for each request, though they have one id
}

TEST_CASE("who cuts a connection for a request says for which one") {
  const FreshDatabase database;
  DbProxy proxy{TestCluster::Instance().Socket()};
  RunningDaemon daemon{{.database_url = proxy.Url(database.url()),
                        .environment = {{"GATHERING_DATABASE_POOL_STATEMENT_TIMEOUT", "1s"}}}};
  const std::string token = daemon.AdminToken();
  Held held{database, "circles"};
  auto answer = std::async(std::launch::async, [&] {
    return daemon.Client().Send(
        "POST", "/circles",
        With(token, {{"X-Request-ID", std::string{kId}}, {"Content-Type", "application/json"}}),
        R"({"name":"crew"})");
  });
  held.Wait(std::chrono::milliseconds{1});
  proxy.Freeze();
  const auto cuts = [&] {
    auto lines = Lines(daemon);
    std::erase_if(lines, [](const json& line) {
      return line["msg"] != "the database does not answer; connection cut" ||
             line.value("request_id", "") != kId;
    });
    return lines.size();
  };
  Await([&] { return cuts() > 0; });
  proxy.Thaw();
  held.Release();
  CHECK(answer.get().status == 201);  // nothing was committed, so it was done again
  CHECK(cuts() == 1);
}

TEST_CASE("what the client of a stream does is told under the id of the request that opened it") {
  const FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url(), .environment = {{"LOG_LEVEL", "debug"}}}};
  WsClient client{daemon.address(), "/ws", With(daemon.AdminToken(), {{"X-Request-ID", std::string{kId}}})};
  REQUIRE(client.status() == 101);
  client.Send(Frame({.opcode = 3}));  // there is no such one
  CHECK(client.Closed() == 1002);
  Await([&] {
    const auto lines = Lines(daemon);
    const json* const line = Find(lines, "a WebSocket's client broke the protocol");
    return line != nullptr && line->value("request_id", "") == kId;
  });
}

TEST_CASE("a request goes on with its client's trace, and its lines say so") {
  const FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient client = daemon.Client();
  const std::string parent = "00-" + std::string{kTrace} + "-" + std::string{kSpan} + "-01";
  const auto line_of = [&](const Headers& headers) {
    const Answer answer = client.Send("POST", "/auth/login", headers);
    const auto lines = LinesOf(daemon, answer.Header("X-Request-ID").value());
    CHECK(answer.Count("traceparent") + answer.Count("tracestate") + answer.Count("traceresponse") == 0);
    return *Find(lines, "request");
  };
  const json given =
      line_of({{"traceparent", parent}, {"tracestate", "rojo=1"}, {"tracestate", "congo=\"2\""}});
  CHECK(given.at("trace_id") == kTrace);
  CHECK(given.at("parent_span_id") == kSpan);
  CHECK(given.at("tracestate") == "rojo=1,congo=\"2\"");
  CHECK(given.at("span_id") != kSpan);
  CHECK(given.at("span_id").get<std::string>().size() == 16);
  const json stateless = line_of({{"traceparent", parent}});
  CHECK(stateless.at("trace_id") == kTrace);
  CHECK(stateless.at("span_id") != given.at("span_id"));
  CHECK_FALSE(stateless.contains("tracestate"));

  // A new trace, with the id of the request; what stands in tracestate belongs to a trace nobody goes on
  // with.
  const Headers without[] = {
      {},
      {{"tracestate", "rojo=1"}},
      {{"traceparent", "00-" + std::string(32, '0') + "-" + std::string{kSpan} + "-01"},
       {"tracestate", "rojo=1"}},
      {{"traceparent", parent}, {"traceparent", parent}, {"tracestate", "rojo=1"}}};
  for (const Headers& headers : without) {
    const json line = line_of(headers);
    INFO(line.dump());
    CHECK(line.at("trace_id") == line.at("request_id"));
    CHECK_FALSE(line.contains("parent_span_id"));
    CHECK_FALSE(line.contains("tracestate"));
  }
}

TEST_CASE("no secret of a client reaches the log, at any level") {
  const FreshDatabase database;
  const std::string marker = "53cr3t";
  RunningDaemon daemon{{.database_url = database.url(),
                        .environment = {{"LOG_LEVEL", "debug"},
                                        {"GATHERING_LOG_SLOW_REQUEST", "1ms"},
                                        {"GATHERING_RATE_LIMITS_ENABLED", "false"}}}};
  HttpClient client = daemon.Client();
  const std::string token = daemon.AdminToken();
  const Headers jsons = {{"Content-Type", "application/json"}};
  const Headers secrets = {{"Authorization", "Bearer " + marker + ".a.b"},
                           {"Cookie", "session=" + marker},
                           {"Proxy-Authorization", "Basic " + marker},
                           {"X-Request-ID", marker},
                           {"traceparent", "00-" + marker},
                           {"tracestate", "a=" + marker},
                           {"Idempotency-Key", marker}};
  const auto say = [&](std::string_view method, const std::string& target, Headers headers,
                       const std::string& body = "") {
    const Answer answer = client.Send(method, target, headers, body);
    CHECK(answer.status >= 200);
    return answer;
  };
  CHECK(client.PostForm("/auth/login", {{"username", "a@example.com"}, {"password", marker + "-Wrong1"}})
            .status == 401);
  const json account = {{"email", "b@example.com"}, {"password", marker + "-Right-2026"}, {"name", "b"}};
  say("POST", "/auth/register", jsons, account.dump());
  CHECK(client.PostForm("/auth/login", {{"username", "b@example.com"}, {"password", marker + "-Right-2026"}})
            .status < 500);
  CHECK(say("GET", "/agents", secrets).status == 401);
  CHECK(say("GET", "/agents?token=" + marker, {}).status == 401);
  CHECK(say("GET", "/events/stream?token=" + marker, {}).status == 401);
  CHECK(say("GET", "/nowhere/" + marker + "?token=" + marker, {}).status == 401);
  CHECK(say("GET", "/nowhere/" + marker + "?password=" + marker, With(token, {})).status == 404);
  CHECK(say("POST", "/circles", With(token, jsons), R"({"name": ")" + marker).status >= 400);
  CHECK(say("POST", "/circles", With(token, jsons), R"({"name": ["53cr3t"]})").status == 422);
  CHECK(say("POST", "/circles", With(token, jsons), R"({"name": "53cr3t"})").status == 201);
  CHECK(say("POST", "/circles", With(token, jsons), R"({"name": "53cr3t"})").status == 409);
  Headers keyed = With(token, jsons);
  keyed.emplace_back("Idempotency-Key", marker);
  CHECK(say("POST", "/circles", keyed, R"({"name": "53cr3t-2"})").status == 201);
  daemon.Signal(SIGHUP);
  Await([&] { return daemon.Log().find("configuration read again") != std::string::npos; });
  daemon.Signal(SIGTERM);
  REQUIRE(daemon.Wait() == 0);
  const std::string log = daemon.Log();
  CHECK(log.find("slow request") != std::string::npos);
  CHECK(log.find(marker) == std::string::npos);
  CHECK(log.find(token) == std::string::npos);
  CHECK(log.find(token.substr(token.rfind('.'))) == std::string::npos);
  CHECK(log.find(kAdminPassword) == std::string::npos);
}

TEST_CASE("no secret of the configuration is said, however wrong it is") {
  const TemporaryDirectory directory;
  const std::map<std::string, std::string> wrong[] = {
      {{"DATABASE_URL", "postgresql://user:53cr3t@127.0.0.1:1/none"}},
      {{"DATABASE_URL", "postgresql://user:53cr3t@[::1/none"}},
      {{"DATABASE_URL", "postgresql://user:53cr3t@127.0.0.1:1/none?nonsense=53cr3t"}},
      {{"DATABASE_URL", "host=127.0.0.1 port=1 password=53cr3t dbname='none"}},
      {{"DATABASE_URL", "host=127.0.0.1 port=1 user=u password=53cr3t connect_timeout=2"}},
      {{"DATABASE_URL", "mysql://user:53cr3t@127.0.0.1/none"}},
      {{"DATABASE_URL", "53cr3t"}},
      {{"GATHERING_AUTH_SECRET_KEY", "53cr3t"}},
      {{"GATHERING_AUTH_ADMIN_EMAIL", "a@example.com"}, {"GATHERING_AUTH_ADMIN_PASSWORD_HASH", "$2b$53cr3t"}},
      {{"GATHERING_RATE_LIMITS_REDIS_URL", "redis://:53cr3t@[bad"}},
      {{"GATHERING_RATE_LIMITS_REDIS_URL", "http://u:53cr3t@127.0.0.1"}},
  };
  for (std::map<std::string, std::string> environment : wrong) {
    INFO(environment.begin()->first << '=' << environment.begin()->second);
    environment["LOG_LEVEL"] = "debug";
    environment["GATHERING_DATA_DIR"] = directory.path() + "/data";
    environment["GATHERING_HTTP_LISTEN"] = "127.0.0.1:0";
    environment.try_emplace("DATABASE_URL", "postgresql://user@127.0.0.1:1/none");
    environment.try_emplace("GATHERING_AUTH_SECRET_KEY", std::string(40, 'k'));
    const ProcessResult result = Run(GATHERING_BINARY, {.arguments = {"serve"}, .environment = environment});
    INFO(result.err);
    CHECK(result.code != 0);
    CHECK(result.code < 128);
    CHECK_FALSE(result.err.empty());
    CHECK((result.out + result.err).find("53cr3t") == std::string::npos);
  }
}

}  // namespace gathering::test
