#pragma once
// A moment in UTC, in microseconds since 1970, and its texts.
//
// The API has two spellings of the same moment, by the age of the route:
// Timestamp prints "2026-11-23T09:36:00.655715Z", OffsetTimestamp prints
// "2026-11-23T09:36:00.655715+00:00".  Zero microseconds are left out, as the
// API's users are used to.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gathering {

inline constexpr std::int64_t kMicrosPerSecond = 1'000'000;

struct Timestamp {
  std::int64_t micros = 0;
  auto operator<=>(const Timestamp&) const = default;
};

struct OffsetTimestamp {
  std::int64_t micros = 0;
  auto operator<=>(const OffsetTimestamp&) const = default;
};

// A calendar day, "2026-01-02".
struct Date {
  std::string text;
  auto operator<=>(const Date&) const = default;
};

[[nodiscard]] std::string ToText(Timestamp moment);
[[nodiscard]] std::string ToText(OffsetTimestamp moment);

// Reads "2026-11-23T09:36:00.655715Z", the same with an offset or with a space
// instead of the T (PostgreSQL's text form).  Without an offset UTC is meant.  Only moments
// of the years 1 to 9999 (UTC) are read, which are those that have a text to be read back.
[[nodiscard]] std::optional<Timestamp> ParseTimestamp(std::string_view text);

// Reads "YYYY-MM-DD" and checks that the day exists; there is no year 0.
[[nodiscard]] std::optional<Date> ParseDate(std::string_view text);

// Of a day that exists, and back.
[[nodiscard]] std::int64_t DaysSinceEpoch(const Date& day);
[[nodiscard]] Date ToDate(std::int64_t days_since_epoch);
[[nodiscard]] Date ToDate(Timestamp moment);  // the day it is in, UTC

// "Mon, 23 Nov 2026 09:35:55 GMT", the form of HTTP's Date header (RFC 9110 section 5.6.7).
[[nodiscard]] std::string ToHttpDate(Timestamp moment);

}  // namespace gathering
