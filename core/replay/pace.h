#pragma once
// When the events of the past are due again.
#include <chrono>
#include <optional>

#include "core/base/clock.h"

namespace gathering::replay {

struct PaceOptions {
  std::optional<double> speed = {};  // 1: as it happened, 10: ten times as fast; none: without pauses
  std::optional<std::chrono::milliseconds> gap_max = {};  // the longest pause
};

// A schedule: who is late does not wait until what was missed is made up for.
class Pace {
 public:
  explicit Pace(PaceOptions options) : options_(options) {}

  // When the next event, which happened then, is due.  The first is now, and so is one that happened before
  // one that was here already.
  [[nodiscard]] Clock::Steady Due(Timestamp time, Clock::Steady now);

 private:
  const PaceOptions options_;
  std::optional<Clock::Steady> due_;  // of the event before
  Timestamp latest_;                  // of all before
};

}  // namespace gathering::replay
