// Getting in and out, asked of a running daemon.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using nlohmann::json;

constexpr const char* kPassword = "correct-horse-1";

// A daemon on a database the test can look into.
class Fixture {
 public:
  template <class T>
  T Ask(std::string_view sql) {
    return connection_.Execute(sql).As<T>(0);
  }
  void Sql(std::string_view sql) { connection_.Execute(sql); }
  // The kinds of all audit rows since `Forget`, in their order.
  std::string Record() {
    return Ask<std::string>("SELECT coalesce(string_agg(kind, ' ' ORDER BY id), '') FROM audit_events");
  }
  [[nodiscard]] const std::string& url() const { return database_.url(); }
  void Forget() { Sql("DELETE FROM audit_events"); }

  json Register(const std::string& email, const std::string& password = kPassword) {
    const Answer answer =
        client.Post("/auth/register", {{"email", email}, {"password", password}, {"name", "Somebody"}});
    REQUIRE(answer.status == 201);
    return answer.Json();
  }
  Answer LogIn(const std::string& email, const std::string& password = kPassword) {
    return client.Post("/auth/login/json", {{"email", email}, {"password", password}});
  }
  HttpClient As(const std::string& email, const std::string& password = kPassword) {
    HttpClient user = daemon.Client();
    user.Use(LogIn(email, password).Json().at("access_token"));
    return user;
  }

 private:
  FreshDatabase database_;
  db::Connection connection_{{.url = database_.url()}};

 public:
  RunningDaemon daemon{{.database_url = database_.url(), .data_dir = {}}};
  HttpClient client = daemon.Client();
};

std::vector<std::string> Names(const json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a new user registers, logs in both ways, looks around and leaves") {
  Forget();
  const json user = Register("Alice@Example.com");
  CHECK(Names(user) == std::vector<std::string>{"created_at", "email", "id", "is_active", "name", "role"});
  CHECK(user["email"] == "Alice@example.com");
  CHECK(user["role"] == "user");
  CHECK(user["is_active"] == true);
  CHECK(user["created_at"].get<std::string>().ends_with("Z"));

  const Answer by_form =
      client.PostForm("/auth/login", {{"username", "alice@example.com"}, {"password", kPassword}});
  REQUIRE(by_form.status == 200);
  CHECK(Names(by_form.Json()) == std::vector<std::string>{"access_token", "expires_in", "token_type"});
  CHECK(by_form.Json()["token_type"] == "bearer");
  CHECK(by_form.Json()["expires_in"] == 86'400);

  HttpClient alice = As("ALICE@example.com");
  CHECK(alice.Get("/auth/me").Json() == user);
  const json verified = alice.Post("/auth/verify").Json();
  CHECK(Names(verified) == std::vector<std::string>{"email", "expires_at", "role", "user_id", "valid"});
  CHECK(verified["valid"] == true);
  CHECK(verified["user_id"] == user["id"]);
  CHECK(verified["expires_at"].get<std::string>().ends_with("+00:00"));

  const Answer left = alice.Post("/auth/logout");
  CHECK(left.status == 200);
  CHECK(left.Json() == json{{"message", "Successfully logged out"}, {"user_id", user["id"]}});
  const Answer after = alice.Get("/auth/me");
  CHECK(after.status == 401);
  CHECK(after.Json()["detail"] == "Invalid or expired token");
  CHECK(after.Header("WWW-Authenticate") == "Bearer");
  CHECK(alice.Post("/auth/logout").status == 401);

  CHECK(Record() == "user_registered auth_success auth_success logout");
  CHECK(Ask<std::string>("SELECT string_agg(DISTINCT address, ' ') FROM audit_events") == "127.0.0.1");
  CHECK(Ask<bool>("SELECT bool_and(request_id <> '' AND user_id IS NOT NULL) FROM audit_events"));
}

TEST_CASE_METHOD(Fixture, "the administrator is known by the configured address in any case") {
  HttpClient admin = As("ADMIN@Example.com", std::string{kAdminPassword});
  CHECK(admin.Get("/auth/me").Json() == json{{"id", "admin"},
                                             {"email", kAdminEmail},
                                             {"name", "Administrator"},
                                             {"role", "admin"},
                                             {"is_active", true},
                                             {"created_at", nullptr}});
  CHECK(Ask<std::string>("SELECT left(password_hash, 10) FROM users WHERE public_id = 'admin'") ==
        "$argon2id$");
  const json stats = admin.Get("/auth/blacklist/stats").Json();
  CHECK(stats["db_active_tokens"] == 0);
  CHECK(stats["cache_max_size"] == 10'000);
  CHECK(stats["cache_size"] == 1);
}

TEST_CASE_METHOD(Fixture, "who may not enter is told the same whatever the reason") {
  Register("alice@example.com");
  Register("gone@example.com");
  Sql("UPDATE users SET is_active = false WHERE email = 'gone@example.com'");
  Forget();
  const std::vector<std::pair<std::string, std::string>> attempts = {{"alice@example.com", "wrong-password"},
                                                                     {"nobody@example.com", kPassword},
                                                                     {"gone@example.com", kPassword}};
  for (const auto& [email, password] : attempts) {
    INFO(email);
    const Answer by_json = LogIn(email, password);
    CHECK(by_json.status == 401);
    CHECK(by_json.Json()["detail"] == "Incorrect email or password");
    const Answer by_form = client.PostForm("/auth/login", {{"username", email}, {"password", password}});
    CHECK(by_form.status == 401);
    CHECK(by_form.Json()["detail"] == "Incorrect email or password");
    CHECK(by_form.Header("WWW-Authenticate") == "Bearer");
  }
  CHECK(Ask<std::string>("SELECT string_agg(details->>'reason', ' ' ORDER BY id) FROM audit_events") ==
        "wrong_password wrong_password unknown_user unknown_user inactive inactive");
}

TEST_CASE_METHOD(Fixture, "a long password is not known by its beginning") {
  const std::string password(128, 'p');
  Register("long@example.com", password);
  CHECK(LogIn("long@example.com", password).status == 200);
  CHECK(LogIn("long@example.com", password.substr(0, 72)).status == 401);
  CHECK(LogIn("long@example.com", password.substr(0, 100)).status == 401);
  CHECK(LogIn("long@example.com", password.substr(0, 127)).status == 401);
}

TEST_CASE_METHOD(Fixture, "an address is registered once, even by many at the same moment") {
  constexpr int kClients = 6;
  std::vector<int> statuses(kClients);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kClients; ++i) {
      threads.emplace_back([&, i] {
        HttpClient one = daemon.Client();
        const json body = {{"email", i % 2 == 0 ? "race@example.com" : "Race@example.com"},
                           {"password", kPassword},
                           {"name", "Racer"}};
        statuses[static_cast<std::size_t>(i)] = one.Post("/auth/register", body).status;
      });
    }
  }
  CHECK(std::count(statuses.begin(), statuses.end(), 201) == 1);
  CHECK(std::count(statuses.begin(), statuses.end(), 400) == kClients - 1);
  const Answer again = client.Post(
      "/auth/register", {{"email", "RACE@example.com"}, {"password", kPassword}, {"name", "Late"}});
  CHECK(again.Json()["detail"] == "Email already registered");
}

TEST_CASE_METHOD(Fixture, "what is missing or out of bounds is named") {
  const auto first = [](const Answer& answer) {
    CHECK(answer.status == 422);
    return answer.Json().at("detail").at(0);
  };
  CHECK(first(client.PostForm("/auth/login", {{"username", "a@example.com"}}))["loc"] ==
        json{"body", "password"});
  CHECK(first(client.PostForm("/auth/login",
                              {{"username", "a"}, {"password", "b"}, {"grant_type", "code"}}))["loc"] ==
        json{"body", "grant_type"});
  CHECK(first(LogIn("not-an-email"))["type"] == "value_error");
  const auto with = [&](const char* name, const json& value) {
    json body = {{"email", "a@example.com"}, {"password", kPassword}, {"name", "A"}};
    body[name] = value;
    return client.Post("/auth/register", body);
  };
  CHECK(first(with("password", "1234567"))["type"] == "string_too_short");
  CHECK(first(with("password", std::string(129, 'p')))["type"] == "string_too_long");
  CHECK(first(with("name", ""))["type"] == "string_too_short");
  CHECK(first(with("name", std::string(101, 'n')))["type"] == "string_too_long");
  CHECK(with("name", std::string{"a\0b", 3}).status == 422);
  CHECK(with("role", "admin").Json()["role"] == "user");
}

TEST_CASE_METHOD(Fixture, "with authentication switched off everybody is the administrator") {
  RunningDaemon open{{.database_url = url(), .data_dir = {}, .environment = {{"DISABLE_AUTH", "true"}}}};
  HttpClient anybody = open.Client();
  CHECK(anybody.Get("/auth/me").Json()["id"] == "admin");
  CHECK(anybody.Post("/auth/verify").Json()["valid"] == true);
  CHECK(anybody.Post("/auth/logout").status == 200);
  CHECK(anybody.Get("/auth/blacklist/stats").status == 200);
}

TEST_CASE("operators see every store in memory, bounded as configured") {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url(),
                              .environment = {{"GATHERING_CACHES_TOKENS_ENTRIES", "3"},
                                              {"GATHERING_CACHES_TOKENS_POLICY", "sieve"},
                                              {"GATHERING_CACHES_EVENT_HISTORY_ENTRIES", "2"}}}};
  HttpClient admin = daemon.Admin();
  for (int i = 0; i < 5; ++i) {
    HttpClient other = daemon.Admin();
    REQUIRE(other.Get("/auth/me").status == 200);
    REQUIRE(other.Get("/auth/me").status == 200);
    REQUIRE(admin.Post("/circles", {{"name", "c" + std::to_string(i)}}).status == 201);
  }
  const auto cache = [&](const std::string& name) {
    const auto caches = admin.Get("/health/caches").Json().at("caches");
    for (const auto& one : caches) {
      if (one.at("name") == name) return one;
    }
    FAIL("no " << name);
    return caches;
  };
  const auto tokens = cache("tokens");
  CHECK(tokens.at("policy") == "sieve");
  CHECK(tokens.at("entries") == 3);
  CHECK(tokens.at("entries_max") == 3);
  CHECK(tokens.at("bytes") > 300);
  CHECK(tokens.at("hits") >= 5);
  CHECK(tokens.at("misses") >= 6);
  CHECK(tokens.at("hit_ratio") > 0.3);
  CHECK(tokens.at("evictions").at("entries") >= 3);
  Await([&] { return cache("event_history").at("evictions").at("entries") >= 3; });
  CHECK(cache("event_history").at("entries") == 2);
  CHECK(daemon.Client().Get("/health/caches").status == 401);
}

// The bounded cache only remembers: what left it is asked for again.
TEST_CASE("a revoked token is refused after twice as many others, after a restart, and on other daemons") {
  const FreshDatabase database;
  const DaemonOptions options{.database_url = database.url(),
                              .environment = {{"GATHERING_CACHES_TOKENS_ENTRIES", "10"}}};
  auto daemon = std::make_unique<RunningDaemon>(options);
  const RunningDaemon other{options};
  const std::string revoked = daemon->AdminToken();
  const auto status = [&](const RunningDaemon& asked) {
    HttpClient client = asked.Client();
    client.Use(revoked);
    return client.Get("/auth/me").status;
  };
  REQUIRE(status(other) == 200);
  HttpClient leaving = daemon->Client();
  leaving.Use(revoked);
  REQUIRE(leaving.Post("/auth/logout").status == 200);
  Await([&] { return status(other) == 401; }, std::chrono::seconds{2});
  for (int i = 0; i < 20; ++i) REQUIRE(daemon->Admin().Get("/auth/me").status == 200);
  CHECK(status(*daemon) == 401);
  daemon.reset();
  daemon = std::make_unique<RunningDaemon>(options);
  CHECK(status(*daemon) == 401);
  CHECK(status(other) == 401);
}

}  // namespace gathering::test
