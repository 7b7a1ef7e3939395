#include "core/replay/pace.h"

#include <algorithm>

namespace gathering::replay {

Clock::Steady Pace::Due(Timestamp time, Clock::Steady now) {
  if (!options_.speed) return now;
  if (!due_) {
    due_ = now;
    latest_ = time;
    return now;
  }
  constexpr std::chrono::microseconds kLongest{std::chrono::hours{365 * 24}};  // so that nothing overflows
  const double passed = static_cast<double>(time.micros - latest_.micros) / *options_.speed;
  std::chrono::microseconds gap{
      static_cast<std::int64_t>(std::clamp(passed, 0.0, static_cast<double>(kLongest.count())))};
  if (options_.gap_max) gap = std::min<std::chrono::microseconds>(gap, *options_.gap_max);
  latest_ = std::max(latest_, time);
  due_ = std::min(*due_ + gap, now + kLongest);
  return *due_;
}

}  // namespace gathering::replay
