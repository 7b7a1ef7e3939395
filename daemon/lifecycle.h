#pragma once
// What the daemon as a whole is doing.  Safe from any thread.
#include <atomic>

#include "core/base/clock.h"

namespace gathering::http {

class Lifecycle {
 public:
  explicit Lifecycle(const Clock& clock) : started_(clock.Now()) {}

  [[nodiscard]] Clock::Steady started() const { return started_; }
  // Set at SIGTERM, before the listeners close: readiness turns 503.
  [[nodiscard]] bool draining() const { return draining_.load(std::memory_order_relaxed); }
  void StartDraining() { draining_.store(true, std::memory_order_relaxed); }

 private:
  const Clock::Steady started_;
  std::atomic<bool> draining_{false};
};

}  // namespace gathering::http
