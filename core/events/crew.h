#pragma once
// Threads for a bus: workers that make its calls, started as they are needed, and one that watches the time.
// Lives longer than the bus.
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "core/base/clock.h"
#include "core/base/worker_pool.h"
#include "core/events/bus.h"

namespace gathering::events {

class Crew final : public Executor {
 public:
  // At most `calls_max` threads, as many as the bus makes calls at a time.
  explicit Crew(std::uint32_t calls_max);
  ~Crew() override;
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void Execute(Call call) override;
  void SetAlarm(Bus& bus, Clock::Steady at) override;
  void Forget(Bus& bus) override;

  [[nodiscard]] WorkerPoolStats Stats() const { return workers_.Stats(); }

 private:
  void Watch();

  WorkerPool workers_;
  std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  Bus* bus_ = nullptr;
  Clock::Steady at_ = Clock::Steady::max();
  bool ringing_ = false;
  bool stopping_ = false;
  std::jthread watch_;
};

}  // namespace gathering::events
