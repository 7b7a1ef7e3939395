#pragma once
// Counts as reports give them: a field is a signed number.
#include <cstdint>

namespace gathering::http {

[[nodiscard]] constexpr std::int64_t Number(std::uint64_t count) {
  return static_cast<std::int64_t>(count);
}

}  // namespace gathering::http
