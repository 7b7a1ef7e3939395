#include "daemon/loop/heartbeat.h"

#include <atomic>
#include <cstddef>
#include <utility>

namespace gathering::loop {

// Outlives the heartbeat while a loop has yet to answer.
struct Heartbeat::Round {
  explicit Round(std::function<void()> beat_in) : beat(std::move(beat_in)) {}

  void Answer() {
    if (missing.fetch_sub(1) == 1) beat();
  }

  const std::function<void()> beat;
  std::atomic<std::size_t> missing{0};
};

Heartbeat::Heartbeat(std::vector<Loop*> loops, std::chrono::microseconds every, std::function<void()> beat)
    : Timer(loops.front()->timers()),
      loops_(std::move(loops)),
      every_(every),
      round_(std::make_shared<Round>(std::move(beat))) {
  OnDeadline();
}

void Heartbeat::OnDeadline() {
  SetDeadline(loops_.front()->now() + every_);
  if (round_->missing.load() != 0) return;  // somebody has not answered the last time
  round_->missing.store(loops_.size());
  for (Loop* const loop : loops_) {
    loop->Post([round = round_] { round->Answer(); });
  }
}

}  // namespace gathering::loop
