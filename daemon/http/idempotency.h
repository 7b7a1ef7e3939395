#pragma once
// The Idempotency-Key of a request (draft-ietf-httpapi-idempotency-key-header).
#include <optional>
#include <string>
#include <string_view>

#include "daemon/http/route.h"

namespace gathering::http {

inline constexpr std::string_view kIdempotencyKeyHeader = "Idempotency-Key";
inline constexpr std::string_view kIdempotencyReplayedHeader = "Idempotency-Replayed";

// Whether a route honours the key: those that change something for somebody known.
[[nodiscard]] bool HonoursIdempotencyKey(const Route& route);

// The key, without the quotes that the draft wants and few clients send; none when there is none or the
// route does not honour it.  Throws kRejected when it is empty, too long, or has a quote or what is not
// visible ASCII.
[[nodiscard]] std::optional<std::string_view> IdempotencyKeyOf(const Request& request, const Route& route);

// Tells requests apart: a SHA-256 in hexadecimal digits over what they ask for.
[[nodiscard]] std::string FingerprintOf(const Request& request);

}  // namespace gathering::http
