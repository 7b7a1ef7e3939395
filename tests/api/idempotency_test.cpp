// A POST asked more than once with the same Idempotency-Key.
#include <catch2/catch.hpp>

#include <atomic>
#include <thread>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/db_proxy.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/shared.h"

namespace gathering::test {
namespace {

using nlohmann::json;

std::string TokenOf(HttpClient& client, std::string_view email, std::string_view password) {
  return client.Post("/auth/login/json", json{{"email", email}, {"password", password}})
      .Json()
      .at("access_token");
}

// A client of one user who sends what a key is to make happen once.
class KeyedClient {
 public:
  KeyedClient(const RunningDaemon& daemon, std::string token)
      : client_(daemon.Client()), token_(std::move(token)) {}

  Answer Post(std::string_view path, const json& body, std::string_view key) {
    const Headers headers = {{"Authorization", "Bearer " + token_},
                             {"Content-Type", "application/json"},
                             {"Idempotency-Key", std::string{key}}};
    return client_.Send("POST", path, headers, body.dump());
  }

 private:
  HttpClient client_;
  std::string token_;
};

void RunningCrew(HttpClient& admin) {
  REQUIRE(admin.Post("/circles", json{{"name", "crew"}}).status == 201);
  REQUIRE(admin.Post("/circles/crew/start").status == 200);
}

struct World {
  World() { RunningCrew(admin); }

  FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient admin = daemon.Admin();
};

}  // namespace

TEST_CASE("a keyed request that the database asks to run again is done once") {
  const FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient admin = daemon.Admin();
  RunningCrew(admin);
  KeyedClient keyed{daemon, TokenOf(admin, kAdminEmail, kAdminPassword)};
  db::Connection connection{{.url = database.url()}};
  // A sequence remembers what a rollback undoes.
  connection.Script(R"(
    CREATE SEQUENCE tries;
    CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF nextval('tries') = 1 THEN RAISE EXCEPTION 'not this time' USING ERRCODE = '40001'; END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER fail_once BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION fail_once())");
  const Answer first = keyed.Post("/circles/crew/tasks", json{{"title", "once"}}, "key-1");
  CHECK(first.status == 201);
  CHECK(connection.Execute("SELECT last_value FROM tries").As<std::int64_t>(0) == 2);
  const Answer again = keyed.Post("/circles/crew/tasks", json{{"title", "once"}}, "key-1");
  CHECK(again.body == first.body);
  CHECK(connection.Execute("SELECT count(*) AS n FROM tasks").As<std::int64_t>(0) == 1);
}

TEST_CASE("a request asked again with its key is answered the same and done once") {
  World& world = Shared<World>();
  const RunningDaemon& daemon = world.daemon;
  HttpClient& admin = world.admin;
  KeyedClient keyed{daemon, TokenOf(admin, kAdminEmail, kAdminPassword)};
  const json body = {{"title", "once"}};
  const std::string path = "/circles/crew/tasks";
  static int last = 0;
  const std::string key = fmt::format("key-{}", ++last);
  const std::string other_key = key + "-other";
  const auto total = [&] { return admin.Get(path).Json().at("total").get<int>(); };
  const int before = total();
  const auto tasks = [&] { return total() - before; };
  const Answer first = keyed.Post(path, body, key);
  REQUIRE(first.status == 201);
  CHECK_FALSE(first.Header("Idempotency-Replayed"));

  SECTION("the same request") {
    const Answer second = keyed.Post(path, body, "\"" + key + "\"");
    CHECK(second.status == 201);
    CHECK(second.body == first.body);
    CHECK(second.Header("Idempotency-Replayed") == "true");
    CHECK(tasks() == 1);
  }
  SECTION("another request with the key") {
    const Answer refused = keyed.Post(path, json{{"title", "twice"}}, key);
    CHECK(refused.status == 409);
    CHECK(refused.Json().at("detail") == "this Idempotency-Key was used for another request; use a new one");
    CHECK_FALSE(refused.Header("Idempotency-Replayed"));
    CHECK(tasks() == 1);
  }
  SECTION("another user with the key") {
    admin.Post("/auth/register",
               json{{"email", "u@example.com"}, {"password", "a-long-password"}, {"name", "U"}});
    KeyedClient other{daemon, TokenOf(admin, "u@example.com", "a-long-password")};
    CHECK(other.Post(path, body, key).status == 201);
    CHECK(tasks() == 2);
  }
  SECTION("a key that was refused is free") {
    CHECK(keyed.Post(path, json{{"title", ""}}, other_key).status == 422);
    CHECK(keyed.Post("/circles/none/tasks", body, other_key).status == 404);
    CHECK(keyed.Post(path, body, other_key).status == 201);
    CHECK(tasks() == 2);
  }
  SECTION("a GET does not look at the key") {
    for (const std::string& sent : {key, std::string{"two words"}}) {
      const Headers headers = {{"Authorization", "Bearer " + TokenOf(admin, kAdminEmail, kAdminPassword)},
                               {"Idempotency-Key", sent}};
      const Answer got = daemon.Client().Send("GET", path, headers);
      CHECK(got.status == 200);
      CHECK_FALSE(got.Header("Idempotency-Replayed"));
    }
  }
  SECTION("what is no key") {
    CHECK(keyed.Post(path, body, "two words").status == 400);
    CHECK(keyed.Post(path, body, "\"open").status == 400);
    CHECK(keyed.Post(path, body, "\"\"").status == 400);
    CHECK(keyed.Post(path, body, std::string(256, 'k')).status == 400);
    CHECK(keyed.Post(path, body, std::string(255, 'k')).status == 201);
  }
  SECTION("several transactions become one") {
    const json routed = {{"title", "routed"}, {"required_competencies", {"python"}}};
    REQUIRE(admin.Post("/circles/crew/agents?agent_id=1&agent_name=Ada&competencies=python").status == 200);
    const Answer made = keyed.Post(path, routed, other_key);
    CHECK(made.Json().at("status") == "assigned");
    CHECK(keyed.Post(path, routed, other_key).body == made.body);
    CHECK(tasks() == 2);
  }
  SECTION("many at once") {
    std::atomic<int> wrong = 0;
    std::vector<std::jthread> all;
    const std::string token = TokenOf(admin, kAdminEmail, kAdminPassword);
    for (int i = 0; i < 8; ++i) {
      all.emplace_back([&] {
        KeyedClient one{daemon, token};
        const Answer answer = one.Post(path, body, other_key);
        if (answer.status != 201 || answer.Json().at("id") != first.Json().at("id").get<int>() + 1) ++wrong;
      });
    }
    all.clear();
    CHECK(wrong == 0);
    CHECK(tasks() == 2);
  }
}

TEST_CASE("an answer is remembered over a restart") {
  const FreshDatabase database;
  std::string body;
  for (int run = 0; run < 2; ++run) {
    RunningDaemon daemon{{.database_url = database.url()}};
    HttpClient admin = daemon.Admin();
    KeyedClient keyed{daemon, TokenOf(admin, kAdminEmail, kAdminPassword)};
    const Answer answer = keyed.Post("/circles", json{{"name", "crew"}}, "key");
    CHECK(answer.status == 201);
    CHECK(answer.Header("Idempotency-Replayed").has_value() == (run == 1));
    if (run == 1) CHECK(answer.body == body);
    body = answer.body;
  }
}

TEST_CASE("200 commits whose answer is lost, asked again with their keys, are done exactly once") {
  constexpr int kTasks = 200;
  const FreshDatabase database;
  DbProxy proxy{TestCluster::Instance().Socket()};
  RunningDaemon daemon{{.database_url = proxy.Url(database.url()),
                        .environment = {{"GATHERING_DATABASE_POOL_CONNECTIONS_MAX", "2"}}}};
  HttpClient admin = daemon.Admin();
  RunningCrew(admin);
  KeyedClient keyed{daemon, TokenOf(admin, kAdminEmail, kAdminPassword)};
  int in_doubt = 0;
  for (int i = 0; i < kTasks; ++i) {
    const json body = {{"title", "task " + std::to_string(i)}};
    const std::string key = "key-" + std::to_string(i);
    // Of the transaction that has the key; the daemon has others of its own.
    proxy.SetHook([&key, of = std::uint64_t{0}](const FrontendMessage& message) mutable {
      if (message.payload.find(key) != std::string_view::npos) of = message.connection;
      return IsCommit(message) && message.connection == of ? Verdict::kCutAfter : Verdict::kPass;
    });
    const Answer first = keyed.Post("/circles/crew/tasks", body, key);
    if (first.status == 503) ++in_doubt;
    proxy.SetHook({});
    const Answer again = keyed.Post("/circles/crew/tasks", body, key);
    CHECK(again.status == 201);
    CHECK(again.Json().at("title") == body.at("title"));
  }
  CHECK(in_doubt == kTasks);
  CHECK(proxy.Stats().cuts == kTasks);
  db::Connection sql{{.url = database.url()}};
  CHECK(sql.Execute("SELECT count(*) FROM tasks").As<std::int64_t>(0) == kTasks);
  CHECK(sql.Execute("SELECT count(DISTINCT title) FROM tasks").As<std::int64_t>(0) == kTasks);
}

}  // namespace gathering::test
