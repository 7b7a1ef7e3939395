#include <catch2/catch.hpp>

#include "daemon/http/answer_headers.h"
#include "daemon/http/cors.h"
#include "daemon/http/request_id.h"

#include <set>

namespace gathering::http {
namespace {

const std::vector<std::string> kOrigins = {"http://localhost:3000", "https://good.example"};

struct Asked {
  std::string_view origin = "https://good.example";
  std::string_view method = "POST";
  std::string_view headers = "authorization, Content-Type";
};

Response Preflight(const Asked& asked) {
  Request request;
  request.method = Method::kOptions;
  request.headers = {{"Origin", asked.origin},
                     {"Access-Control-Request-Method", asked.method},
                     {"Access-Control-Request-Headers", asked.headers}};
  REQUIRE(Cors::IsPreflight(request));
  Response response;
  Cors{kOrigins}.AnswerPreflight(request, response);
  return response;
}

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace

TEST_CASE("a page of an allowed origin may ask for what the API offers") {
  const Response response = Preflight({});
  CHECK(response.status == 200);
  CHECK(response.body == "OK");
  CHECK(response.content_type == "text/plain; charset=utf-8");
  const auto& headers = response.headers;
  const auto has = [&](std::string_view name, std::string_view value) {
    return std::count(headers.begin(), headers.end(), std::pair{std::string{name}, std::string{value}}) == 1;
  };
  CHECK(has("Access-Control-Max-Age", "600"));
  CHECK(has("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, PATCH, OPTIONS"));
  CHECK(has("Access-Control-Allow-Headers",
            "Accept, Accept-Language, Authorization, Content-Language, Content-Type, Idempotency-Key, "
            "X-Request-ID, traceparent, tracestate"));
}

TEST_CASE("a page of any other origin may not, however alike it looks") {
  for (const char* origin : {"http://evil.example", "null", "", "https://evilgood.example",
                             "https://good.example.evil", "https://good.example:443", "http://good.example",
                             "https://GOOD.example", "*", "https://good.example/"}) {
    INFO(origin);
    const Response response = Preflight({.origin = origin});
    CHECK(response.status == 400);
    CHECK(response.body == "Disallowed CORS origin");
  }
}

TEST_CASE("a preflight is told everything that is not allowed") {
  CHECK(Preflight({.method = "TRACE"}).body == "Disallowed CORS method");
  CHECK(Preflight({.headers = "X-Evil"}).body == "Disallowed CORS headers");
  CHECK(Preflight({.origin = "x", .method = "y", .headers = "z"}).body ==
        "Disallowed CORS origin, method, headers");
  CHECK(Preflight({.headers = ""}).status == 200);
}

TEST_CASE("OPTIONS without an origin or a method asked for is no preflight") {
  Request request;
  request.method = Method::kOptions;
  CHECK_FALSE(Cors::IsPreflight(request));
  request.headers = {{"Origin", "https://good.example"}};
  CHECK_FALSE(Cors::IsPreflight(request));
  request.method = Method::kGet;
  request.headers.push_back({"Access-Control-Request-Method", "GET"});
  CHECK_FALSE(Cors::IsPreflight(request));
}

TEST_CASE("answers name the origin only to a page that may read them") {
  const AnswerHeaders headers{Cors{kOrigins}};
  const std::string_view good = headers.ForApi("https://good.example");
  CHECK(Has(good, "Access-Control-Allow-Origin: https://good.example\r\n"));
  CHECK(Has(good, "Access-Control-Allow-Credentials: true\r\n"));
  CHECK(Has(good, "X-RateLimit-Remaining"));
  CHECK(Has(good, "Vary: Origin\r\n"));
  for (const char* origin : {"", "null", "http://evil.example"}) {
    INFO(origin);
    CHECK_FALSE(Has(headers.ForApi(origin), "Access-Control"));
    CHECK(Has(headers.ForApi(origin), "Vary: Origin\r\n"));
  }
  CHECK_FALSE(Has(AnswerHeaders{Cors{{}}}.ForApi(""), "Vary"));
}

TEST_CASE("a page brings its own content policy, everything else gets the strictest") {
  const AnswerHeaders headers{Cors{kOrigins}};
  CHECK(Has(headers.ForApi(""), "Content-Security-Policy: default-src 'none'"));
  CHECK(Has(headers.ForApi(""), "Cache-Control: no-store"));
  CHECK_FALSE(Has(headers.ForPage(""), "Content-Security-Policy"));
  CHECK(Has(headers.ForPage(""), "X-Content-Type-Options: nosniff"));
}

TEST_CASE("a request id of a client is taken when it is a UUID of version 4") {
  CHECK(IsRequestId("6f9619ff-8b86-4d01-b42d-00c04fc964ff"));
  CHECK(IsRequestId("6F9619FF8B864D01B42D00C04FC964FF"));
  for (const char* other :
       {"", "abc", "6f9619ff-8b86-1d01-b42d-00c04fc964ff", "6f9619ff-8b86-4d01-742d-00c04fc964ff",
        "6f9619ff8b86-4d01-b42d-00c04fc964ff-", "6f9619ff-8b86-4d01-b42d-00c04fc964fg",
        "{6f9619ff-8b86-4d01-b42d-00c04fc964ff}", "6f9619ff8b864d01b42d00c04fc964ff0"}) {
    INFO(other);
    CHECK_FALSE(IsRequestId(other));
  }
}

TEST_CASE("request ids of ours are valid and never come twice") {
  RequestIds ids;
  RequestIds others;
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    for (const auto& [id, span] : {ids.Next(), others.Next()}) {
      if (!IsRequestId(id) || !seen.insert(id).second) FAIL(id);
      if (!seen.emplace(span.data(), span.size()).second) FAIL(id);
    }
  }
  CHECK(seen.size() == 40'000);
}

}  // namespace gathering::http
