#pragma once
// The fibers of one loop: starting, suspending and resuming them.  What code on a fiber
// may call is in daemon/loop/fiber.h; this is for the loop and for what waits on its behalf.
//
// Each fiber has a stack of its own with a page below it that must not be touched, so an
// overflow is a crash and not a corruption.  A fiber that ended keeps its stack for the next
// job; beyond `parked_max` of them the memory goes back.  What a fiber's log lines are written for
// (log::Scope) stays with it across switches.  Belongs to the loop's thread.
#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gathering::loop {

// What a fiber is to do.  Must live until OnFiberDone was called.
class FiberJob {
 public:
  virtual void OnFiber() noexcept = 0;  // on the fiber
  virtual void OnFiberDone() = 0;  // on the loop's own stack, when the fiber is free again; may destroy this
  [[nodiscard]] virtual std::string_view Label() const = 0;  // for the log; asked before OnFiberDone

 protected:
  ~FiberJob() = default;
};

class Fiber;

// What a fiber sleeps for, for those who look at it meanwhile.  The texts outlive the sleep.
struct Wait {
  std::string_view what;
  std::string_view name = {};  // of what it waits for there
  // Or how far that is, which others write; null inside: not begun.
  const std::atomic<const std::string_view*>* at = nullptr;
};

// "worker hash", "transaction agent_by_id".
[[nodiscard]] std::string ToText(const Wait& wait);

struct FibersOptions {
  std::size_t stack_bytes = 262'144;  // rounded up to pages; four times as much with a sanitizer
  std::size_t parked_max = 64;
};

class Fibers {
 public:
  // `after_slice` is told each time a fiber gave the thread back.
  Fibers(FibersOptions options, std::function<void(const FiberJob&)> after_slice)
      : options_(options), after_slice_(std::move(after_slice)) {
    parked_.reserve(options_.parked_max);
  }
  ~Fibers();  // no fiber may be active
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;

  // Runs `job` on a fiber until it ends or suspends.  False when there is no memory for a stack; then
  // nothing was called.  Not to be called on a fiber.
  [[nodiscard]] bool Start(FiberJob& job);

  // Goes on with a suspended fiber until it ends or suspends again.  Not to be called on a fiber.
  void Resume(Fiber& fiber);

  // Back to the loop until somebody calls Resume.  Only on a fiber.
  void Suspend(const Wait& wait);

  // What a fiber that is suspended now waits for.
  [[nodiscard]] static const Wait& WaitOf(const Fiber& fiber);

  // The fiber that runs, or null.
  [[nodiscard]] Fiber* current() const { return current_; }

  // Fibers with a job, running or suspended.
  [[nodiscard]] std::size_t active() const { return active_; }

 private:
  friend class Fiber;
  void Run(Fiber& fiber);
  void Leave(Fiber& fiber);
  void Discard(Fiber* fiber);

  const FibersOptions options_;
  const std::function<void(const FiberJob&)> after_slice_;
  Fiber* current_ = nullptr;
  std::size_t active_ = 0;
  std::vector<Fiber*> parked_;
};

}  // namespace gathering::loop
