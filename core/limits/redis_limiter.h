#pragma once
// Limits that hold for all instances together, decided in Redis, or here when Redis cannot.
//
// A limiter belongs to one thread, never blocks it and has no socket loop of its own: its Owner watches the
// descriptor and calls OnReady, Flush and Check.  Each decision is one script in Redis, by the server's
// clock; what gathered in one turn leaves in one write, and every decision has `deadline` to come back.
//
// When Redis does not answer in time, answers with an error (out of memory, read-only, loading) or is gone, a
// decision is made in the local store under the tier's limit divided by the number of instances last seen, at
// least one request: never without a limit, never refusing everything.  After `failures_max` such decisions
// in a row the breaker opens: nothing is sent any more, and nothing waits.  A probe, which writes as
// decisions do, closes it again.  It is used again within 2 s of its return (see the static_assert below):
//
// - gone (killed, unreachable): opens at once; connects after backoff_min to backoff_max;
// - stopped, or slower than the deadline: opens after failures_max misses; the probe stays out, and after
//   probe_timeout the connection is given up;
// - errors: opens after failures_max; probes after backoff_min to backoff_max.
//
// So that changing over neither forgets nor gives twice:
//
// - To the local store: it takes over what Redis says of a bucket with every answer, so who has spent its
//   burst finds its part of it spent here.
// - And back: what was admitted locally is owed.  The next decision on that key tells Redis, which charges it
//   first, and for a second assumes that the other instances owe alike.  Answers that come too late settle
//   what they already charged.
// - Redis lost its data: a mark in it is new, so it is told anew how far each bucket was ahead.
//
// Together the instances then admit what the limit says plus one burst, as long as each sees a like share; at
// each return of Redis perhaps a little more, as those who see it later still take their part meanwhile
// (backoff_max).
//
// Keys in Redis: `<prefix>:{<tier>:<hash>}`, one hash tag each and one key a decision, so that they may be
// spread over a cluster's slots behind a proxy.  The hash is keyed with `secret`, the same on all instances,
// so that no address or account can be read there.
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/limits/lockout.h"
#include "core/limits/redis_link.h"
#include "core/limits/store.h"
#include "core/limits/tier.h"

namespace gathering::limits {

struct RedisLimiterOptions {
  std::string prefix = "gathering";
  SipKey secret = {};         // of the keys; the same on all instances
  std::string instance = {};  // this process among the instances; several limiters of one process share it
  std::chrono::milliseconds deadline{20};
  std::chrono::milliseconds connect_timeout{500};
  std::chrono::milliseconds probe_timeout{1'000};  // then the connection is given up
  std::chrono::milliseconds backoff_min{50};       // doubles with each failure, varied by up to a quarter
  std::chrono::milliseconds backoff_max{100};
  std::chrono::milliseconds heartbeat_interval{1'000};
  std::chrono::milliseconds instance_lifetime{10'000};  // after its last heartbeat
  std::uint32_t in_flight_max = 1'024;                  // beyond: decided locally
  std::uint32_t failures_max = 5;
  std::uint32_t instances_assumed =
      2;  // before Redis was ever asked: whoever names one is probably not alone
};
static_assert(RedisLimiterOptions{}.connect_timeout + 2 * RedisLimiterOptions{}.backoff_max * 5 / 4 +
                  RedisLimiterOptions{}.deadline <
              std::chrono::seconds{2});

enum class BreakerState : std::uint8_t {
  kClosed,   // Redis decides
  kOpen,     // connected, not trusted
  kNoServer  // not connected
};

inline constexpr std::size_t kBatchClasses =
    11;  // of 1, 2, up to 4, up to 8, …; the last one counts all above
inline constexpr std::size_t kLatencyClasses = 16;  // of up to 1 us, 2 us, 4 us, …; likewise

struct RedisLimiterStats {
  BreakerState breaker = BreakerState::kNoServer;
  std::uint32_t instances = 0;  // by which local limits are divided
  std::uint32_t in_flight = 0;
  std::uint64_t shared_allowed = 0;
  std::uint64_t shared_limited = 0;
  std::uint64_t local_allowed = 0;
  std::uint64_t local_limited = 0;
  // Why decisions were local:
  std::uint64_t away = 0;      // the breaker was open
  std::uint64_t timeouts = 0;  // the deadline passed
  std::uint64_t errors = 0;    // Redis answered with one
  std::uint64_t lost = 0;      // the connection broke under them
  std::uint64_t full = 0;      // in_flight_max
  std::uint64_t late = 0;      // answers after their deadline
  std::uint64_t given_up = 0;  // by their callers
  std::uint64_t connects = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t disconnects = 0;
  std::uint64_t opened = 0;          // times the breaker did
  std::uint64_t scripts_loaded = 0;  // because Redis did not know them
  std::uint64_t memory_lost = 0;     // times Redis turned out to be empty
  std::uint64_t batches = 0;
  std::uint64_t batch_max = 0;
  std::array<std::uint64_t, kBatchClasses> batch_sizes{};
  std::uint64_t latency_max_us = 0;
  std::array<std::uint64_t, kLatencyClasses> latencies{};  // of decisions made in Redis
};

class RedisLimiter;

// One question on its way.  Lives with its caller until OnDecided was called or GiveUp returned.
class RedisPending {
 public:
  struct Entry;
  virtual void OnDecided() = 0;  // may submit others

 protected:
  ~RedisPending() = default;

 private:
  friend class RedisLimiter;
  Entry* entry_ = nullptr;  // null: nothing is on its way
};

// Whether a request is within its tier's limit.
class DecisionPending : public RedisPending {
 public:
  Decision decision;

 protected:
  ~DecisionPending() = default;
};

// Whether an account may try a password.
class LockoutPending : public RedisPending {
 public:
  LockoutAnswer answer;

 protected:
  ~LockoutPending() = default;
};

class RedisLimiter {
 public:
  class Owner {
   public:
    // RedisEndpoint::Resolve is to be called elsewhere, as it blocks, and then Resolved; not from within.
    virtual void ResolveWanted() = 0;
    // The descriptor is to be watched: for input always, with `output` also for room to write.
    virtual void Watch(int descriptor, bool output) = 0;
    virtual void Unwatch(int descriptor) = 0;
    // Flush is to be called before the thread waits again.
    virtual void FlushWanted() = 0;

   protected:
    ~Owner() = default;
  };

  // What is shared with the process's other limiters.  Everything is borrowed.
  struct Parts {
    const RedisEndpoint& endpoint;
    Store& local;
    Lockout& lockout;
    const Clock& clock;
  };

  RedisLimiter(RedisLimiterOptions options, Owner& owner, const Parts& parts);
  ~RedisLimiter();  // nobody may be waiting
  RedisLimiter(const RedisLimiter&) = delete;
  RedisLimiter& operator=(const RedisLimiter&) = delete;

  // Begins to connect.
  void Start();

  // Decides.  None: the answer comes through OnDecided, at the latest when the deadline has passed and Check
  // was called.  `pending` is not used otherwise.
  [[nodiscard]] std::optional<Decision> Take(const std::shared_ptr<const Tier>& tier,
                                             std::string_view subject, std::uint32_t cost,
                                             DecisionPending& pending);

  // An account's try, as Lockout::Try, on all instances.  None: likewise.
  [[nodiscard]] std::optional<LockoutAnswer> Try(std::string_view account, LockoutPending& pending);
  // Nobody waits for these; when Redis is away only this process knows, and the others forget in time.
  void Forget(std::string_view account);
  void Undo(std::string_view account);

  // The caller does not wait any longer: OnDecided will not be called.
  void GiveUp(RedisPending& pending);

  void Resolved(std::vector<RedisAddress> addresses);
  void ResolveFailed(const Error& error);

  void Flush();
  void OnReady();  // the descriptor has input, room, or an error

  // Looks for what takes too long, connects and probes.  To be called at `next_check` or soon after.
  void Check();
  [[nodiscard]] Clock::Steady next_check() const;

  // From any thread.
  [[nodiscard]] RedisLimiterStats Stats() const;

 private:
  using Entry = RedisPending::Entry;
  struct Counters;
  enum class Why : std::uint8_t { kAway, kTimeout, kError, kLost, kFull };
  static constexpr std::size_t kDecisionNumbers = 6;  // of the scripts' answers, before those of each rate
  static constexpr std::size_t kLockoutNumbers = 3;
  static constexpr std::int64_t kInstancesMax = 10'000;

  [[nodiscard]] bool Usable(Why& why) const;
  [[nodiscard]] Decision Local(const Store::Key& key, const Tier& tier, std::uint32_t cost, Why why);
  Entry& Enqueue(RedisPending* pending);
  void QueueLockout(std::string_view act, std::string_view account, LockoutPending* pending);

  void Encode(const Entry& entry);
  void EncodeDecision(const Entry& entry);
  void EncodeLockout(const Entry& entry);
  void EncodeHeartbeat();
  void SendHeartbeat();
  void LoadScripts();

  void TakeReply(const RedisReply& reply);
  void TakeDecision(Entry& entry, const RedisReply& reply);
  void Adopt(const Entry& entry, const RedisReply& reply, Clock::Steady now);
  void TakeLockout(Entry& entry, const RedisReply& reply);
  void TakeHeartbeat(Clock::Steady sent_at, const RedisReply& reply);
  bool SendAgain(Entry& entry);
  void DecideLocally(Entry& entry, Why why);
  void NoteInstances(std::int64_t instances);

  void Connect();
  void Dial();
  void Begin();  // on a link that is ready
  void WatchLink();
  void Lost();
  void Failed(std::string_view why);  // one more question that Redis did not answer
  void Close();
  void SetBreaker(BreakerState state);
  void Expire(Clock::Steady now);
  [[nodiscard]] Clock::Steady::duration NextBackoff();

  const RedisLimiterOptions options_;
  Owner& owner_;
  const RedisEndpoint& endpoint_;
  Store& local_;
  Lockout& lockout_;
  const Clock& clock_;
  const std::array<std::string, 2> script_names_;
  const std::string instances_key_;
  const std::string mark_key_;
  std::minstd_rand random_;
  std::string key_text_;  // used again for every key

  std::vector<RedisAddress> addresses_;
  std::size_t next_address_ = 0;
  bool resolving_ = false;
  std::unique_ptr<RedisLink> link_;
  bool ready_ = false;           // the link has greeted
  std::optional<bool> watched_;  // the link's descriptor, also for room to write?
  Clock::Steady connecting_since_{};
  Clock::Steady retry_at_{};
  Clock::Steady::duration backoff_{};

  BreakerState breaker_ = BreakerState::kNoServer;
  std::uint32_t failures_ = 0;  // in a row
  Clock::Steady closed_at_{};
  Clock::Steady heartbeat_at_{};  // the next one
  bool heartbeat_out_ = false;
  bool flush_wanted_ = false;

  std::deque<Entry> entries_;  // the first `sent_` are in flight, the others wait for Flush
  std::size_t sent_ = 0;
  std::uint32_t resent_ = 0;       // of all, out of the order of their deadlines
  std::uint32_t scripts_out_ = 0;  // of all, those that load a script

  std::int64_t instances_;
  bool instances_known_ = false;
  std::optional<Clock::Steady> fewer_since_;
  std::unique_ptr<Counters> counters_;
};

}  // namespace gathering::limits
