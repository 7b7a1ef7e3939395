// /ws and /ws/dashboard over real connections.
#include <signal.h>

#include <catch2/catch.hpp>

#include <chrono>
#include <string>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/ws_client.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

struct Scene {
  explicit Scene(std::map<std::string, std::string> environment = {})
      : daemon({.database_url = database.url(), .environment = std::move(environment)}),
        admin(daemon.Admin()),
        token(daemon.AdminToken()) {}

  // Greeted.
  WsClient Open(const std::string& path = "/ws", std::string_view behind = {}) {
    WsClient client{daemon.address(), path, {{"Authorization", "Bearer " + token}}, behind};
    REQUIRE(client.status() == 101);
    const std::string type = client.Hear().at("type");
    REQUIRE((type == "connected" || type == "connection.established"));
    return client;
  }
  void Make(const std::string& circle) {
    REQUIRE(admin.Post("/circles", json{{"name", circle}}).status == 201);
  }

  FreshDatabase database;
  RunningDaemon daemon;
  HttpClient admin;
  std::string token;
};

}  // namespace

TEST_CASE("a WebSocket is opened by whoever has a token, from a page that may") {
  Scene here;
  const std::string& address = here.daemon.address();
  const Headers token = {{"Authorization", "Bearer " + here.token}};
  const auto with_origin = [&](const std::string& origin) {
    Headers headers = token;
    headers.emplace_back("Origin", origin);
    return WsClient{address, "/ws", headers}.status();
  };
  WsClient fine{address, "/ws?token=" + here.token};
  CHECK(fine.status() == 101);
  CHECK(fine.head().find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != std::string::npos);
  CHECK(fine.head().find("Connection: Upgrade\r\n") != std::string::npos);
  CHECK(fine.head().find("Connection: close") == std::string::npos);
  CHECK(fine.head().find("Content-Length") == std::string::npos);
  const json greeting = fine.Hear();
  CHECK(greeting.at("type") == "connected");
  CHECK(greeting.at("data").at("connection_id").get<std::string>().starts_with("ws-"));
  CHECK(greeting.at("timestamp").get<std::string>().ends_with("+00:00"));

  CHECK(WsClient{address, "/ws"}.status() == 401);
  CHECK(WsClient{address, "/ws?token=nonsense"}.status() == 401);
  CHECK(WsClient{address, "/ws/dashboard"}.status() == 401);
  CHECK(with_origin("http://localhost:3000") == 101);
  CHECK(with_origin("http://test") == 101);
  CHECK(with_origin("http://evil.example") == 403);
  CHECK(with_origin("null") == 403);
  const Answer plain = here.admin.Get("/ws");
  CHECK(plain.status == 426);
  CHECK(plain.Header("Upgrade") == "websocket");
  CHECK(plain.Header("Sec-WebSocket-Version") == "13");
}

TEST_CASE("the actions of /ws are answered as agreed") {
  Scene here;
  WsClient client = here.Open();
  const auto ask = [&](const json& message) {
    client.Say(message);
    return client.Hear();
  };
  CHECK(ask({{"action", "ping"}}).at("type") == "pong");
  const json subscribed =
      ask({{"action", "subscribe"}, {"topics", {"conversations", "circles:core", "agents:1"}}});
  CHECK(subscribed.at("type") == "subscribed");
  CHECK(subscribed.at("data").at("topics") == json{"conversations", "circles:core", "agents:1"});
  CHECK(ask({{"action", "unsubscribe"}, {"topics", {"agents:1"}}}).at("type") == "unsubscribed");
  const json info = ask({{"action", "info"}});
  CHECK(info.at("type") == "info");
  CHECK(info.at("data").at("subscriptions") == json{"circles:core", "conversations"});
  CHECK(info.at("data").at("connected_at").is_string());
  CHECK(ask({{"action", "dance"}}).at("data").at("message") == "Unknown action: dance");
  CHECK(ask(json::object()).at("data").at("message") == "Unknown action: None");
  CHECK(ask({{"action", 5}}).at("data").at("message") == "Unknown action: 5");
  for (const json& topics : {json("x"), json{1}, json{""}, json{std::string(201, 'x')}, json(nullptr)})
    CHECK(ask({{"action", "subscribe"}, {"topics", topics}}).at("type") == "error");
  json many = json::array();
  for (int i = 0; i < 101; ++i) many.push_back("t" + std::to_string(i));
  CHECK(ask({{"action", "subscribe"}, {"topics", many}}).at("type") == "error");
  CHECK(ask({{"action", "info"}}).at("data").at("subscriptions").size() == 2);
  CHECK(ask(json::array({1})).at("type") == "error");
  client.Send(TextFrame("not json"));
  CHECK(client.Hear().at("type") == "error");
  client.Send(TextFrame(std::string(40, '[')));
  CHECK(client.Hear().at("type") == "error");
  CHECK(ask({{"action", "ping"}}).at("type") == "pong");
}

TEST_CASE("who subscribes hears of its topics, and who does not of everything, on every instance") {
  Scene here;
  const RunningDaemon other{{.database_url = here.database.url()}};
  WsClient all = here.Open();
  WsClient tasks = here.Open();
  WsClient core{other.address(), "/ws?token=" + here.token};
  REQUIRE(core.Hear().at("type") == "connected");
  WsClient circles = here.Open();
  const auto subscribe = [](WsClient& client, const json& topics) {
    client.Say({{"action", "subscribe"}, {"topics", topics}});
    REQUIRE(client.Hear().at("type") == "subscribed");
  };
  subscribe(tasks, {"tasks"});
  subscribe(core, {"circles:core"});
  subscribe(circles, {"circles"});
  here.Make("other");
  here.Make("core");
  REQUIRE(here.admin.Post("/circles/core/start").status == 200);
  REQUIRE(here.admin.Post("/circles/core/tasks", json{{"title", "Build"}}).status == 201);
  const auto types = [](WsClient& client, int count) {
    json heard = json::array();
    for (int i = 0; i < count; ++i) {
      const json frame = client.Hear();
      if (frame.is_discarded()) FAIL("only " << heard);
      CHECK(frame.size() == 3);
      CHECK(frame.at("timestamp").get<std::string>().ends_with("+00:00"));
      heard.push_back(frame.at("type").get<std::string>() + " " +
                      frame.at("data").at("circle").get<std::string>());
    }
    return heard;
  };
  const json core_events = {"circle.created core", "circle.started core", "task.created core"};
  json everything = core_events;
  everything.insert(everything.begin(), "circle.created other");
  CHECK(types(all, 4) == everything);
  CHECK(types(core, 3) == core_events);
  CHECK(types(circles, 4) == everything);
  CHECK(types(tasks, 1) == json{"task.created core"});
}

TEST_CASE("a dashboard hears everything, and is counted") {
  Scene here;
  WsClient dashboard = here.Open("/ws/dashboard?client_id=dash-1");
  dashboard.Say({{"type", "ping"}, {"timestamp", "T0"}});
  CHECK(dashboard.Hear() == json{{"type", "pong"}, {"timestamp", "T0"}});
  dashboard.Say({{"type", "subscribe"}, {"topics", {"x"}}});  // ignored
  here.Make("core");
  const json frame = dashboard.Hear();
  CHECK(frame.at("type") == "circle.created");
  CHECK(frame.at("data") == json{{"circle", "core"}});
  CHECK(frame.at("circle_id").is_number_integer());
  CHECK(frame.at("source_agent_id").is_null());
  CHECK(frame.at("project_id").is_null());
  CHECK(frame.at("event_id").is_string());
  CHECK(frame.at("timestamp").get<std::string>().ends_with("+00:00"));
  const json stats = here.admin.Get("/ws/stats").Json();
  CHECK(stats.at("active_connections") == 1);
  CHECK(stats.at("total_connections") == 1);
  CHECK(stats.at("total_messages_sent") == 3);
  CHECK(stats.at("total_broadcasts") == 1);
  CHECK(stats.at("clients").at(0).at("client_id") == "dash-1");
  CHECK(stats.at("clients").at(0).at("messages_sent") == 3);
  CHECK(stats.at("clients").at(0).at("messages_received") == 2);
}

TEST_CASE("what is sent behind the handshake is heard, and frames may come in pieces of a byte") {
  Scene here;
  WsClient client =
      here.Open("/ws", TextFrame(R"({"action":"ping"})") + TextFrame(R"({"action":"pi)").substr(0, 5));
  CHECK(client.Hear().at("type") == "pong");
  for (const char byte : TextFrame(R"({"action":"pi)").substr(5)) client.Send({&byte, 1});
  CHECK(client.Hear().at("type") == "error");
  client.Send(Frame({.opcode = 9, .payload = "are you there"}));
  const auto pong = client.Next();
  REQUIRE(pong);
  CHECK(pong->opcode == 10);
  CHECK(pong->payload == "are you there");
}

TEST_CASE("each way a client breaks the protocol closes it with the code for that") {
  Scene here;
  struct Case {
    std::string bytes;
    std::uint16_t code;
  };
  std::string flood;
  for (int i = 0; i < 150; ++i) flood += TextFrame(R"({"action":"ping"})");
  const Case kCases[] = {
      {Frame({.opcode = 8, .payload = CloseWords(1000, "bye")}), 1000},
      {Frame({.opcode = 8}), 1000},
      {Frame({.opcode = 8, .payload = CloseWords(4001)}), 4001},
      {Frame({.payload = "x", .masked = false}), 1002},
      {Frame({.payload = "x", .reserved = 4}), 1002},
      {Frame({.opcode = 3, .payload = "x"}), 1002},
      {Frame({.opcode = 8, .payload = CloseWords(1005)}), 1002},
      {Frame({.payload = "\xC0\x80"}), 1007},
      {Frame({.opcode = 2, .payload = "binary"}), 1003},
      {Frame({.length_bytes = 8, .length = 1U << 30}), 1009},
      {flood, 1008},
  };
  for (const Case& one : kCases) {
    CAPTURE(one.code);
    WsClient client = here.Open();
    client.Send(one.bytes);
    CHECK(client.Closed() == one.code);
    CHECK(client.Ends());
  }
  CHECK(here.Open().status() == 101);
}

TEST_CASE("a WebSocket is closed when its token is revoked or over, and when the daemon stops") {
  SECTION("revoked") {
    Scene here;
    WsClient client = here.Open();
    WsClient dashboard = here.Open("/ws/dashboard");
    HttpClient leaving = here.daemon.Client();
    leaving.Use(here.token);
    REQUIRE(leaving.Post("/auth/logout").status == 200);
    CHECK(client.Closed() == 1008);
    CHECK(dashboard.Closed() == 1008);
  }
  SECTION("over") {
    Scene here{{{"GATHERING_AUTH_TOKEN_LIFETIME", "2s"}}};
    CHECK(here.Open().Closed() == 1008);
  }
  SECTION("stopped") {
    Scene here;
    WsClient client = here.Open();
    here.daemon.Signal(SIGTERM);
    CHECK(client.Closed() == 1001);
    CHECK(here.daemon.Wait(10s) == 0);
  }
}

TEST_CASE("a client that gives no sign of life is closed, and one that does is not") {
  Scene here{{{"GATHERING_STREAMS_HEARTBEAT", "200ms"}}};
  WsClient silent = here.Open();
  WsClient alive = here.Open();
  for (int i = 0; i < 5; ++i) {
    const auto ping = alive.Next();
    REQUIRE(ping);
    REQUIRE(ping->opcode == 9);
    alive.Send(Frame({.opcode = 10, .payload = ping->payload}));
  }
  CHECK(silent.Closed() == 1001);
  alive.Say({{"action", "ping"}});
  CHECK(alive.Hear().at("type") == "pong");
}

TEST_CASE("a client that does not read is closed, and others hear everything over WebSockets") {
  Scene here{{{"GATHERING_STREAMS_BUFFER_BYTES_MAX", "4096"}}};
  WsClient slow = here.Open();
  slow.raw().SetReceiveBuffer(4'096);
  WsClient good = here.Open();
  const auto open = [&] { return here.admin.Get("/health/events").Json().at("streams").at("open"); };
  REQUIRE(open() == 2);
  db::Connection connection{{.url = here.database.url()}};
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (open() == 2) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    connection.Script(
        "INSERT INTO events (type, data) SELECT 'circle.created', jsonb_build_object('circle', repeat('x', "
        "4000)) "
        "FROM (SELECT pg_current_xact_id() AS id) me, generate_series(1, 100) WHERE me.id IS NOT NULL");
    for (int i = 0; i < 100; ++i) REQUIRE_FALSE(good.Hear().is_discarded());
  }
  CHECK(open() == 1);
}

}  // namespace gathering::test
