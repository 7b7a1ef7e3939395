#include "daemon/loop/fiber.h"

#include <atomic>
#include <cassert>
#include <chrono>
#include <memory>

#include "core/base/error.h"
#include "core/base/log.h"
#include "daemon/loop/loop.h"

namespace gathering::loop {
namespace {

constexpr std::chrono::seconds kComeBackAfter{1};

// One piece of work between a sleeping fiber and a worker.  Two owners: the fiber's side, which
// lets go when the fiber goes on, and the worker's, which lets go when it (or the loop, for it)
// has nothing left to do.  Whoever moves `state_` away from kQueued decides whether it runs.
class Errand final : public Posted {
 public:
  Errand(Loop& loop, const std::function<void()>& work)
      : loop_(loop),
        inbox_(loop.inbox()),
        fiber_(loop.fibers().current()),
        work_(work),
        writes_for_(log::Current()) {}

  // On a worker.
  void RunOnWorker() {
    if (!Claim(State::kRunning)) {
      Release();
      return;
    }
    try {
      const log::Scope scope{writes_for_};
      work_();
    } catch (...) {
      failure_ = std::current_exception();
    }
    const std::shared_ptr<Inbox> inbox = inbox_;  // this may be gone once it is pushed
    inbox->Push(*this);
  }

  // On the loop, after RunOnWorker.
  void OnLoop() override {
    loop_.fibers().Resume(*fiber_);
    Release();
  }

  // On the loop, when the deadline passed; true when the work will never run.
  [[nodiscard]] bool Cancel() { return Claim(State::kCancelled); }
  void ResumeFiber() { loop_.fibers().Resume(*fiber_); }
  [[nodiscard]] bool cancelled() const { return state_.load(std::memory_order_relaxed) == State::kCancelled; }
  [[nodiscard]] std::exception_ptr TakeFailure() { return std::exchange(failure_, nullptr); }

  void Release() {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  enum class State { kQueued, kRunning, kCancelled };
  bool Claim(State next) {
    State expected = State::kQueued;
    return state_.compare_exchange_strong(expected, next);
  }

  Loop& loop_;
  const std::shared_ptr<Inbox> inbox_;
  Fiber* const fiber_;
  const std::function<void()>& work_;     // on the fiber's stack: only for who claimed kRunning
  const log::Context* const writes_for_;  // likewise
  std::exception_ptr failure_;
  std::atomic<State> state_{State::kQueued};
  std::atomic<int> owners_{2};
};

class Deadline final : public Timer {
 public:
  Deadline(Timers& timers, Errand& errand) : Timer(timers), errand_(errand) {}

 protected:
  void OnDeadline() override {
    if (errand_.Cancel()) errand_.ResumeFiber();
  }

 private:
  Errand& errand_;
};

// Wakes the fiber that made it, and is gone then.
class Alarm final : public Posted {
 public:
  explicit Alarm(Loop& loop) : loop_(loop), fiber_(loop.fibers().current()) {}
  void OnLoop() override { loop_.fibers().Resume(*fiber_); }

 private:
  Loop& loop_;
  Fiber* const fiber_;
};

}  // namespace

bool OnFiber() {
  return Loop::Current() != nullptr && Loop::Current()->fibers().current() != nullptr;
}

void SleepUntilWoken(const Wait& wait, const std::function<void(std::function<void()> wake)>& arrange) {
  Loop& loop = *Loop::Current();
  Alarm alarm{loop};
  // The loop hears of it once this fiber sleeps, however early it is.
  arrange([&alarm, inbox = loop.inbox()] { inbox->Push(alarm); });
  loop.fibers().Suspend(wait);
}

void RunOnErased(WorkerPool& pool, std::optional<Clock::Steady> deadline, const Wait& wait,
                 const std::function<void()>& work) {
  if (!OnFiber()) {
    work();
    return;
  }
  Loop& loop = *Loop::Current();
  auto* const errand = new Errand{loop, work};
  if (!pool.TryPost([errand] { errand->RunOnWorker(); })) {
    errand->Release();
    errand->Release();
    throw Unavailable("the server is busy, try again", kComeBackAfter, "a queue of blocking work is full");
  }
  {
    Deadline timer{loop.timers(), *errand};
    if (deadline) timer.SetDeadline(*deadline);
    loop.fibers().Suspend(wait);
  }
  const bool cancelled = errand->cancelled();
  const std::exception_ptr failure = errand->TakeFailure();
  errand->Release();
  if (cancelled) throw Error{Code::kTimeout, "the request took too long", "its work still waited in a queue"};
  if (failure) std::rethrow_exception(failure);
}

}  // namespace gathering::loop
