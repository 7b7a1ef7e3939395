#pragma once
// Against guessing passwords: an account that failed too often backs off, whatever address asks.
//
// The first `free` failures cost nothing; after that the next try has to wait `first_wait`, then twice as
// long after each further failure, up to `longest_wait`.  Everything is forgotten `quiet` after the wait, or
// when a try succeeds.
//
// A try counts as failed from its beginning: Try takes the failure, Forget gives everything back when the
// password was right, Undo gives one back when it could not be checked.  So a thousand tries at once are no
// more than a thousand one after the other: only `free` of them are let through.  A refused try is not
// counted, so nobody is kept out for longer by who keeps trying.
//
// An account here is whatever name was asked for.  Nothing looks at whether it exists, so one that does not
// behaves the same, and nothing is revealed.  Normalise names (case, spaces) before, as the login does.
//
// LockoutPolicy and LockoutState are pure arithmetic.  Lockout keeps the states of one process in a table of
// fixed size; RedisLimiter does the same arithmetic in Redis for all instances, beside this one, which then
// answers when Redis cannot.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/siphash.h"

namespace gathering::limits {

struct LockoutPolicy {
  std::uint32_t free = 5;  // failures that cost nothing; at least 1
  std::chrono::milliseconds first_wait{1'000};
  std::chrono::milliseconds longest_wait{900'000};
  std::chrono::milliseconds quiet{900'000};

  // After so many failures the next try has to wait for so long.
  [[nodiscard]] std::chrono::nanoseconds WaitAfter(std::uint32_t failures) const;
};

struct LockoutAnswer {
  bool allowed = true;
  std::uint32_t failures = 0;               // counted, this try among them
  std::chrono::nanoseconds retry_after{0};  // exact; zero when allowed
};

// What is remembered of an account.
struct LockoutState {
  std::int64_t last_ns = 0;  // when the last counted try began
  std::uint32_t failures = 0;

  [[nodiscard]] bool Forgotten(const LockoutPolicy& policy, std::int64_t now_ns) const;
  [[nodiscard]] bool Waiting(const LockoutPolicy& policy, std::int64_t now_ns) const;
  LockoutAnswer Try(const LockoutPolicy& policy, std::int64_t now_ns);
  void Undo(const LockoutPolicy& policy, std::int64_t now_ns);
};

struct LockoutOptions {
  LockoutPolicy policy;
  std::uint32_t accounts_max = 100'000;
};

struct LockoutStats {
  std::uint64_t allowed = 0;
  std::uint64_t refused = 0;
  std::uint64_t forgotten = 0;  // because a try succeeded
  std::uint64_t undone = 0;
  std::uint64_t evicted = 0;    // to make room: accounts that were not waiting, with the fewest failures
  std::uint64_t uncounted = 0;  // let through because all in their place wait
  std::uint64_t accounts = 0;   // remembered
  std::uint64_t waiting = 0;    // of these, backing off
  std::uint64_t bytes = 0;
};

// The states of one process.  Room: 40 bytes for each of `accounts_max`, allocated once.  An account lies in
// one of two sets of eight; when both are full, one that does not wait and failed least gives way, so that
// made-up names cannot end anybody's wait; when all of them wait, a newcomer is let through uncounted (what
// limits addresses still holds).  Hashed like store.h.  Safe from any thread.
class Lockout {
 public:
  explicit Lockout(LockoutOptions options = {});
  ~Lockout();
  Lockout(const Lockout&) = delete;
  Lockout& operator=(const Lockout&) = delete;

  [[nodiscard]] LockoutAnswer Try(std::string_view account, Clock::Steady now);
  void Forget(std::string_view account, Clock::Steady now);
  void Undo(std::string_view account, Clock::Steady now);

  // What was answered for all instances, so that this one goes on from there when it has to.
  void Learn(std::string_view account, const LockoutAnswer& answer, Clock::Steady now);

  [[nodiscard]] const LockoutPolicy& policy() const { return options_.policy; }
  [[nodiscard]] LockoutStats Stats(Clock::Steady now) const;

 private:
  struct Slot;
  struct Shard;
  class Visit;

  const LockoutOptions options_;
  const SipKey secret_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace gathering::limits
