#pragma once
// A bounded pool of PostgreSQL connections for transactions.
//
// A connection is idle in the pool or inside one running callback, nowhere else.
// Waiters are served in order, are bounded, and wait at most `acquire_timeout`.
// Each connection retires after its lifetime (varied by up to 10 % so that they
// do not all leave at once) or when idle for too long above `connections_min`;
// one idle for over a second is checked before use.  After a failed connect,
// attempts back off (100 ms doubling to 2 s, with jitter) and callers fail at
// once instead of piling up.  A transaction that writes commits without waiting for the
// disk and then, holding no lock, waits for it once: what callers hear of is durable, and
// those who want the same row do not wait for the disk one after the other.  A server that
// does not even keep to its own timeouts is left: the connection is cut half a second
// later.  All members are safe to call from any thread; all of them block.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/db/connection.h"
#include "core/db/statistics.h"
#include "core/db/tx.h"

namespace gathering::db {

struct PoolOptions {
  std::string url;  // libpq URL or keyword string
  std::uint32_t connections_min = 2;
  std::uint32_t connections_max = 16;
  std::uint32_t waiters_max = 512;
  std::chrono::milliseconds acquire_timeout{2'000};
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::seconds lifetime_max{1'800};
  std::chrono::seconds idle_max{300};
  std::chrono::milliseconds statement_timeout{5'000};
  std::chrono::milliseconds lock_timeout{2'000};
  std::chrono::milliseconds idle_in_transaction_timeout{10'000};
  std::chrono::milliseconds tcp_user_timeout{10'000};
  std::string application_name = "gathering";
};

// A connection as the pool's are.
[[nodiscard]] ConnectionOptions ToConnectionOptions(const PoolOptions& options);

struct PoolStats {
  std::uint32_t connections = 0;
  std::uint32_t idle = 0;
  std::uint32_t in_use = 0;
  std::uint32_t waiting = 0;
  std::uint64_t acquired = 0;
  std::uint64_t acquire_timeouts = 0;
  std::uint64_t refused = 0;  // beyond waiters_max
  std::uint64_t connects = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t lost = 0;               // connections found broken
  std::uint64_t retired = 0;            // by age or idleness
  std::uint64_t retries = 0;            // transactions run again after serialization failure or deadlock
  std::chrono::microseconds waited{0};  // by all acquirers together
};

enum class Mode : std::uint8_t { kRead, kWrite };

class Pool {
 public:
  // `statistics`, if given, is told of every statement.
  Pool(PoolOptions options, const Clock& clock, QueryStatistics* statistics = nullptr);
  ~Pool();  // waits for running callbacks
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Runs `work` in a transaction: read only on one snapshot, or read committed with commit at the end.
  // Serialization failures and deadlocks run it again (at most 3 times, with jitter), so it
  // must have no effect outside the transaction.  A lost connection is tried again once for
  // Read; for Write only when it was lost before COMMIT was sent.  Lost at COMMIT throws kInDoubt.
  // Throws what `work` throws, and kUnavailable when no connection is to be had.
  template <class F>
  auto Read(F&& work) {
    return Run(Mode::kRead, std::forward<F>(work), {});
  }
  template <class F>
  auto Write(F&& work) {
    return Run(Mode::kWrite, std::forward<F>(work), {});
  }
  // The same, bounded by a deadline: it shortens the wait for a connection and each statement's timeout.
  template <class F>
  auto Run(Mode mode, F&& work, std::optional<Clock::Steady> deadline) {
    using Value = std::invoke_result_t<F&, Tx&>;
    if constexpr (std::is_void_v<Value>) {
      RunErased(
          mode, [&](Tx& tx) { work(tx); }, deadline);
    } else {
      std::optional<Value> value;
      RunErased(
          mode, [&](Tx& tx) { value.emplace(work(tx)); }, deadline);
      return *std::move(value);
    }
  }

  PoolStats Stats() const;

 private:
  void RunErased(Mode mode, const std::function<void(Tx&)>& work, std::optional<Clock::Steady> deadline);

  class State;
  std::unique_ptr<State> state_;
};

}  // namespace gathering::db
