// Who may do what: every route for every kind of caller, and what nobody may, whatever they send.
#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/auth/token.h"
#include "core/base/clock.h"
#include "core/db/connection.h"
#include "daemon/api/table.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using http::Authority;
using http::Route;
using nlohmann::json;

constexpr std::string_view kSecret = "a-secret-key-for-authority-0123456789abcdef";
constexpr std::int64_t kSecond = 1'000'000;

struct Caller {
  const char* what;
  std::string authorization;  // empty: no such field
  bool known = false;
  bool is_admin = false;
  const char* refusal = "Invalid or expired token";
};

struct Life {
  std::int64_t issued_in = 0;  // seconds from now
  std::int64_t expires_in = 600;
  std::string_view secret = kSecret;
};

std::string TokenOf(const std::string& user_id, const std::string& role, const Life& life = {}) {
  static int next = 0;
  const Timestamp now = SystemClock{}.WallNow();
  return auth::TokenKey{std::string{life.secret}}.Sign(
      {.sub = user_id,
       .email = "somebody@example.com",
       .role = role,
       .jti = fmt::format("authority-{}", ++next),
       .issued_at = {now.micros + life.issued_in * kSecond},
       .expires_at = {now.micros + life.expires_in * kSecond}});
}

// A daemon with a user, one who was sent away, and the administrator.
class Scene {
 public:
  std::string NewUser(const std::string& email) {
    return client
        .Post("/auth/register", {{"email", email}, {"password", "a-long-password"}, {"name", "User"}})
        .Json()
        .at("id");
  }
  std::string Ask(const std::string& sql) { return connection_.Execute(sql).As<std::string>(0); }
  void Sql(const std::string& sql) { connection_.Execute(sql); }

 private:
  FreshDatabase database_;
  db::Connection connection_{{.url = database_.url()}};
  RunningDaemon daemon_{
      {.database_url = database_.url(), .environment = {{"SECRET_KEY", std::string{kSecret}}}}};

 public:
  HttpClient client = daemon_.Client();
  const std::string user = NewUser("user@example.com");
  const std::string gone = NewUser("gone@example.com");
};

std::vector<Caller> Callers(Scene& scene) {
  const std::string revoked = TokenOf(scene.user, "user");
  REQUIRE(scene.client.Send("POST", "/auth/logout", {{"Authorization", "Bearer " + revoked}}).status == 200);
  scene.Sql("UPDATE users SET is_active = false WHERE email = 'gone@example.com'");
  const auto bearer = [](const std::string& token) { return "Bearer " + token; };
  constexpr const char* kMissing = "Missing authentication token";
  constexpr const char* kFormat = "Invalid authentication header format";
  return {
      {"nobody", "", false, false, kMissing},
      {"an empty field", " ", false, false, kMissing},
      {"another scheme", "Basic YWRtaW46YWRtaW4=", false, false, kFormat},
      {"a scheme alone", "Bearer", false, false, kFormat},
      {"a malformed token", "Bearer abc"},
      {"a user", bearer(TokenOf(scene.user, "user")), true},
      {"a user whose token says admin", bearer(TokenOf(scene.user, "admin")), true},
      {"the administrator", bearer(TokenOf("admin", "admin")), true, true},
      {"the administrator whose token says user", bearer(TokenOf("admin", "user")), true, true},
      {"a user whose time is over", bearer(TokenOf(scene.user, "user", {-600, -1}))},
      {"an administrator whose time is over", bearer(TokenOf("admin", "admin", {-600, -1}))},
      {"a user of tomorrow", bearer(TokenOf(scene.user, "user", {86'400, 90'000}))},
      {"a user who logged out", bearer(revoked)},
      {"a user who was sent away", bearer(TokenOf(scene.gone, "user"))},
      {"a user there never was", bearer(TokenOf("00000000-0000-4000-8000-000000000000", "admin"))},
      {"the machine's administrator by name", bearer(TokenOf("control", "admin"))},
      {"a user by another key",
       bearer(TokenOf(scene.user, "user", {.secret = "another-secret-key-0123456789-0123456789"}))},
      {"an administrator by another key",
       bearer(TokenOf("admin", "admin", {.secret = "another-secret-key-0123456789-0123456789"}))},
  };
}

std::vector<Route> AllRoutes() {
  std::vector<Route> all;
  for (const auto& table : http::RouteTables()) all.insert(all.end(), table.begin(), table.end());
  return all;
}

// The path with ids nothing has, so that whoever is let in finds nothing to change.
std::string Filled(std::string_view path) {
  std::string filled;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '{') {
      filled += "987654321";
      i = path.find('}', i);
    } else {
      filled.push_back(path[i]);
    }
  }
  return filled;
}

// The outcome that the route's row says, for somebody with or without rights.
int Expected(const Route& route, const Caller& caller) {
  if (route.authority == Authority::kPublic) return 0;
  if (!caller.known) return 401;
  return route.authority == Authority::kAdmin && !caller.is_admin ? 403 : 0;
}

}  // namespace

TEST_CASE("each route lets in whom its row names, and tells all others the same") {
  Scene scene;
  std::map<int, int> outcomes;
  for (const Caller& caller : Callers(scene)) {
    INFO(caller.what);
    for (const Route& route : AllRoutes()) {
      if (route.id == "auth.logout" && caller.known) continue;    // would end the caller's token
      if (route.id == "events.stream" && caller.known) continue;  // has no end
      INFO(route.id);
      Headers headers;
      if (!caller.authorization.empty()) headers.emplace_back("Authorization", caller.authorization);
      const Answer answer = scene.client.Send(Name(route.method), Filled(route.path), headers);
      const int expected = Expected(route, caller);
      ++outcomes[expected];
      if (expected == 0) {
        // Only the logins answer 401 to those they let in: to a wrong password, which is not sent here.
        CHECK(answer.status != 401);
        CHECK(answer.status != 403);
        CHECK(answer.status < 500);
        continue;
      }
      CHECK(answer.status == expected);
      CHECK(answer.Json().at("detail") == (expected == 403 ? "Admin access required" : caller.refusal));
      CHECK(answer.Header("WWW-Authenticate").value_or("") == (expected == 401 ? "Bearer" : ""));
    }
  }
  CHECK(outcomes[401] > 500);
  CHECK(outcomes[403] > 10);
  CHECK(outcomes[0] > 300);
}

TEST_CASE("a path, a method or a trick that no route has tells a stranger nothing") {
  Scene scene;
  const Headers user = {{"Authorization", "Bearer " + TokenOf(scene.user, "user")}};
  for (const char* path :
       {"/admin", "/.env", "/.git/config", "/health/../metrics", "//metrics", "/metrics/", "/api/metrics",
        "/api/api/metrics", "/metrics;a", "/metrics%20", "/%6detrics", "/health/live/../../metrics",
        "/health%2f..%2fmetrics", "/METRICS", "/metrics%00"}) {
    INFO(path);
    const Answer stranger = scene.client.Send("GET", path);
    CHECK(stranger.status == 401);
    const int status = scene.client.Send("GET", path, user).status;
    CHECK(std::set<int>{307, 400, 403, 404}.contains(status));
  }
  for (const char* name :
       {"X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-Forwarded-User", "X-Remote-User",
        "Remote-User", "X-User-Id", "X-Admin", "X-Forwarded-For", "Forwarded"}) {
    INFO(name);
    CHECK(scene.client.Send("GET", "/metrics", {{name, "admin"}}).status == 401);
    CHECK(scene.client.Send("GET", "/health/live", {{name, "/metrics"}}).status == 200);
  }
}

TEST_CASE("no body gives anybody a column that is not theirs to set") {
  Scene scene;
  const auto columns = scene.Ask(
      "SELECT json_agg(DISTINCT attname)::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
      "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND attnum > 0 AND NOT "
      "attisdropped");
  json more;
  for (const json& column : json::parse(columns)) more[column.get<std::string>()] = 987'654;
  for (const char* name : {"is_admin", "admin", "isAdmin", "owner", "owner_id", "roles", "permissions",
                           "password_hash", "__proto__", "constructor", "$where", "is_superuser"})
    more[name] = true;
  more["role"] = "admin";
  more["public_id"] = more["user_id"] = more["created_by"] = "admin";
  more["created_at"] = more["updated_at"] = "1999-01-01T00:00:00Z";
  REQUIRE(more.size() > 90);
  const auto with = [&](json body) {
    json all = more;
    all.update(body);
    return all;
  };
  scene.client.Use(TokenOf(scene.user, "user"));

  const Answer registered = scene.client.Post(
      "/auth/register",
      with({{"email", "eve@example.com"}, {"password", "a-long-password"}, {"name", "Eve"}}));
  REQUIRE(registered.status == 201);
  CHECK(registered.Json().at("role") == "user");
  CHECK(scene.Ask("SELECT count(*)::text FROM users WHERE role = 'admin'") == "1");
  CHECK(
      scene.Ask("SELECT (password_source_sha256 IS NULL AND is_active AND tokens_valid_from = '-infinity' "
                "AND id < 100 AND public_id <> 'admin')::text FROM users WHERE email = 'eve@example.com'") ==
      "true");

  // Everything that is made or changed by a JSON body; what a body may name itself is named.
  const json text = {{"role", "Developer"}};
  struct Row {
    const char* method;
    const char* path;
    json body;
    const char* table;
  };
  const std::vector<Row> rows = {
      {"POST", "/agents",
       with({{"persona", with({{"name", "Ada"},
                               {"role", "Developer"},
                               {"base_prompt", nullptr},
                               {"communication_style", nullptr},
                               {"languages", nullptr},
                               {"motto", nullptr},
                               {"specializations", nullptr},
                               {"traits", nullptr}})},
             {"config", json::object()}}),
       "agents"},
      {"PATCH", "/agents/1", with({{"persona", {{"name", "Ada"}, {"role", "Developer"}}}}), "agents"},
      {"POST", "/circles",
       with({{"name", "crew"}, {"require_review", true}, {"auto_route", true}, {"max_concurrent_tasks", 5}}),
       "circles"},
      {"POST", "/personas",
       with({{"display_name", "P"},
             {"role", "R"},
             {"base_prompt", nullptr},
             {"full_prompt", nullptr},
             {"traits", json::array()},
             {"communication_style", "plain"},
             {"specializations", json::array()},
             {"languages", json::array()},
             {"motto", nullptr},
             {"description", nullptr},
             {"default_model_id", nullptr}}),
       "personas"},
      {"POST", "/providers", with({{"name", "mine"}, {"api_base_url", nullptr}, {"is_local", false}}),
       "providers"},
      {"POST", "/models",
       with({{"provider_id", 1},
             {"model_name", "m"},
             {"model_alias", nullptr},
             {"pricing_in", nullptr},
             {"pricing_out", nullptr},
             {"pricing_cache_read", nullptr},
             {"pricing_cache_write", nullptr},
             {"extended_thinking", false},
             {"vision", false},
             {"function_calling", true},
             {"streaming", true},
             {"context_window", nullptr},
             {"max_output", nullptr},
             {"release_date", nullptr},
             {"is_deprecated", false}}),
       "models"},
      {"PATCH", "/models/1",
       with({{"model_alias", "x"},
             {"pricing_in", nullptr},
             {"pricing_out", nullptr},
             {"is_deprecated", false}}),
       "models"},
      {"POST", "/circles/crew/tasks",
       with({{"title", "t"},
             {"description", ""},
             {"priority", 5},
             {"required_competencies", json::array()},
             {"assigned_agent_id", nullptr}}),
       "tasks"},
  };
  REQUIRE(scene.client.Post("/circles", {{"name", "other"}}).status == 201);
  for (const Row& row : rows) {
    INFO(row.method << " " << row.path);
    if (row.path == std::string{"/circles/crew/tasks"})
      REQUIRE(scene.client.Post("/circles/crew/start").status == 200);
    const Answer answer = row.method == std::string{"POST"} ? scene.client.Post(row.path, row.body)
                                                            : scene.client.Patch(row.path, row.body);
    INFO(answer.body.substr(0, 400));
    CHECK((answer.status == 200 || answer.status == 201));
    // Nothing of what was added is anywhere in the row, by whatever name.
    CHECK(
        scene.Ask(fmt::format("SELECT count(*)::text FROM {} t WHERE t::text LIKE '%987654%' OR t::text LIKE "
                              "'%1999-01-01%'",
                              row.table)) == "0");
  }
  CHECK(scene.Ask("SELECT (created_by <> 'admin')::text FROM circles WHERE name = 'crew'") == "true");
  CHECK(scene.Ask("SELECT bool_and(created_by <> 'admin')::text FROM tasks") == "true");
  CHECK(scene.client.Get("/auth/me").Json().at("role") == "user");
}

TEST_CASE("an Idempotency-Key is its owner's alone") {
  Scene scene;
  const auto make = [&](const std::string& user_id, const std::string& role, const char* circle) {
    return scene.client.Send("POST", "/circles",
                             {{"Authorization", "Bearer " + TokenOf(user_id, role)},
                              {"Content-Type", "application/json"},
                              {"Idempotency-Key", "one-key"}},
                             json{{"name", circle}}.dump());
  };
  const Answer first = make(scene.user, "user", "mine");
  REQUIRE(first.status == 201);
  // The same key of another user is another key: neither the first one's answer nor a conflict with it.
  const Answer other = make("admin", "admin", "yours");
  CHECK(other.status == 201);
  CHECK(other.Json().at("name") == "yours");
  CHECK_FALSE(other.Header("Idempotency-Replayed"));
  CHECK(make(scene.user, "user", "mine").Header("Idempotency-Replayed") == "true");
}

}  // namespace gathering::test
