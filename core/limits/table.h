#pragma once
// What the tables of fixed size have in common: sets of eight slots, chosen by a hash that is keyed at
// random in each process.  For core/limits/*.cpp only.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/base/clock.h"
#include "core/base/siphash.h"

namespace gathering::limits {

inline constexpr std::size_t kWays = 8;  // slots of a set

// A number below `bound`, even over the top bits of `hash`.
[[nodiscard]] inline std::size_t Scale(std::uint64_t hash, std::size_t bound) {
  return static_cast<std::size_t>((static_cast<unsigned __int128>(hash) * bound) >> 64);
}

// Of one of `shards` shards that together hold `slots` slots: whole sets, at least one.
[[nodiscard]] inline std::size_t SlotsOfShard(double slots, std::size_t shards) {
  const double sets = std::max(1.0, slots) / static_cast<double>(shards) / static_cast<double>(kWays);
  return static_cast<std::size_t>(std::ceil(sets)) * kWays;
}

[[nodiscard]] inline std::int64_t Nanoseconds(Clock::Steady now) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
}

}  // namespace gathering::limits
