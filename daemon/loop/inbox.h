#pragma once
// What other threads hand to a loop: a list without a lock, and an eventfd that is
// written only when the loop really sleeps.
//
// Held by shared_ptr, so that a thread which has just handed over the last thing a loop
// waited for may still look at it while the loop goes away.
#include <atomic>

namespace gathering::loop {

// Something to run on the loop's thread.  Whoever pushes it keeps it alive until then.
class Posted {
 public:
  virtual ~Posted() = default;
  virtual void OnLoop() = 0;  // may destroy this

 private:
  friend class Inbox;
  Posted* next_ = nullptr;
};

class Inbox {
 public:
  Inbox();  // throws kUnavailable when the system has no descriptor left
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // From any thread.  Things come out in the order they were pushed.
  void Push(Posted& thing);

  // For the loop's thread.  `event_descriptor` is to be watched edge-triggered and never read.
  [[nodiscard]] int event_descriptor() const { return event_; }
  [[nodiscard]] bool FallAsleep();  // false: something is there already, do not wait
  void WakeUp() { asleep_.store(false, std::memory_order_relaxed); }
  void RunAll();  // what is there now, not what that adds

 private:
  int event_;
  std::atomic<Posted*> newest_{nullptr};
  std::atomic<bool> asleep_{false};
};

}  // namespace gathering::loop
