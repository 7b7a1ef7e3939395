#include "daemon/loop/timers.h"

namespace gathering::loop {

Timer::~Timer() {
  if (place_ != kNowhere) timers_.Remove(*this);
}

void Timer::SetDeadline(Clock::Steady deadline) {
  deadline_ = deadline;
  if (deadline < queued_) timers_.Place(*this);
}

std::optional<Clock::Steady> Timers::Next() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->queued_;
}

void Timers::RunDue(Clock::Steady now) {
  while (!heap_.empty() && heap_.front()->queued_ <= now) {
    Timer& timer = *heap_.front();
    if (timer.deadline_ == Clock::Steady::max()) {
      Remove(timer);
    } else if (timer.deadline_ > now) {
      timer.queued_ = timer.deadline_;
      Down(0);
    } else {
      Remove(timer);
      timer.deadline_ = Clock::Steady::max();
      timer.OnDeadline();
    }
  }
}

void Timers::Place(Timer& timer) {
  timer.queued_ = timer.deadline_;
  if (timer.place_ == Timer::kNowhere) {
    heap_.push_back(&timer);
    timer.place_ = heap_.size() - 1;
  }
  Up(timer.place_);
}

void Timers::Remove(Timer& timer) {
  const std::size_t place = timer.place_;
  timer.place_ = Timer::kNowhere;
  timer.queued_ = Clock::Steady::max();
  Timer* const last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  Put(place, last);
  Up(place);
  Down(last->place_);
}

void Timers::Up(std::size_t place) {
  Timer* const timer = heap_[place];
  while (place > 0) {
    const std::size_t parent = (place - 1) / 2;
    if (heap_[parent]->queued_ <= timer->queued_) break;
    Put(place, heap_[parent]);
    place = parent;
  }
  Put(place, timer);
}

void Timers::Down(std::size_t place) {
  Timer* const timer = heap_[place];
  for (;;) {
    std::size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->queued_ < heap_[child]->queued_) ++child;
    if (timer->queued_ <= heap_[child]->queued_) break;
    Put(place, heap_[child]);
    place = child;
  }
  Put(place, timer);
}

void Timers::Put(std::size_t place, Timer* timer) {
  heap_[place] = timer;
  timer->place_ = place;
}

}  // namespace gathering::loop
