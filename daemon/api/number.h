#pragma once
// Numbers as reports give them: counts are signed, times in milliseconds.
#include <cstdint>

namespace gathering::http {

[[nodiscard]] constexpr std::int64_t Number(std::uint64_t count) {
  return static_cast<std::int64_t>(count);
}

inline constexpr double kMicrosPerMilli = 1'000;

}  // namespace gathering::http
