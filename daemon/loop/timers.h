#pragma once
// Deadlines of one loop.  Not thread safe: everything here belongs to the loop's thread.
//
// Moving a deadline later costs one store, because that is what happens with every
// request of a kept-alive connection: the heap keeps the old place and corrects itself
// when that comes up.  Only a deadline that moves earlier touches the heap.
#include <cstddef>
#include <optional>
#include <vector>

#include "core/base/clock.h"

namespace gathering::loop {

class Timers;

// Something with a deadline.  Leaves its Timers when destroyed.
class Timer {
 public:
  explicit Timer(Timers& timers) : timers_(timers) {}
  virtual ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void SetDeadline(Clock::Steady deadline);
  void ClearDeadline() { deadline_ = Clock::Steady::max(); }

 protected:
  // The deadline passed; it is cleared before the call.  May destroy this and other timers.
  virtual void OnDeadline() = 0;

 private:
  friend class Timers;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  Timers& timers_;
  Clock::Steady deadline_ = Clock::Steady::max();  // what is meant
  Clock::Steady queued_ = Clock::Steady::max();    // its key in the heap, never after deadline_
  std::size_t place_ = kNowhere;                   // its index in the heap
};

class Timers {
 public:
  // When RunDue should be called next; may be too early, never too late.
  [[nodiscard]] std::optional<Clock::Steady> Next() const;

  void RunDue(Clock::Steady now);

  [[nodiscard]] std::size_t queued() const { return heap_.size(); }

 private:
  friend class Timer;
  void Place(Timer& timer);
  void Remove(Timer& timer);
  void Up(std::size_t place);
  void Down(std::size_t place);
  void Put(std::size_t place, Timer* timer);

  std::vector<Timer*> heap_;  // smallest queued_ first
};

}  // namespace gathering::loop
