#pragma once
// Waiting for what takes less time than falling asleep.
#include <mutex>

namespace gathering {

// Tells the core that this thread waits in a loop.
inline void SpinPause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // as long as x86's; "yield" does nothing on most cores
#endif
}

// The lock of a mutex that is held for well under a microsecond at a time: tries for about a microsecond, and
// only then sleeps, which with being woken up takes some fifty.
[[nodiscard]] inline std::unique_lock<std::mutex> Acquire(std::mutex& mutex) {
  constexpr int kTriesMax = 100;
  std::unique_lock lock{mutex, std::try_to_lock};
  for (int tries = 1; !lock && tries < kTriesMax; ++tries) {
    SpinPause();
    (void)lock.try_lock();
  }
  if (!lock) lock.lock();
  return lock;
}

}  // namespace gathering
