// The router: a path and its spellings lead to one route.
#include "daemon/http/router.h"

#include <array>

#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::Require;
using gathering::http::Match;
using gathering::http::Method;
using gathering::http::Route;
using Kind = Match::Kind;

constexpr Route Row(std::string_view id, Method method, std::string_view path) {
  return {.id = id,
          .method = method,
          .path = path,
          .authority = gathering::http::Authority::kUser,
          .tier = gathering::http::Tier::kNone,
          .statements = gathering::http::kNoStatements,
          .endpoint = {},
          .summary = "A row."};
}

constexpr std::array kRows = {Row("root", Method::kGet, "/"),
                              Row("goals.get", Method::kGet, "/goals/{goal_id}"),
                              Row("goals.stats", Method::kGet, "/goals/stats"),
                              Row("goals.list", Method::kGet, "/goals"),
                              Row("goals.create", Method::kPost, "/goals"),
                              Row("goals.step", Method::kPatch, "/goals/{goal_id}/steps/{step}"),
                              Row("stats.steps", Method::kGet, "/goals/stats/steps"),
                              Row("any", Method::kDelete, "/{noun}/{id}/steps")};

// The same path, every byte of its segments escaped.
std::string Escaped(std::string_view path) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string escaped;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto byte = static_cast<unsigned char>(path[i]);
    if (path[i] == '%' && path.size() - i > 2) {
      escaped += path.substr(i, 3);
      i += 2;
    } else if (path[i] == '/' || path[i] == '%') {
      escaped += path[i];
    } else {
      escaped += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
    }
  }
  return escaped;
}

void RequireSameMatch(const Match& a, const Match& b, const char* what) {
  Require(a.kind == b.kind && a.route == b.route && a.allow == b.allow && a.parameters == b.parameters, what);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::array<std::span<const Route>, 1> tables = {std::span<const Route>{kRows}};
  static const gathering::http::Router router{tables};
  gathering::fuzz::Input input{data, size};
  const auto method = static_cast<Method>(input.Byte() % std::size(gathering::http::kMethodNames));
  const std::string path = "/" + std::string{input.Rest()};
  // The gate lets nothing else through.
  if (!std::ranges::all_of(path, [](char c) { return c > ' ' && c < '\x7f'; })) return 0;

  const Match match = router.Find(method, path);
  Require((match.kind == Kind::kFound) == (match.route != nullptr), "what is found is a route");
  Require(
      (match.kind == Kind::kMethodNotAllowed) == !match.allow.empty() || match.kind == Kind::kTrailingSlash,
      "what is known but not allowed says what is");
  if (match.route != nullptr) {
    Require(match.route->method == method || (method == Method::kHead && match.route->method == Method::kGet),
            "a route is asked by its method");
    for (const auto& [name, value] : match.parameters) Require(!value.empty(), "no segment is empty");
  }
  // The prefix comes once, and one that is escaped is a segment like others.
  if (path.starts_with("/api")) return 0;
  RequireSameMatch(router.Find(method, "/api" + path), match, "every path is found under /api as well");
  RequireSameMatch(router.Find(method, Escaped(path)), match, "an escaped path is the same path");
  return 0;
}
