// If-None-Match, beside a reader that takes its list apart.
#include "daemon/http/etag.h"

#include <optional>

#include "core/base/text.h"
#include "tests/fuzz/promise.h"

namespace {

constexpr std::string_view kTag = "\"0a1b2c\"";

// Whether a list (RFC 9110, 13.1.2) names the tag; none: it is no list.
std::optional<bool> Names(std::string_view list) {
  bool found = false;
  list = gathering::Trimmed(list);
  if (list == "*") return true;
  while (!list.empty()) {
    if (list.starts_with("W/")) list.remove_prefix(2);
    if (!list.starts_with('"')) return std::nullopt;
    const std::size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return std::nullopt;
    found = found || list.substr(0, end + 1) == kTag;
    list = gathering::Trimmed(list.substr(end + 1));
    if (list.empty()) return found;
    if (!list.starts_with(',')) return std::nullopt;
    list = gathering::Trimmed(list.substr(1));
    if (list.empty()) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  gathering::fuzz::Input input{data, size};
  const std::string_view value = input.Line();
  gathering::http::Request request = gathering::fuzz::RequestOf(input);
  const bool already = gathering::http::HasAlready(request, kTag);
  if (const auto named = Names(value)) {
    request.headers.push_back({"If-None-Match", value});
    Require(gathering::http::HasAlready(request, kTag) == (already || *named),
            "a list is read as it is meant");
  }
  request.headers.push_back({"if-none-match", "W/\"0a1b2c\""});
  Require(gathering::http::HasAlready(request, kTag), "a weak tag will do");
  return 0;
}
