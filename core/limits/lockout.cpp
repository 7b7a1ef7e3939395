#include "core/limits/lockout.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <mutex>
#include <vector>

#include "core/limits/table.h"

namespace gathering::limits {
namespace {

using std::chrono::nanoseconds;

constexpr std::size_t kShards = 16;
constexpr double kSlotsPerAccount = 1.25;
constexpr std::uint32_t kDoublingsMax = 40;

}  // namespace

nanoseconds LockoutPolicy::WaitAfter(std::uint32_t failures) const {
  if (failures < free) return nanoseconds{0};
  const std::uint32_t doublings = std::min(failures - free, kDoublingsMax);
  const std::int64_t longest = longest_wait.count();
  if (first_wait.count() > longest >> doublings) return longest_wait;
  return first_wait * (std::int64_t{1} << doublings);
}

bool LockoutState::Forgotten(const LockoutPolicy& policy, std::int64_t now_ns) const {
  return failures == 0 ||
         now_ns - last_ns >= (policy.WaitAfter(failures) + nanoseconds{policy.quiet}).count();
}

bool LockoutState::Waiting(const LockoutPolicy& policy, std::int64_t now_ns) const {
  return now_ns - last_ns < policy.WaitAfter(failures).count();
}

LockoutAnswer LockoutState::Try(const LockoutPolicy& policy, std::int64_t now_ns) {
  last_ns = std::min(last_ns, now_ns);
  if (Forgotten(policy, now_ns)) failures = 0;
  if (Waiting(policy, now_ns)) {
    const std::int64_t left = policy.WaitAfter(failures).count() - (now_ns - last_ns);
    return {.allowed = false, .failures = failures, .retry_after = nanoseconds{left}};
  }
  if (failures < std::numeric_limits<std::uint32_t>::max()) ++failures;
  last_ns = now_ns;
  return {.allowed = true, .failures = failures};
}

void LockoutState::Undo(const LockoutPolicy& policy, std::int64_t now_ns) {
  if (Forgotten(policy, now_ns)) failures = 0;
  if (failures > 0) --failures;
}

struct Lockout::Slot {
  Hash128 account;
  LockoutState state;
};

struct Lockout::Shard {
  alignas(64) std::mutex mutex;  // guards everything below
  std::vector<Slot> slots;
  LockoutStats stats;
};

// An account's slot in its locked shard.
class Lockout::Visit {
 public:
  Visit(Lockout& lockout, std::string_view account, Clock::Steady now)
      : policy_(lockout.options_.policy),
        hash_(SipHash{lockout.secret_}.Finish(account)),
        now_(Nanoseconds(now)),
        shard_(lockout.shards_[hash_.high % kShards]),
        lock_(shard_.mutex) {}

  [[nodiscard]] LockoutStats& stats() { return shard_.stats; }
  [[nodiscard]] std::int64_t now() const { return now_; }

  // Null: the account is not known.
  [[nodiscard]] Slot* Find() {
    for (Slot* const set : Sets()) {
      for (std::size_t i = 0; i < kWays; ++i) {
        if (set[i].account == hash_ && set[i].state.failures > 0) return &set[i];
      }
    }
    return nullptr;
  }

  // A slot for an account that is not known; null: all are taken by others who wait.
  [[nodiscard]] Slot* Make() {
    Slot* best = nullptr;
    for (Slot* const set : Sets()) {
      for (std::size_t i = 0; i < kWays; ++i) {
        Slot& slot = set[i];
        if (slot.state.Forgotten(policy_, now_)) slot.state.failures = 0;
        if (slot.state.Waiting(policy_, now_)) continue;
        if (best == nullptr || slot.state.failures < best->state.failures) best = &slot;
      }
    }
    if (best == nullptr) return nullptr;
    if (best->state.failures > 0) ++shard_.stats.evicted;
    *best = {.account = hash_, .state = {.last_ns = now_}};
    return best;
  }

 private:
  [[nodiscard]] std::array<Slot*, 2> Sets() {
    const std::size_t sets = shard_.slots.size() / kWays;
    return {&shard_.slots[Scale(hash_.low, sets) * kWays],
            &shard_.slots[Scale(std::rotl(hash_.high, 32), sets) * kWays]};
  }

  const LockoutPolicy& policy_;
  const Hash128 hash_;
  const std::int64_t now_;
  Shard& shard_;
  const std::scoped_lock<std::mutex> lock_;
};

Lockout::Lockout(LockoutOptions options)
    : options_(options), secret_(RandomKey()), shards_(std::make_unique<Shard[]>(kShards)) {
  const std::size_t slots = SlotsOfShard(kSlotsPerAccount * options.accounts_max, kShards);
  for (std::size_t i = 0; i < kShards; ++i) shards_[i].slots.resize(slots);
}

Lockout::~Lockout() = default;

LockoutAnswer Lockout::Try(std::string_view account, Clock::Steady now) {
  Visit visit{*this, account, now};
  Slot* slot = visit.Find();
  if (slot == nullptr) slot = visit.Make();
  if (slot == nullptr) {
    ++visit.stats().uncounted;
    return {.allowed = true, .failures = 1};
  }
  const LockoutAnswer answer = slot->state.Try(options_.policy, visit.now());
  ++(answer.allowed ? visit.stats().allowed : visit.stats().refused);
  return answer;
}

void Lockout::Forget(std::string_view account, Clock::Steady now) {
  Visit visit{*this, account, now};
  Slot* const slot = visit.Find();
  if (slot == nullptr) return;
  slot->state.failures = 0;
  ++visit.stats().forgotten;
}

void Lockout::Undo(std::string_view account, Clock::Steady now) {
  Visit visit{*this, account, now};
  Slot* const slot = visit.Find();
  if (slot == nullptr) return;
  slot->state.Undo(options_.policy, visit.now());
  ++visit.stats().undone;
}

void Lockout::Learn(std::string_view account, const LockoutAnswer& answer, Clock::Steady now) {
  Visit visit{*this, account, now};
  Slot* slot = visit.Find();
  if (slot == nullptr) slot = visit.Make();
  if (slot == nullptr) return;
  const nanoseconds waited =
      answer.allowed ? nanoseconds{0} : options_.policy.WaitAfter(answer.failures) - answer.retry_after;
  slot->state = {.last_ns = visit.now() - std::max(waited, nanoseconds{0}).count(),
                 .failures = answer.failures};
}

LockoutStats Lockout::Stats(Clock::Steady now) const {
  const std::int64_t at = Nanoseconds(now);
  LockoutStats sum;
  for (std::size_t i = 0; i < kShards; ++i) {
    Shard& shard = shards_[i];
    std::scoped_lock lock{shard.mutex};
    sum.allowed += shard.stats.allowed;
    sum.refused += shard.stats.refused;
    sum.forgotten += shard.stats.forgotten;
    sum.undone += shard.stats.undone;
    sum.evicted += shard.stats.evicted;
    sum.uncounted += shard.stats.uncounted;
    sum.bytes += shard.slots.size() * sizeof(Slot) + sizeof(Shard);
    for (const Slot& slot : shard.slots) {
      if (slot.state.Forgotten(options_.policy, at)) continue;
      ++sum.accounts;
      if (slot.state.Waiting(options_.policy, at)) ++sum.waiting;
    }
  }
  return sum;
}

}  // namespace gathering::limits
