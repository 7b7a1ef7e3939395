#include "daemon/http/cors.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/text.h"

namespace gathering::http {
namespace {

constexpr std::string_view kMaxAge = "600";  // seconds
constexpr std::string_view kMethods = "GET, POST, PUT, DELETE, PATCH, OPTIONS";
constexpr std::string_view kHeaders =
    "Accept, Accept-Language, Authorization, Content-Language, Content-Type, Idempotency-Key, "
    "X-Request-ID, traceparent, tracestate";
constexpr std::string_view kExposed =
    "X-Request-ID, Idempotency-Replayed, Retry-After, "
    "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset";

// Is every word of the comma-separated `asked` in the comma-separated `allowed`, without regard to case?
bool AllIn(std::string_view asked, std::string_view allowed) {
  const auto known = Split(Lower(allowed), ',');
  const auto words = Split(Lower(asked), ',');
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::find(known.begin(), known.end(), word) != known.end();
  });
}

}  // namespace

bool Cors::Allows(std::string_view origin) const {
  return std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

std::string Cors::Lines(std::string_view origin) {
  return fmt::format(
      "Access-Control-Allow-Origin: {}\r\n"
      "Access-Control-Allow-Credentials: true\r\n"
      "Access-Control-Expose-Headers: {}\r\n"
      "Vary: Origin\r\n",
      origin, kExposed);
}

std::string Cors::LinesForOthers() {
  return "Vary: Origin\r\n";
}

bool Cors::IsPreflight(const Request& request) {
  return request.method == Method::kOptions && request.Find("Origin") &&
         request.Find("Access-Control-Request-Method");
}

void Cors::AnswerPreflight(const Request& request, Response& response) const {
  const std::string_view method = request.Find("Access-Control-Request-Method").value_or("");
  const std::string_view headers = request.Find("Access-Control-Request-Headers").value_or("");
  std::string refused;
  const auto refuse = [&](std::string_view what) {
    refused += refused.empty() ? "Disallowed CORS " : ", ";
    refused += what;
  };
  if (!Allows(request.Find("Origin").value_or(""))) refuse("origin");
  const auto methods = Split(kMethods, ',');
  if (std::find(methods.begin(), methods.end(), method) == methods.end()) refuse("method");
  if (!AllIn(headers, kHeaders)) refuse("headers");

  response.status = refused.empty() ? 200 : 400;
  response.content_type = "text/plain; charset=utf-8";
  response.body = refused.empty() ? "OK" : refused;
  response.Set("Access-Control-Allow-Methods", std::string{kMethods});
  response.Set("Access-Control-Allow-Headers", std::string{kHeaders});
  response.Set("Access-Control-Max-Age", std::string{kMaxAge});
}

}  // namespace gathering::http
