#pragma once
// SIGINT and SIGTERM in commands that are no daemon: the first one asks for an orderly end, the second to
// leave what is being waited for, the third is the system's.
#include <atomic>

namespace gathering::cmd {

inline std::atomic<bool> stop_asked{false};
inline std::atomic<bool> cancel_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// From now on the two above tell; every system call that waits ends with the signal.
void WatchInterrupts();

}  // namespace gathering::cmd
