// Preflights: only what is allowed is answered with 200, and nothing of the request is repeated.
#include "daemon/http/cors.h"

#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  static const std::vector<std::string> origins = {"https://a.example", "http://localhost:3000"};
  static const gathering::http::Cors cors{origins};
  gathering::fuzz::Input input{data, size};
  gathering::http::Request request = gathering::fuzz::RequestOf(input);
  request.method = gathering::http::Method::kOptions;
  const std::string_view origin = request.Find("Origin").value_or("");
  const bool known = std::ranges::find(origins, origin) != origins.end();
  Require(cors.Allows(origin) == known, "an origin is a whole text");
  Require(!gathering::http::Cors::IsPreflight(request) || request.Find("Access-Control-Request-Method"),
          "a preflight names its method");
  gathering::http::Response response;
  cors.AnswerPreflight(request, response);
  Require(response.status == 200 || response.status == 400, "a preflight is answered");
  Require(response.status != 200 || known, "only known origins are let in");
  Require(response.body == "OK" || response.body.starts_with("Disallowed CORS "), "a refusal says why");
  Require(response.body.size() < 64, "and repeats nothing");
  return 0;
}
