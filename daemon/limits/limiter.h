#pragma once
// The daemon's rate limits: which rule a route has, and what is decided.
//
// Without Redis a decision is made at once in the store of this process.  With Redis it is made there, for
// all daemons together, while the calling fiber sleeps for at most `rate_limits.redis_timeout`.  Reload
// changes the rules and keeps every counter.  All members are safe to call from any thread.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/guarded.h"
#include "core/config/config.h"
#include "core/limits/lockout.h"
#include "core/limits/policy.h"
#include "core/limits/store.h"
#include "daemon/limits/redis_lane.h"

namespace gathering {

// Decisions of one tier since the start.
struct TierCounts {
  explicit TierCounts(std::string name_in) : name(std::move(name_in)) {}

  const std::string name;
  std::atomic<std::uint64_t> allowed{0};
  std::atomic<std::uint64_t> limited{0};   // refused, or in the shadow would have been
  std::atomic<std::uint64_t> shadowed{0};  // of these, let through
};

// How a route is limited, and where that is counted.
struct RouteLimit {
  limits::Rule rule;
  TierCounts* counts = nullptr;  // set with a tier
};

struct TierStats {
  std::string name;
  std::uint64_t allowed = 0;
  std::uint64_t limited = 0;
  std::uint64_t shadowed = 0;
};

struct LimiterStats {
  std::vector<TierStats> tiers;
  std::uint64_t exempt = 0;  // requests of exempt clients
  limits::StoreStats store;
  limits::LockoutStats lockout;
  std::vector<limits::RedisLimiterStats> lanes;  // one for each loop; empty without Redis
};

class Limiter {
 public:
  // `secret` keys what is written to Redis; equal on all daemons.  Throws Error kInvalid.
  Limiter(const RateLimitsConfig& config, std::string_view secret, WorkerPool& resolver, const Clock& clock);
  ~Limiter();  // the loops have ended
  Limiter(const Limiter&) = delete;
  Limiter& operator=(const Limiter&) = delete;

  // Gives a loop its connection to Redis, until it ends.  On its thread, before its first decision.
  void Attach(loop::Loop& loop);

  // What holds from now on.  Throws Error kInvalid and changes nothing.
  void Reload(const RateLimitsConfig& config);

  // The rules as they are now, and a number that changes with them and that no other limiter has.
  [[nodiscard]] std::shared_ptr<const limits::Policy> policy() const;
  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // `tier` is the name in the route's row.
  [[nodiscard]] RouteLimit LimitOf(const limits::Policy& policy, std::string_view route,
                                   std::string_view tier);

  // Decides on a request of `subject` under a limit with a tier, and counts it.
  [[nodiscard]] limits::Decision Decide(const RouteLimit& limit, std::string_view subject);
  void NoteExempt() { exempt_.fetch_add(1, std::memory_order_relaxed); }

  // An account's try at a password; see core/limits/lockout.h.
  [[nodiscard]] limits::LockoutAnswer TryAccount(std::string_view account);
  void ForgetAccount(std::string_view account);  // the password was right
  void UndoAccount(std::string_view account);    // it could not be checked

  // How much longer than necessary a client is told to wait.
  [[nodiscard]] std::chrono::nanoseconds WithJitter(std::chrono::nanoseconds wait) const;

  [[nodiscard]] LimiterStats Stats() const;

 private:
  static thread_local RedisLane* here_;  // of this thread's loop

  const Clock& clock_;
  WorkerPool& resolver_;
  limits::Store store_;
  limits::Lockout lockout_;
  std::unique_ptr<const limits::RedisEndpoint> endpoint_;
  limits::RedisLimiterOptions redis_options_;
  Guarded<std::shared_ptr<const limits::Policy>> policy_;
  std::atomic<std::uint64_t> version_{0};
  std::atomic<std::uint32_t> jitter_percent_{0};
  std::atomic<std::uint64_t> exempt_{0};
  Guarded<std::vector<std::unique_ptr<TierCounts>>> counts_;
  Guarded<std::vector<std::unique_ptr<RedisLane>>> lanes_;
};

}  // namespace gathering
