// What a client can bring into answers and into the log, and what of its secrets can come out: nothing.
#include <catch2/catch.hpp>

#include <signal.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/raw_client.h"

namespace gathering::test {
namespace {

using nlohmann::json;
using std::string_literals::operator""s;

constexpr const char* kGoodOrigin = "https://good.example";
constexpr const char* kOtherGoodOrigin = "http://localhost:3000";

// Origins that look like the good one.
const std::vector<std::string>& AlikeOrigins() {
  static const std::vector<std::string> origins = {
      "null",
      "NULL",
      "*",
      "https://evilgood.example",
      "https://good.example.evil.example",
      "https://good.example.",
      "https://good.examplex",
      "https://goodXexample",
      "https://sub.good.example",
      "http://good.example",
      "https://GOOD.example",
      "HTTPS://good.example",
      "https://good.example:443",
      "https://good.example:8443",
      "https://good.example/",
      "https://good.example/path",
      "https://good.example?",
      "https://good.example#",
      "https://user@good.example",
      "https://good.example@evil.example",
      "https://evil.example/https://good.example",
      "https://good.example, https://evil.example",
      "https://evil.example,https://good.example",
      "https://good.example https://evil.example",
      "https://good.example%00.evil.example",
      "https://good.example%0d%0aX-Injected: yes",
      "https://good.example\\@evil.example",
      "https://g\xd0\xbe\xd0\xbe"
      "d.example",
      "//good.example",
      "good.example",
      "http://localhost:3001",
      "http://localhost",
      "http://localhost:30000",
      "http://127.0.0.1:3000",
      "file://",
      "chrome-extension://good.example",
  };
  return origins;
}

std::size_t CorsHeaders(const Answer& answer) {
  return static_cast<std::size_t>(
      std::count_if(answer.headers.begin(), answer.headers.end(), [](const auto& header) {
        return header.first.starts_with("Access-Control-Allow-Origin") ||
               header.first.starts_with("Access-Control-Allow-Credentials");
      }));
}

std::string Text(const RawResponse& response) {
  std::string text;
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\n";
  return text;
}

// What every answer says about itself, whoever gives it.
void CheckSecurity(const RawResponse& answer) {
  INFO(answer.status << " " << Text(answer));
  CHECK(answer.Header("X-Content-Type-Options") == "nosniff");
  CHECK(answer.Header("X-Frame-Options") == "DENY");
  CHECK(answer.Header("Referrer-Policy") == "strict-origin-when-cross-origin");
  CHECK(answer.Header("Cross-Origin-Opener-Policy") == "same-origin");
  CHECK(answer.Header("Cross-Origin-Resource-Policy") == "same-origin");
  CHECK(answer.Header("Content-Security-Policy").find("frame-ancestors 'none'") != std::string::npos);
  CHECK(answer.Header("Permissions-Policy").find("camera=()") != std::string::npos);
  CHECK(answer.Header("Strict-Transport-Security").starts_with("max-age="));
  CHECK(answer.Has("Cache-Control"));
  CHECK(answer.Header("Server") == "gathering");  // and no version
  CHECK_FALSE(answer.Has("X-Powered-By"));
  std::map<std::string, int> counts;
  for (const auto& [name, value] : answer.headers) {
    CHECK(++counts[name] == 1);
  }
  CHECK(counts["X-Request-ID"] == 1);
  CHECK(counts["Date"] == 1);
}

struct Asked {
  int status;
  std::string bytes;
};

}  // namespace

TEST_CASE("an origin is allowed by its whole text or not at all, in every kind of answer") {
  const FreshDatabase database;
  const RunningDaemon daemon{
      {.database_url = database.url(),
       .environment = {{"CORS_ORIGINS", fmt::format("{},{}", kGoodOrigin, kOtherGoodOrigin)}}}};
  HttpClient client = daemon.Client();
  const std::string token = daemon.AdminToken();
  const auto ask = [&](const std::string& origin, const char* method, const char* path) {
    return client.Send(method, path, {{"Origin", origin}, {"Authorization", "Bearer " + token}});
  };
  const std::pair<const char*, const char*> kinds[] = {
      {"GET", "/health/live"},  {"GET", "/agents"},   {"GET", "/agents/abc"}, {"GET", "/agents/987654"},
      {"GET", "/nothing/here"}, {"PUT", "/agents"},   {"GET", "/agents/"},    {"POST", "/agents"},
      {"GET", "/docs"},         {"GET", "/providers"}};
  for (const auto& [method, path] : kinds) {
    INFO(method << " " << path);
    for (const char* good : {kGoodOrigin, kOtherGoodOrigin}) {
      const Answer answer = ask(good, method, path);
      CHECK(answer.Header("Access-Control-Allow-Origin") == good);
      CHECK(answer.Count("Access-Control-Allow-Origin") == 1);
      CHECK(answer.Header("Access-Control-Allow-Credentials") == "true");
      CHECK(answer.Header("Vary") == "Origin");
    }
    for (const std::string& alike : AlikeOrigins()) {
      INFO(alike);
      const Answer answer = ask(alike, method, path);
      CHECK(CorsHeaders(answer) == 0);
      CHECK(answer.Header("Vary") == "Origin");
      CHECK_FALSE(answer.Header("X-Injected"));
    }
  }
}

TEST_CASE("a preflight of an origin that only looks alike is refused, whatever it asks for") {
  const FreshDatabase database;
  const RunningDaemon daemon{
      {.database_url = database.url(), .environment = {{"CORS_ORIGINS", kGoodOrigin}}}};
  HttpClient client = daemon.Client();
  const auto preflight = [&](const std::string& origin, const std::string& method,
                             const std::string& headers) {
    return client.Send("OPTIONS", "/agents",
                       {{"Origin", origin},
                        {"Access-Control-Request-Method", method},
                        {"Access-Control-Request-Headers", headers}});
  };
  CHECK(preflight(kGoodOrigin, "POST", "authorization").status == 200);
  for (const std::string& alike : AlikeOrigins()) {
    INFO(alike);
    const Answer answer = preflight(alike, "POST", "authorization");
    CHECK(answer.status == 400);
    CHECK(answer.body == "Disallowed CORS origin");
    CHECK(CorsHeaders(answer) == 0);
  }
  for (const char* method : {"TRACE", "CONNECT", "post", "*", "", "POST, DELETE", "BREW"}) {
    INFO(method);
    CHECK(preflight(kGoodOrigin, method, "authorization").status == 400);
  }
  for (const char* header :
       {"*", "x-evil", "authorization, x-evil", "cookie", "host", "authorization;x", "authorization,,x"}) {
    INFO(header);
    const Answer answer = preflight(kGoodOrigin, "POST", header);
    CHECK(answer.status == 400);
    CHECK(answer.body.find(header) == std::string::npos);  // nothing of it comes back
  }
}

TEST_CASE("every answer carries the security headers once, whoever refuses") {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  const std::string token = daemon.AdminToken();
  const auto request = [&](const std::string& line, const std::string& fields = {},
                           const std::string& body = {}) {
    return fmt::format("{} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{}Content-Length: {}\r\n\r\n{}",
                       line, token, fields, body.size(), body);
  };
  const std::string json_type = "Content-Type: application/json\r\n";
  const Asked rows[] = {
      {200, request("GET /agents")},
      {200, request("GET /health/live")},
      {200, request("GET /docs")},
      {201, request("POST /circles", json_type, R"({"name":"c"})")},
      {204, request("DELETE /circles/c")},
      {204, request("OPTIONS /agents")},
      {307, request("GET /agents/")},
      {400, request("GET /agents/%zz")},
      {400, request("GET /agents", "Broken\r\n")},
      {400, request("GET /agents", "Host: b\r\n")},
      {400,
       request("OPTIONS /agents", "Origin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n")},
      {401, "GET /agents HTTP/1.1\r\nHost: a\r\n\r\n"},
      {401, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"},
      {404, request("GET /nothing")},
      {404, request("GET /agents/987654")},
      {405, request("PUT /agents")},
      {409, request("POST /personas", json_type, R"({"display_name":"Architect","role":"R"})")},
      {413, fmt::format("POST /circles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: "
                        "99999999\r\n\r\n",
                        token)},
      {414, request("GET /" + std::string(5'000, 'a'))},
      {415, request("POST /circles", "Content-Type: text/plain\r\n", "a")},
      {415, request("POST /circles", "Content-Encoding: gzip\r\n", "a")},
      {417, request("POST /circles", "Expect: tea\r\n", "a")},
      {422, request("POST /circles", json_type, "{")},
      {426, request("GET /ws")},
      {431, request("GET /agents", "X: " + std::string(20'000, 'x') + "\r\n")},
      {501, request("BREW /agents")},
      {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
  };
  std::set<int> seen;
  for (const Asked& row : rows) {
    INFO(row.bytes.substr(0, 60));
    RawClient client{daemon.address()};
    const auto answer = client.Exchange(row.bytes);
    REQUIRE(answer);
    CHECK(answer->status == row.status);
    CheckSecurity(*answer);
    seen.insert(answer->status);
  }
  CHECK(seen.size() == 18);
}

TEST_CASE("whatever clients send, the log is one JSON object a line and holds none of their secrets") {
  const FreshDatabase database;
  constexpr const char* kPassword = "S3cret-Passw0rd-0f-Mallory";
  constexpr const char* kWrong = "Wr0ng-Passw0rd-0f-Mallory";
  constexpr const char* kKey = "a-secret-key-for-the-log-0123456789abcdef";
  RunningDaemon daemon{{.database_url = database.url(),
                        .environment = {{"SECRET_KEY", kKey}, {"GATHERING_LOG_LEVEL", "debug"}}}};
  const std::string token = daemon.AdminToken();
  HttpClient client = daemon.Client();
  std::vector<std::string> secrets = {token, token.substr(token.rfind('.') + 1), kPassword, kWrong,
                                      kKey,  std::string{kAdminPassword},        "$2b$05$", "$argon2id$"};
  const std::string injection =
      "a\r\n{\"level\":\"error\",\"msg\":\"forged\"}\x1b[2J\x1b]0;forged\x07\u2028\x7f";

  SECTION("in paths, queries and fields") {
    for (const std::string& text : {injection, "\xc2\x9b"s + "31m", "%n%s"s, std::string(900, 'x')}) {
      client.Send("GET", "/circles/" + UrlEncode(text), {{"Authorization", "Bearer " + token}});
      client.Send("GET", "/" + UrlEncode(text));
      client.Send("GET", "/events?circle=" + UrlEncode(text), {{"Authorization", "Bearer " + token}});
      std::string field = text;
      std::erase_if(field, [](char c) { return c == '\r' || c == '\n'; });
      for (const char* name : {"User-Agent", "Origin", "X-Request-ID", "X-Forwarded-For", "Referer",
                               "Authorization", "Idempotency-Key", "Last-Event-ID", "If-None-Match"}) {
        client.Send("POST", "/agents", {{name, field}});
        RawClient{daemon.address()}.Exchange(
            fmt::format("GET /agents HTTP/1.1\r\nHost: a\r\n{}: {}\r\n\r\n", name, text));
      }
    }
  }
  SECTION("in bodies") {
    for (const char* path : {"/auth/login/json", "/auth/register", "/circles", "/personas", "/providers"}) {
      client.Send(
          "POST", path, {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}},
          json{{"email", injection + "@example.com"}, {"password", kPassword}, {"name", injection}}.dump());
      client.Send("POST", path, {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}},
                  "{\"name\":\"" + injection);
    }
    client.PostForm("/auth/login", {{"username", injection}, {"password", kPassword}});
  }
  SECTION("where secrets belong, and where they do not") {
    client.Post("/auth/register", {{"email", "mallory@example.com"}, {"password", kPassword}, {"name", "M"}});
    client.Post("/auth/login/json", {{"email", "mallory@example.com"}, {"password", kWrong}});
    const Answer in =
        client.Post("/auth/login/json", {{"email", "mallory@example.com"}, {"password", kPassword}});
    REQUIRE(in.status == 200);
    secrets.push_back(in.Json().at("access_token"));
    client.PostForm("/auth/login", {{"username", "mallory@example.com"}, {"password", kWrong}});
    client.Send("POST", "/auth/login/json?password="s + kPassword, {}, "{");
    client.Send("GET", "/agents?token=" + token);
    client.Send("GET", "/" + token);
    client.Send("GET", "/circles/" + token, {{"Authorization", "Bearer " + token}});
    client.Send("GET", "/agents", {{"Authorization", token}});
    client.Send("GET", "/agents", {{"Authorization", "Basic " + token}});
    client.Send("GET", "/agents", {{"X-Request-ID", token}, {"Cookie", "token=" + token}});
    client.Send("GET", "/ws?token=" + token);
    RawClient{daemon.address()}.Exchange("GET /events/stream?token=" + token +
                                         " HTTP/1.1\r\nHost: a\r\n\r\n");
    RawClient{daemon.address()}.Exchange("GET /agents HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token +
                                         "\r\nBroken\r\n\r\n");
    RawClient{daemon.address()}.Exchange("GET /agents?token=" + token + " HTTP/9.9\r\nHost: a\r\n\r\n");
    client.Send("POST", "/auth/logout", {{"Authorization", "Bearer " + token}});
  }
  daemon.Signal(SIGTERM);
  CHECK(daemon.Wait() == 0);

  const std::string log = daemon.Log();
  for (const std::string& secret : secrets) {
    INFO(secret.substr(0, 8));
    CHECK(log.find(secret) == std::string::npos);
  }
  std::istringstream lines{log};
  std::size_t requests = 0;
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    const json object = json::parse(line, nullptr, false);
    REQUIRE(object.is_object());
    CHECK((object.contains("time") && object.contains("level") && object.contains("msg")));
    CHECK(object.at("msg") != "forged");
    CHECK(std::none_of(line.begin(), line.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; }));
    if (object.at("msg") == "request") ++requests;
  }
  CHECK(requests > 5);
}

}  // namespace gathering::test
