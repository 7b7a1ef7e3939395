#include "core/events/crew.h"

#include <pthread.h>

#include <limits>

#include "core/base/error.h"

namespace gathering::events {

// Besides the calls of handlers there may be one for each subscription that is disconnected.
Crew::Crew(std::uint32_t calls_max)
    : workers_({.name = "event",
                .threads = calls_max,
                .threads_at_once = 1,
                .queue_max = std::numeric_limits<std::uint32_t>::max()}),
      watch_([this] { Watch(); }) {}

Crew::~Crew() {
  {
    std::scoped_lock lock{mutex_};
    stopping_ = true;
  }
  changed_.notify_all();
}

void Crew::Execute(Call call) {
  if (!workers_.TryPost([call] { call.Done(call.Run()); })) {
    throw Error{Code::kInternal, "there is no thread for an event's handler"};
  }
}

void Crew::SetAlarm(Bus& bus, Clock::Steady at) {
  {
    std::scoped_lock lock{mutex_};
    bus_ = &bus;
    at_ = at;
  }
  changed_.notify_all();
}

void Crew::Forget(Bus&) {
  std::unique_lock lock{mutex_};
  at_ = Clock::Steady::max();
  changed_.wait(lock, [this] { return !ringing_; });
  bus_ = nullptr;
}

void Crew::Watch() {
  pthread_setname_np(pthread_self(), "event-alarm");
  std::unique_lock lock{mutex_};
  while (!stopping_) {
    const Clock::Steady at = at_;
    if (at == Clock::Steady::max()) {
      changed_.wait(lock);
    } else if (changed_.wait_until(lock, at) == std::cv_status::timeout && at_ == at) {
      at_ = Clock::Steady::max();
      ringing_ = true;
      Bus& bus = *bus_;
      lock.unlock();
      bus.OnAlarm();
      lock.lock();
      ringing_ = false;
      changed_.notify_all();
    }
  }
}

}  // namespace gathering::events
