#pragma once
// Fibers: stackful coroutines of one event loop, so that a handler reads straight
// down while its thread serves others.
//
// A fiber never leaves the thread of its loop.  Code on a fiber may suspend only
// through the functions below; it must hold no lock when it does.  Each switch
// saves and restores the C++ exception globals and tells the sanitizers.
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/base/clock.h"
#include "core/base/worker_pool.h"
#include "daemon/loop/fibers.h"

namespace gathering::loop {

// True when the caller runs on a fiber.
[[nodiscard]] bool OnFiber();

// Gives `arrange` a function that wakes this fiber, and sleeps until somebody has called it: once, from any
// thread, now or later.
void SleepUntilWoken(const Wait& wait, const std::function<void(std::function<void()> wake)>& arrange);

// Runs `work` on `pool` while this fiber sleeps; `work` may use everything on the
// fiber's stack.  Exceptions of `work` come out here.  Throws kUnavailable (with
// Retry-After) when the pool's queue is full, kTimeout when `deadline` passed while
// the job still waited in the queue; a job that runs is always waited for, so it must
// be bounded by itself.  Log lines of `work` are written for whom the fiber writes.
// Off a fiber `work` simply runs (tests, start-up).
void RunOnErased(WorkerPool& pool, std::optional<Clock::Steady> deadline, const Wait& wait,
                 const std::function<void()>& work);

template <class F>
auto RunOn(WorkerPool& pool, std::optional<Clock::Steady> deadline, const Wait& wait, F&& work) {
  using Value = std::invoke_result_t<F&>;
  if constexpr (std::is_void_v<Value>) {
    RunOnErased(pool, deadline, wait, [&] { work(); });
  } else {
    std::optional<Value> value;
    RunOnErased(pool, deadline, wait, [&] { value.emplace(work()); });
    return *std::move(value);
  }
}

// The same, where the pool's name says enough of what is waited for.
template <class F>
auto RunOn(WorkerPool& pool, std::optional<Clock::Steady> deadline, F&& work) {
  return RunOn(pool, deadline, Wait{.what = "worker", .name = pool.name()}, std::forward<F>(work));
}

}  // namespace gathering::loop
