#include "daemon/loop/inbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>

#include "core/base/error.h"

namespace gathering::loop {

Inbox::Inbox() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_ < 0)
    throw Unavailable("no descriptor for an event loop", std::chrono::seconds{1}, std::strerror(errno));
}

Inbox::~Inbox() {
  ::close(event_);
}

void Inbox::Push(Posted& thing) {
  Posted* newest = newest_.load(std::memory_order_relaxed);
  do {
    thing.next_ = newest;
  } while (!newest_.compare_exchange_weak(newest, &thing));
  if (asleep_.load() && asleep_.exchange(false)) {
    const std::uint64_t one = 1;
    // Fails only when 2^64 wake-ups were never noticed.
    [[maybe_unused]] const ssize_t written = ::write(event_, &one, sizeof one);
  }
}

bool Inbox::FallAsleep() {
  asleep_.store(true);
  if (newest_.load() == nullptr) return true;
  asleep_.store(false);
  return false;
}

void Inbox::RunAll() {
  if (newest_.load(std::memory_order_relaxed) == nullptr) return;
  Posted* newest = newest_.exchange(nullptr, std::memory_order_acquire);
  Posted* oldest = nullptr;
  while (newest != nullptr) {
    Posted* const next = newest->next_;
    newest->next_ = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    Posted* const next = oldest->next_;
    oldest->OnLoop();
    oldest = next;
  }
}

}  // namespace gathering::loop
