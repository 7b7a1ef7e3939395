#include "core/base/clock.h"

#include <ctime>

namespace gathering {

Clock::Steady SystemClock::Now() const {
  return std::chrono::steady_clock::now();
}

Clock::Steady SystemClock::NowRoughly() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return Steady{std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec}};
}

Timestamp SystemClock::WallNow() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return Timestamp{std::chrono::duration_cast<std::chrono::microseconds>(now).count()};
}

}  // namespace gathering
