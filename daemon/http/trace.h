#pragma once
// W3C Trace Context: which trace a request belongs to, as its client says it in `traceparent` and
// `tracestate`.
//
// We ask nobody over HTTP, so what is passed on goes into the log: every line of a request has the trace's id
// and that of our own span, the line about the request also its parent's and the trace state.  A request
// without a trace begins one, whose id is that of the request.  Answers carry no trace fields:
// `traceresponse` is only a draft, and X-Request-ID already says what the client does not know.
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/message.h"

namespace gathering::http {

struct TraceParent {
  std::array<char, 32> trace_id;   // lower-case hex digits, not all zeros
  std::array<char, 16> parent_id;  // likewise: the client's span
};

// The value of a `traceparent` field.  Version 00 as it is defined; of later versions what the recommendation
// promises of them.  nullopt: the client's trace is not to be gone on with.
[[nodiscard]] std::optional<TraceParent> ParseTraceParent(std::string_view text);

// The request's, unless it has two.
[[nodiscard]] std::optional<TraceParent> TraceParentOf(const Request& request);

inline constexpr std::size_t kTraceStateBytesMax = 512;

// What the request's `tracestate` fields say, unchanged, several of them as one list.  nullopt without any,
// and beyond kTraceStateBytesMax.
[[nodiscard]] std::optional<std::string> TraceStateOf(const Request& request);

// The id of a trace that begins with this request: the digits of the request's id, which is a UUID.
[[nodiscard]] std::array<char, 32> TraceIdOf(std::string_view request_id);

}  // namespace gathering::http
