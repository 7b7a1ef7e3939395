#pragma once
// Time that passes because nothing is left to do: a bus runs on it as on real threads, an hour in a moment,
// and twice in the same way.  For one thread; nothing here ever waits.
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/events/bus.h"

namespace gathering::events {

class VirtualTime final : public Clock, public Executor {
 public:
  explicit VirtualTime(Timestamp begin = {1'000'000}) : begin_(begin) {}

  [[nodiscard]] Steady Now() const override { return Steady{} + passed_; }
  [[nodiscard]] Timestamp WallNow() const override { return {begin_.micros + passed_.count()}; }

  // Things at the same moment happen in the order they were asked for.  The past is now.
  void At(Steady at, std::function<void()> what);

  // Does the next thing, at its time.  False when nothing is left.
  bool Step();

  // Does everything until then, and what that brings, and then it is then.
  void RunUntil(Steady then);

  // For a handler on a worker: its call takes that much longer, or for ever.
  void Spend(std::chrono::microseconds time) { spent_ += time; }
  void Hang() { hangs_ = true; }

  // Calls that took for ever end now.
  void EndHanging();

  void Execute(Call call) override;
  void SetAlarm(Bus& bus, Steady at) override;
  void Forget(Bus& bus) override;

 private:
  Timestamp begin_;
  std::chrono::microseconds passed_{std::chrono::hours{1}};
  std::multimap<Steady, std::function<void()>> agenda_;
  std::optional<std::multimap<Steady, std::function<void()>>::iterator> alarm_;
  std::chrono::microseconds spent_{0};
  bool hangs_ = false;
  std::vector<std::pair<Call, std::optional<std::string>>> hanging_;
};

}  // namespace gathering::events
