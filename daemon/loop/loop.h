#pragma once
// An event loop: one thread, one epoll, its timers, its fibers.
//
// Everything that belongs to a loop is touched by its thread only; Post is the one door
// for others.  Nothing on a loop may block: what must goes through RunOn (fiber.h).
// The clock is read once a turn and once for every slice of a fiber.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "daemon/loop/fibers.h"
#include "daemon/loop/inbox.h"
#include "daemon/loop/timers.h"

namespace gathering::loop {

// A descriptor's owner.  Handed back through Retire, never deleted while a turn runs.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void OnEvents(std::uint32_t events) = 0;  // EPOLLIN, …; 0 after Again.  Must not throw.

 private:
  friend class Loop;
  bool again_ = false;
};

// Something to do once at the end of a turn, after everything else in it.
class TurnEnd {
 public:
  virtual void OnTurnEnd() = 0;  // must not throw

 protected:
  ~TurnEnd() = default;

 private:
  friend class Loop;
  bool listed_ = false;
};

// A slice of a fiber longer than this is a stall: something in it blocked or computed for too long.
inline constexpr std::chrono::milliseconds kStall{20};

struct LoopOptions {
  std::string name = "loop";  // of the thread
  std::optional<int> cpu;     // to stay on; none: wherever the kernel likes
  FibersOptions fibers;
};

class Loop {
 public:
  Loop(const Clock& clock, LoopOptions options);  // throws kUnavailable without descriptors
  ~Loop();                                        // stops
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The loop whose thread this is, or null.
  [[nodiscard]] static Loop* Current();

  void Start();

  // Ends the thread as soon as no fiber is active, and joins it.  What was posted before runs.
  void Stop();

  // From any thread: `task` runs on the loop, in the order posted.  It must not throw.
  void Post(std::function<void()> task);
  [[nodiscard]] const std::shared_ptr<Inbox>& inbox() const { return inbox_; }

  // From any thread: how often a fiber held the loop for longer than kStall.
  [[nodiscard]] std::uint64_t stalls() const { return stalls_.load(std::memory_order_relaxed); }

  // --- on the loop's thread only --------------------------------------------------------------

  [[nodiscard]] Clock::Steady now() const { return now_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] Timers& timers() { return timers_; }
  [[nodiscard]] Fibers& fibers() { return fibers_; }

  // For these events from now on, instead of others if it is watched already.  False when the kernel refuses.
  [[nodiscard]] bool Watch(int descriptor, std::uint32_t events, Watcher& watcher);
  void Unwatch(int descriptor);

  // Calls OnEvents(0) in the next turn, after everybody else had a chance.
  void Again(Watcher& watcher);

  // Calls OnTurnEnd at the end of this turn; asked for during that, at the end of the next.  Whoever asked
  // lives until then.
  void AtTurnEnd(TurnEnd& what);

  // Runs `last` when the loop ends, after its last fiber.
  void AtExit(std::function<void()> last) { at_exit_.push_back(std::move(last)); }

  // Destroys a watcher at the end of the turn.
  void Retire(std::unique_ptr<Watcher> watcher);

 private:
  void Run();
  void Turn();
  [[nodiscard]] int Patience() const;
  void NoteSlice(const FiberJob& job);

  const Clock& clock_;
  const LoopOptions options_;
  const int epoll_;
  const std::shared_ptr<Inbox> inbox_;
  std::atomic<std::uint64_t> stalls_{0};
  bool stopping_ = false;
  Clock::Steady now_;
  Timers timers_;
  Fibers fibers_;
  std::vector<Watcher*> again_;
  std::vector<Watcher*> again_now_;
  std::vector<TurnEnd*> turn_end_;
  std::vector<TurnEnd*> turn_end_now_;
  std::vector<std::function<void()>> at_exit_;
  std::vector<std::unique_ptr<Watcher>> retired_;
  std::jthread thread_;
};

}  // namespace gathering::loop
