#pragma once
// A clock that moves only when a test says so.  Safe to use from any thread.
#include <atomic>
#include <chrono>

#include "core/base/clock.h"

namespace gathering::test {

class ManualClock final : public Clock {
 public:
  // The wall clock begins at 2026-01-02T03:04:05Z.
  explicit ManualClock(Timestamp wall = {1'767'323'045'000'000}) : wall_(wall.micros) {}

  Steady Now() const override {
    return Steady{} + std::chrono::hours{1} + std::chrono::microseconds{passed_.load()};
  }
  Timestamp WallNow() const override { return {wall_.load() + passed_.load()}; }

  // Both clocks go on.
  void Advance(std::chrono::microseconds by) { passed_ += by.count(); }

  // Only the wall clock jumps, as it does when somebody sets it.
  void JumpWall(std::chrono::microseconds by) { wall_ += by.count(); }

 private:
  std::atomic<std::int64_t> wall_;
  std::atomic<std::int64_t> passed_ = 0;
};

}  // namespace gathering::test
