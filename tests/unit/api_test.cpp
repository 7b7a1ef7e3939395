// The way of a request from the front to a handler and back, without a front and without a database.
#include <catch2/catch.hpp>

#include <new>

#include "core/auth/authority.h"
#include "core/cache/budget.h"
#include "core/cache/registry.h"
#include "core/config/config.h"
#include "core/events/consumers.h"
#include "core/health/monitor.h"
#include "core/instances/instances.h"
#include "daemon/answers/answers.h"
#include "daemon/http/api.h"
#include "daemon/http/rate_limits.h"
#include "daemon/http/request_id.h"
#include "daemon/http/server.h"
#include "daemon/http/status.h"
#include "daemon/lifecycle.h"
#include "daemon/streams/feed.h"
#include "tests/support/json.h"
#include "tests/support/manual_clock.h"

namespace gathering::http {
namespace {

using nlohmann::json;

struct ThingPath {
  std::int64_t id = 0;
  static void Fields(auto& self, auto& visit) { visit("id", self.id, {.min = 1, .required = true}); }
};

struct Paging {
  std::int64_t limit = 20;
  static void Fields(auto& self, auto& visit) { visit("limit", self.limit, {.min = 1, .max = 50}); }
};

struct Thing {
  std::int64_t id = 0;
  std::string name;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("name", self.name, {.min = 1, .required = true});
  }
};

struct Login {
  std::string username;
  static void Fields(auto& self, auto& visit) { visit("username", self.username, {.required = true}); }
};

struct How {
  std::string how;
  static void Fields(auto& self, auto& visit) { visit("how", self.how, {.required = true}); }
};

Thing Get(Call&, Path<ThingPath> path, Query<Paging> query) {
  return {path->id, std::to_string(query->limit)};
}
Created<Thing> Create(Call&, Body<Thing> body) {
  return {body.value};
}
Created<Thing> Replace(Call&, Path<ThingPath> path, Query<Paging>, Body<Thing> body) {
  return {{path->id, body->name}};
}
void Delete(Call&, Path<ThingPath>) {}
Login LogIn(Call&, Form<Login> form) {
  return form.value;
}
Document Page(Call&) {
  return {.content_type = "text/html",
          .body = "<p>",
          .headers = {{"Content-Security-Policy", "default-src 'self'"}}};
}

Document Fail(Call&, Query<How> query) {
  const std::string& how = query->how;
  if (how == "rejected") throw Error{Code::kRejected, "not now"};
  if (how == "conflict") throw Error{Code::kConflict, "there already"};
  if (how == "unavailable") throw Unavailable("full", std::chrono::seconds{7}, "secret cause");
  if (how == "timeout") throw Error{Code::kTimeout, "too late"};
  if (how == "doubt") throw Error{Code::kInDoubt, "look first"};
  if (how == "internal") throw Error{Code::kInternal, "secret message", "secret cause"};
  if (how == "memory") throw std::bad_alloc{};
  if (how == "teapot") throw HttpError{418, "short and stout", {{"X-Spout", "yes"}}};
  throw std::runtime_error{"secret text"};
}

constexpr Route kRows[] = {
    {"things.get", Method::kGet, "/things/{id}", Authority::kUser, Tier::kRead, kNoStatements, Handle<&Get>,
     "One."},
    {"things.create", Method::kPost, "/things", Authority::kUser, Tier::kWrite, kNoStatements,
     Handle<&Create>, "Make."},
    {"things.replace", Method::kPut, "/things/{id}", Authority::kAdmin, Tier::kWrite, kNoStatements,
     Handle<&Replace>, "Put."},
    {"things.delete", Method::kDelete, "/things/{id}", Authority::kUser, Tier::kWrite, kNoStatements,
     Handle<&Delete>, "Drop."},
    {"login", Method::kPost, "/login", Authority::kPublic, Tier::kAuth, kNoStatements, Handle<&LogIn>,
     "Log in."},
    {"page", Method::kGet, "/page", Authority::kPublic, Tier::kNone, kNoStatements, Handle<&Page>, "A page."},
    {"fail", Method::kGet, "/fail", Authority::kPublic, Tier::kNone, kNoStatements, Handle<&Fail>, "Fails."},
};
static_assert(WellFormed(kRows));
constexpr std::span<const Route> kTables[] = {kRows};

Config MakeConfig(bool auth_disabled) {
  Config config;
  config.auth.secret_key = std::string(32, 's');
  config.auth.disabled = auth_disabled;
  config.http.cors_origins = {"https://good.example"};
  config.http.limits.query_pairs_max = 3;
  config.http.limits.json_depth_max = 4;
  config.http.limits.json_nodes_max = 8;
  // Nothing asks the database here; nothing answers there either.
  config.database.pool.url = "host=/nonexistent";
  config.database.pool.connections_min = 0;
  return config;
}

// Who asks: somebody without a token, or the administrator (authentication is switched off).
enum class As { kNobody, kAdmin };

struct Asked {
  Method method = Method::kGet;
  std::string path;
  std::string query = {};
  std::string body = {};
  std::vector<Header> headers = {};
  std::string peer = "127.0.0.1";
};

class Bench {
 public:
  explicit Bench(As as) : config_(MakeConfig(as == As::kAdmin)) {}

  Response Ask(const Asked& asked) {
    Request request;
    request.method = asked.method;
    request.path = asked.path;
    request.query = asked.query;
    request.body = asked.body;
    request.headers = asked.headers;
    request.peer = asked.peer;
    Response response;
    api_.Serve(request, {.deadline = clock_.Now() + std::chrono::seconds{1}}, response);
    return response;
  }
  Response Refuse(int status, std::string_view detail) {
    Response response;
    api_.Refuse(status, detail, response);
    return response;
  }

 private:
  const Config config_;
  test::ManualClock clock_;
  Lifecycle lifecycle_{clock_};
  Database database_{config_.database, clock_};
  WorkerPool workers_{{.name = "test"}};
  auth::Authority authority_{config_.auth, clock_};
  health::Monitor health_{clock_, {}};
  Limiter limiter_{config_.rate_limits, config_.auth.secret_key, workers_, clock_};
  RateLimits rate_limits_{limiter_, authority_, clock_};
  Answers answers_{config_.caches, clock_, std::chrono::milliseconds{0}};
  streams::Feed feed_{config_, clock_, answers_};
  cache::Registry caches_{{}};
  cache::Budget budget_{{}, 0};
  instances::Presence presence_{database_.pool(), clock_, [] { return std::string{"[]"}; }};
  events::Consumers consumers_{database_.pool(), [] { return std::optional<std::int64_t>{}; }, {}};
  const Server server_{config_.http, clock_, {}};  // never started
  Services services_{config_,      clock_,     database_, workers_,  authority_, limiter_,
                     rate_limits_, lifecycle_, api_,      health_,   feed_,      consumers_,
                     caches_,      answers_,   budget_,   presence_, server_};
  Api api_{kTables, services_};
};

std::optional<std::string> HeaderOf(const Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return std::nullopt;
}

bool HasLine(const Response& response, std::string_view line) {
  return response.constant_headers.find(line) != std::string_view::npos;
}

json DetailOf(const Response& response) {
  return json::parse(response.body).at("detail");
}

}  // namespace

TEST_CASE("a handler gets its input and its value is answered with the status its type says") {
  Bench bench{As::kAdmin};
  const Response got = bench.Ask({.path = "/things/7", .query = "limit=5"});
  CHECK(got.status == 200);
  CHECK(got.content_type == "application/json");
  CHECK(got.body == R"({"id":7,"name":"5"})");
  CHECK(bench.Ask({.path = "/api/things/7"}).body == R"({"id":7,"name":"20"})");
  const Response made =
      bench.Ask({.method = Method::kPost, .path = "/things", .body = R"({"id":1,"name":"x"})"});
  CHECK(made.status == 201);
  CHECK(made.body == R"({"id":1,"name":"x"})");
  const Response gone = bench.Ask({.method = Method::kDelete, .path = "/things/7"});
  CHECK(gone.status == 204);
  CHECK(gone.body.empty());
  CHECK(gone.content_type.empty());
}

TEST_CASE("who comes by the control socket is administrator, unless a token says otherwise") {
  Bench bench{As::kNobody};
  const auto put = [&](std::string peer, std::vector<Header> headers = {}) {
    return bench
        .Ask({.method = Method::kPut,
              .path = "/things/7",
              .body = R"({"id":1,"name":"x"})",
              .headers = std::move(headers),
              .peer = std::move(peer)})
        .status;
  };
  CHECK(put("control") == 201);
  CHECK(put("control", {{"Authorization", "Bearer nonsense"}}) == 401);
  for (const char* other : {"127.0.0.1", "unix", "Control", "control ", ""}) {
    INFO(other);
    CHECK(put(other) == 401);
    CHECK(put(other, {{"X-Forwarded-For", "control"}}) == 401);
  }
}

TEST_CASE("broken rules of path, query and body are told together") {
  Bench bench{As::kAdmin};
  const Response response =
      bench.Ask({.method = Method::kPut, .path = "/things/0", .query = "limit=51", .body = R"({"name":""})"});
  CHECK(response.status == 422);
  json shown = json::array();
  for (const json& error : DetailOf(response))
    shown.push_back({error.at("type"), error.at("loc"), error.at("input")});
  CHECK(shown == json::parse(R"([["greater_than_equal", ["path", "id"], "0"],
                                 ["less_than_equal", ["query", "limit"], "51"],
                                 ["string_too_short", ["body", "name"], ""]])"));
  CHECK(IsRequestId(json::parse(response.body).at("request_id").get<std::string>()));
}

TEST_CASE("a body is JSON whatever JSON type it claims, and nothing else") {
  Bench bench{As::kAdmin};
  const auto post = [&](std::vector<Header> headers, std::string body = R"({"name":"x"})") {
    return bench.Ask(
        {.method = Method::kPost, .path = "/things", .body = std::move(body), .headers = std::move(headers)});
  };
  CHECK(post({}).status == 201);
  for (const char* type :
       {"application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json", ""}) {
    INFO(type);
    CHECK(post({{"Content-Type", type}}).status == 201);
  }
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"}) {
    INFO(type);
    const Response response = post({{"Content-Type", type}});
    CHECK(response.status == 415);
    CHECK(DetailOf(response) == "Content-Type must be application/json");
  }
  CHECK(DetailOf(post({}, "{")).at(0).at("type") == "json_invalid");
  CHECK(DetailOf(post({}, "")) ==
        json::parse(R"([{"type":"missing","loc":["body"],"msg":"Field required","input":null}])"));
  CHECK(post({}, "[[[[1]]]]").status == 422);
  CHECK(post({}, "[[[[[1]]]]]").status == 400);
  CHECK(post({}, "[1,2,3,4,5,6,7]").status == 422);
  CHECK(post({}, "[1,2,3,4,5,6,7,8]").status == 413);
}

TEST_CASE("a form is read from a form; JSON in its place misses every field") {
  Bench bench{As::kNobody};
  const auto post = [&](const char* type, std::string body) {
    return bench.Ask({.method = Method::kPost,
                      .path = "/login",
                      .body = std::move(body),
                      .headers = {{"Content-Type", type}}});
  };
  CHECK(post("application/x-www-form-urlencoded", "username=a%40b+c").body == R"({"username":"a@b c"})");
  CHECK(DetailOf(post("application/json", R"({"username":"a"})")) ==
        json::parse(R"([{"type":"missing","loc":["body","username"],"msg":"Field required","input":null}])"));
  CHECK(post("multipart/form-data", "x").status == 415);
  CHECK(post("application/x-www-form-urlencoded", "username=%f").status == 400);
}

TEST_CASE("a query of too many values or broken escapes is refused") {
  Bench bench{As::kAdmin};
  CHECK(bench.Ask({.path = "/things/7", .query = "a=1&b=2&c=3"}).status == 200);
  CHECK(bench.Ask({.path = "/things/7", .query = "a=1&b=2&c=3&d=4"}).status == 400);
  CHECK(bench.Ask({.path = "/things/7", .query = "limit=%zz"}).status == 400);
  CHECK(bench.Ask({.path = "/things/%zz"}).status == 400);
}

TEST_CASE("who asks without a token learns nothing, not even which paths exist") {
  Bench bench{As::kNobody};
  for (const char* path : {"/things/7", "/things/0", "/nothing", "/things/", "/things"}) {
    INFO(path);
    const Response response = bench.Ask({.path = path});
    CHECK(response.status == 401);
    CHECK(DetailOf(response) == "Missing authentication token");
    CHECK(HeaderOf(response, "WWW-Authenticate") == "Bearer");
  }
  CHECK(DetailOf(bench.Ask({.path = "/things/7", .headers = {{"Authorization", "Basic eDp5"}}})) ==
        "Invalid authentication header format");
  CHECK(DetailOf(bench.Ask({.path = "/things/7", .headers = {{"Authorization", "Bearer a.b.c"}}})) ==
        "Invalid or expired token");
  CHECK(bench.Ask({.path = "/page"}).status == 200);
  CHECK(bench.Ask({.method = Method::kPut, .path = "/page"}).status == 405);
}

TEST_CASE("paths and methods that no route has are told apart") {
  Bench bench{As::kAdmin};
  CHECK(bench.Ask({.path = "/nothing"}).status == 404);
  CHECK(DetailOf(bench.Ask({.path = "/nothing"})) == "Not Found");
  const Response method = bench.Ask({.method = Method::kPatch, .path = "/things/7"});
  CHECK(method.status == 405);
  CHECK(DetailOf(method) == "Method Not Allowed");
  CHECK(HeaderOf(method, "Allow") == "GET, HEAD, PUT, DELETE, OPTIONS");
  const Response slash = bench.Ask({.path = "/api/things/7/", .query = "limit=5"});
  CHECK(slash.status == 307);
  CHECK(HeaderOf(slash, "Location") == "/api/things/7?limit=5");
  CHECK(bench.Ask({.path = "//evil.example/"}).status == 404);
}

TEST_CASE("OPTIONS names the methods of a path to everybody") {
  Bench bench{As::kNobody};
  const Response options = bench.Ask({.method = Method::kOptions, .path = "/things"});
  CHECK(options.status == 204);
  CHECK(HeaderOf(options, "Allow") == "POST, OPTIONS");
  CHECK(bench.Ask({.method = Method::kOptions, .path = "/nothing"}).status == 404);
}

TEST_CASE("an error is answered with its status and without what only the log may know") {
  Bench bench{As::kNobody};
  const auto fail = [&](const std::string& how) {
    return bench.Ask({.path = "/fail", .query = "how=" + how});
  };
  const std::map<std::string, int> statuses = {{"rejected", 400}, {"conflict", 409}, {"unavailable", 503},
                                               {"timeout", 503},  {"doubt", 503},    {"internal", 500},
                                               {"memory", 503},   {"teapot", 418},   {"other", 500}};
  for (const auto& [how, status] : statuses) {
    INFO(how);
    const Response response = fail(how);
    CHECK(response.status == status);
    CHECK(response.body.find("secret") == std::string::npos);
    CHECK(json::parse(response.body).at("request_id") == HeaderOf(response, "X-Request-ID").value());
    CHECK(HasLine(response, "X-Frame-Options: DENY\r\n"));
  }
  CHECK(DetailOf(fail("internal")) == "Internal Server Error");
  CHECK(DetailOf(fail("other")) == "Internal Server Error");
  CHECK(DetailOf(fail("conflict")) == "there already");
  CHECK(HeaderOf(fail("unavailable"), "Retry-After") == "7");
  CHECK(HeaderOf(fail("timeout"), "Retry-After") == "1");
  CHECK_FALSE(HeaderOf(fail("doubt"), "Retry-After"));
  CHECK(HeaderOf(fail("teapot"), "X-Spout") == "yes");
}

TEST_CASE("a good request id comes back as it was sent, any other is replaced") {
  Bench bench{As::kNobody};
  const std::string good = "6f9619ff-8b86-4d01-b42d-00c04fc964ff";
  const auto id = [&](std::string_view sent) {
    return HeaderOf(bench.Ask({.path = "/page", .headers = {{"x-request-id", sent}}}), "X-Request-ID")
        .value();
  };
  CHECK(id(good) == good);
  CHECK(id("my-id") != "my-id");
  CHECK(IsRequestId(id("my-id")));
  CHECK(id("") != id(""));
  const Response refused = bench.Refuse(431, "too long");
  CHECK(refused.status == 431);
  CHECK(DetailOf(refused) == "too long");
  CHECK(json::parse(refused.body).at("request_id") == HeaderOf(refused, "X-Request-ID").value());
  CHECK(HasLine(refused, "X-Content-Type-Options: nosniff\r\n"));
}

TEST_CASE("an allowed origin may read every answer, errors too") {
  Bench bench{As::kNobody};
  const std::vector<Header> good = {{"Origin", "https://good.example"}};
  for (const char* path : {"/things/7", "/page", "/fail"}) {
    INFO(path);
    CHECK(HasLine(bench.Ask({.path = path, .headers = good}),
                  "Access-Control-Allow-Origin: https://good.example\r\n"));
    CHECK_FALSE(HasLine(bench.Ask({.path = path, .headers = {{"Origin", "https://evil.example"}}}),
                        "Access-Control"));
  }
  Asked preflight{.method = Method::kOptions, .path = "/things/7", .headers = good};
  preflight.headers.push_back({"Access-Control-Request-Method", "PUT"});
  const Response response = bench.Ask(preflight);
  CHECK(response.status == 200);
  CHECK(response.body == "OK");
  CHECK(HasLine(response, "Access-Control-Allow-Credentials: true\r\n"));
}

TEST_CASE("a page keeps the policy it brings, once") {
  Bench bench{As::kNobody};
  const Response page = bench.Ask({.path = "/page"});
  CHECK(HeaderOf(page, "Content-Security-Policy") == "default-src 'self'");
  CHECK_FALSE(HasLine(page, "Content-Security-Policy"));
  CHECK(HasLine(bench.Ask({.path = "/fail"}), "Content-Security-Policy: default-src 'none'"));
}

}  // namespace gathering::http
