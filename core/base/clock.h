#pragma once
// Time is a parameter.  Durations are measured on the steady clock, dates are
// read from the wall clock; nothing else in the project asks the system for the time.
#include <chrono>

#include "core/base/timestamp.h"

namespace gathering {

class Clock {
 public:
  using Steady = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;
  virtual Steady Now() const = 0;  // never goes back
  // The same, up to 10 ms behind, at a fifth of the price.
  virtual Steady NowRoughly() const { return Now(); }
  virtual Timestamp WallNow() const = 0;  // UTC, may jump
};

class SystemClock final : public Clock {
 public:
  Steady Now() const override;
  Steady NowRoughly() const override;
  Timestamp WallNow() const override;
};

}  // namespace gathering
