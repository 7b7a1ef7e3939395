#include "daemon/http/router.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "core/base/error.h"

namespace gathering::http {
namespace {

// A path longer than every route needs no tree to be unknown.
constexpr std::size_t kSegmentsMax = 16;

constexpr std::size_t Index(Method method) {
  return static_cast<std::size_t>(method);
}

bool IsParameter(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}

// The segments of a path: "/a/b" holds "a" and "b", "/" none.
struct Segments {
  std::array<std::string_view, kSegmentsMax> texts;
  std::size_t count = 0;
  bool too_many = false;
};

Segments SplitPath(std::string_view path) {
  Segments segments;
  if (path.size() <= 1) return segments;
  path.remove_prefix(1);
  while (true) {
    if (segments.count == kSegmentsMax) {
      segments.too_many = true;
      return segments;
    }
    const std::size_t slash = path.find('/');
    segments.texts[segments.count++] = path.substr(0, slash);
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

// Most segments are what they say: no escape, nothing beyond ASCII.
bool NeedsDecoding(std::string_view segment) {
  return std::any_of(segment.begin(), segment.end(),
                     [](char c) { return c == '%' || static_cast<unsigned char>(c) >= 0x80; });
}

std::string_view WithoutPrefix(std::string_view path) {
  if (path == kApiPrefix) return "/";
  if (path.starts_with(kApiPrefix) && path[kApiPrefix.size()] == '/') path.remove_prefix(kApiPrefix.size());
  return path;
}

}  // namespace

struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> fixed;
  std::unique_ptr<Node> parameter;
  std::array<const Route*, std::size(kMethodNames)> routes{};

  [[nodiscard]] const Route* For(Method method) const {
    const Route* route = routes[Index(method)];
    return route == nullptr && method == Method::kHead ? routes[Index(Method::kGet)] : route;
  }
  [[nodiscard]] bool IsEnd() const {
    return std::any_of(routes.begin(), routes.end(), [](const Route* route) { return route != nullptr; });
  }
};

// One look-up: what is sought, and every node the path leads to, the best first.
struct Router::Search {
  Segments segments;
  std::vector<const Node*> ends = {};
};

Router::Router(std::span<const std::span<const Route>> tables) : root_(std::make_unique<Node>()) {
  for (const auto& table : tables) {
    for (const Route& route : table) Add(route);
  }
}

Router::~Router() = default;

void Router::Add(const Route& route) {
  const Segments segments = SplitPath(route.path);
  if (segments.too_many) {
    throw Error{Code::kInternal, fmt::format("route {} has too many segments", route.id)};
  }
  Node* node = root_.get();
  for (std::size_t i = 0; i < segments.count; ++i) {
    const std::string_view segment = segments.texts[i];
    std::unique_ptr<Node>& next =
        IsParameter(segment) ? node->parameter : node->fixed.try_emplace(std::string{segment}).first->second;
    if (!next) next = std::make_unique<Node>();
    node = next.get();
  }
  const Route*& place = node->routes[Index(route.method)];
  if (place != nullptr) {
    throw Error{Code::kInternal,
                fmt::format("routes {} and {} answer the same requests", place->id, route.id)};
  }
  place = &route;
}

// Recursion is bounded by the tree's depth, kSegmentsMax.
void Router::Visit(const Node& node, std::size_t depth, Search& search) {
  if (depth == search.segments.count) {
    if (node.IsEnd()) search.ends.push_back(&node);
    return;
  }
  const std::string_view segment = search.segments.texts[depth];
  if (const auto it = node.fixed.find(segment); it != node.fixed.end()) Visit(*it->second, depth + 1, search);
  if (node.parameter && !segment.empty()) Visit(*node.parameter, depth + 1, search);
}

Match Router::Find(Method method, std::string_view path) const {
  Search search{.segments = SplitPath(WithoutPrefix(path))};
  Segments& segments = search.segments;
  const bool trailing_slash = segments.count > 0 && segments.texts[segments.count - 1].empty();
  if (trailing_slash) --segments.count;
  if (segments.too_many) return {};

  std::array<std::string, kSegmentsMax> decoded;  // what `segments` then points to
  for (std::size_t i = 0; i < segments.count; ++i) {
    if (!NeedsDecoding(segments.texts[i])) continue;
    auto text = PercentDecode(segments.texts[i]);
    if (!text) return {.kind = Match::Kind::kMalformed};
    segments.texts[i] = decoded[i] = *std::move(text);
  }
  Visit(*root_, 0, search);
  if (search.ends.empty()) return {};

  Match match;
  std::array<bool, std::size(kMethodNames)> allowed{};
  for (const Node* end : search.ends) {
    const Route* route = end->For(method);
    if (route != nullptr && !trailing_slash) {
      match = {.kind = Match::Kind::kFound, .route = route, .authority = route->authority};
      const Segments names = SplitPath(route->path);
      for (std::size_t i = 0; i < names.count; ++i) {
        const std::string_view name = names.texts[i];
        if (IsParameter(name))
          match.parameters.emplace_back(name.substr(1, name.size() - 2), segments.texts[i]);
      }
      return match;
    }
    for (std::size_t i = 0; i < allowed.size(); ++i) {
      const Route* other = end->For(static_cast<Method>(i));
      if (other == nullptr) continue;
      allowed[i] = true;
      match.authority = std::max(match.authority, other->authority);
    }
  }
  match.kind = trailing_slash ? Match::Kind::kTrailingSlash : Match::Kind::kMethodNotAllowed;
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    if (allowed[i]) match.allow += fmt::format("{}, ", kMethodNames[i]);
  }
  match.allow += Name(Method::kOptions);
  return match;
}

}  // namespace gathering::http
