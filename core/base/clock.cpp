#include "core/base/clock.h"

namespace gathering {

Clock::Steady SystemClock::Now() const {
  return std::chrono::steady_clock::now();
}

Timestamp SystemClock::WallNow() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return Timestamp{std::chrono::duration_cast<std::chrono::microseconds>(now).count()};
}

}  // namespace gathering
