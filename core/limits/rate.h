#pragma once
// Rates as people write them: `5/minute`, `100 per hour`, `1 per 15 minutes`, `10/second;200/hour`.
//
// The notation is that of the Python library `limits`: a count, a slash or the word "per", a number of
// units (one when left out), and second, minute, hour, day, month or year, with or without an s, in any case.
// As there, a month is 30 days and a year is 12 of these.  Several rates that hold together are separated by
// a semicolon, a comma or a bar.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gathering::limits {

// `count` requests in each `period`.
struct Rate {
  std::int64_t count = 1;
  std::chrono::seconds period{60};

  bool operator==(const Rate&) const = default;
};

// All of its rates hold at once.  At least one, in the order written.
struct Limit {
  std::vector<Rate> rates;

  bool operator==(const Limit&) const = default;
};

inline constexpr std::size_t kRatesMax = 4;                             // of one limit
inline constexpr std::int64_t kCountMax = 1'000'000'000;                // of one rate
inline constexpr std::int64_t kRequestsPerSecondMax = 1'000'000;        // of one rate
inline constexpr std::chrono::seconds kPeriodMax{10LL * 360 * 86'400};  // ten years

// Throws Error kInvalid; its message is one line that names what is wrong and what would do.
[[nodiscard]] Limit ParseLimit(std::string_view text);

// Canonical text, which ParseLimit reads back: "5/minute", "1/15minutes", "10/second;200/hour".
[[nodiscard]] std::string ToText(const Rate& rate);
[[nodiscard]] std::string ToText(const Limit& limit);

// The rates in the order in which they are decided and told.
[[nodiscard]] std::vector<Rate> LongestFirst(const Limit& limit);

// "5 per 1 minute", as `limits` says it to clients.
[[nodiscard]] std::string ToSentence(const Rate& rate);

}  // namespace gathering::limits
