#include "daemon/http/trace.h"

#include <algorithm>

#include "core/base/text.h"

namespace gathering::http {
namespace {

constexpr std::string_view kTraceParent = "traceparent";
constexpr std::string_view kTraceState = "tracestate";
constexpr std::string_view kForm = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr std::size_t kTraceIdAt = 3;
constexpr std::size_t kParentIdAt = 36;
constexpr std::size_t kHyphens[] = {2, 35, 52};

bool IsLowerHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

template <std::size_t size>
std::optional<std::array<char, size>> IdAt(std::string_view text, std::size_t at) {
  const std::string_view digits = text.substr(at, size);
  if (digits.find_first_not_of('0') == std::string_view::npos) return std::nullopt;
  std::array<char, size> id;
  std::ranges::copy(digits, id.begin());
  return id;
}

}  // namespace

std::optional<TraceParent> ParseTraceParent(std::string_view text) {
  if (text.size() < kForm.size()) return std::nullopt;
  const std::string_view known = text.substr(0, kForm.size());
  for (std::size_t i = 0; i < known.size(); ++i) {
    const bool hyphen = std::ranges::find(kHyphens, i) != std::end(kHyphens);
    if (hyphen ? known[i] != '-' : !IsLowerHex(known[i])) return std::nullopt;
  }
  const std::string_view version = known.substr(0, 2);
  const std::string_view more = text.substr(kForm.size());
  if (version == "ff" || (!more.empty() && (version == "00" || more.front() != '-'))) return std::nullopt;
  const auto trace_id = IdAt<32>(known, kTraceIdAt);
  const auto parent_id = IdAt<16>(known, kParentIdAt);
  if (!trace_id || !parent_id) return std::nullopt;
  return TraceParent{*trace_id, *parent_id};
}

std::optional<TraceParent> TraceParentOf(const Request& request) {
  const auto is_parent = [](const Header& header) { return SameName(header.name, kTraceParent); };
  const auto first = std::ranges::find_if(request.headers, is_parent);
  if (first == request.headers.end()) return std::nullopt;
  if (std::any_of(first + 1, request.headers.end(), is_parent)) return std::nullopt;
  return ParseTraceParent(first->value);
}

std::optional<std::string> TraceStateOf(const Request& request) {
  std::optional<std::string> state;
  for (const Header& header : request.headers) {
    if (!SameName(header.name, kTraceState)) continue;
    if (state && !state->empty() && !header.value.empty()) state->push_back(',');
    if (!state) state.emplace();
    state->append(header.value);
    if (state->size() > kTraceStateBytesMax) return std::nullopt;
  }
  return state;
}

std::array<char, 32> TraceIdOf(std::string_view request_id) {
  std::array<char, 32> trace_id;
  std::size_t size = 0;
  for (const char c : request_id) {
    if (c != '-' && size < trace_id.size()) trace_id[size++] = Lower(c);
  }
  return trace_id;
}

}  // namespace gathering::http
