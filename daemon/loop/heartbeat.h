#pragma once
// Says from time to time that all of some loops turn, and is silent when one of them does not.
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "daemon/loop/loop.h"
#include "daemon/loop/timers.h"

namespace gathering::loop {

// Lives on the thread of the first loop, like a watcher of it.
class Heartbeat final : private Timer {
 public:
  // Calls `beat` now and about every `every`, each time once all loops have turned since they were asked.  It
  // runs on the loop that answered last, so it must be safe from any thread, and must not block or throw.
  Heartbeat(std::vector<Loop*> loops, std::chrono::microseconds every, std::function<void()> beat);

 private:
  struct Round;

  void OnDeadline() override;

  const std::vector<Loop*> loops_;
  const std::chrono::microseconds every_;
  const std::shared_ptr<Round> round_;
};

}  // namespace gathering::loop
