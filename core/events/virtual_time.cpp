#include "core/events/virtual_time.h"

#include <algorithm>

namespace gathering::events {

void VirtualTime::At(Steady at, std::function<void()> what) {
  agenda_.emplace(std::max(at, Now()), std::move(what));
}

bool VirtualTime::Step() {
  if (agenda_.empty()) return false;
  const auto next = agenda_.begin();
  passed_ = std::chrono::ceil<std::chrono::microseconds>(next->first - Steady{});
  const std::function<void()> what = std::move(next->second);
  agenda_.erase(next);
  what();
  return true;
}

void VirtualTime::RunUntil(Steady then) {
  while (!agenda_.empty() && agenda_.begin()->first <= then) Step();
  passed_ = std::chrono::ceil<std::chrono::microseconds>(then - Steady{});
}

void VirtualTime::EndHanging() {
  std::vector<std::pair<Call, std::optional<std::string>>> ended;
  ended.swap(hanging_);
  for (auto& [call, failure] : ended) call.Done(std::move(failure));
}

void VirtualTime::Execute(Call call) {
  At(Now(), [this, call] {
    spent_ = {};
    hangs_ = false;
    std::optional<std::string> failure = call.Run();
    if (hangs_) {
      hanging_.emplace_back(call, std::move(failure));
    } else {
      At(Now() + spent_, [call, failure = std::move(failure)] { call.Done(failure); });
    }
  });
}

void VirtualTime::SetAlarm(Bus& bus, Steady at) {
  Forget(bus);
  alarm_ = agenda_.emplace(at, [this, &bus] {
    alarm_.reset();
    bus.OnAlarm();
  });
}

void VirtualTime::Forget(Bus&) {
  if (alarm_) agenda_.erase(*alarm_);
  alarm_.reset();
}

}  // namespace gathering::events
