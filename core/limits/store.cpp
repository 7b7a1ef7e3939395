#include "core/limits/store.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "core/limits/table.h"

namespace gathering::limits {
namespace {

constexpr std::size_t kOverflowSlots = 32;  // of a shard, one for each rate of each tier that needs one
constexpr std::uint32_t kShardsMax = 1'024;
constexpr std::uint32_t kShardKeysMin = 2'048;  // smaller ones would be filled too unevenly

std::size_t ShardCount(const StoreOptions& options) {
  const std::uint32_t wanted = std::bit_ceil(std::clamp<std::uint32_t>(options.shards, 1, kShardsMax));
  return std::min(wanted, std::bit_floor(std::max<std::uint32_t>(1, options.keys_max / kShardKeysMin)));
}

// Where a rate of a key may lie, and how it is known there.
struct Address {
  Address(const Hash128& hash, std::size_t rate)
      : tag(hash.low + rate * 0x9e3779b97f4a7c15U),
        other(std::rotl(hash.high, 32) + rate * 0xd1b54a32d192ed03U),
        tag_more(static_cast<std::uint32_t>(hash.high >> 32)) {}

  std::uint64_t tag;
  std::uint64_t other;
  std::uint32_t tag_more;
};

// The shared store lost its memory, so whatever is spent is owed.
constexpr std::uint32_t kAllOwed = std::numeric_limits<std::uint32_t>::max();

std::uint32_t MoreDebt(std::uint32_t debt, std::uint32_t cost) {
  if (debt == kAllOwed) return debt;
  return debt > kAllOwed - 1 - std::min(cost, kAllOwed - 1) ? kAllOwed - 1 : debt + cost;
}

}  // namespace

struct Store::Slot {
  [[nodiscard]] bool Is(const Address& address) const {
    return tag == address.tag && tag_more == address.tag_more;
  }

  std::uint64_t tag = 0;
  std::uint32_t tag_more = 0;
  std::uint32_t debt = 0;
  Bucket bucket{};
};

struct Store::Shard {
  alignas(64) std::mutex mutex;  // guards everything below
  std::vector<Slot> slots;
  std::array<Slot, kOverflowSlots> overflow{};
  StoreStats stats;
};

// One call's view of a key in its locked shard: a slot for each rate, found or free.
class Store::Visit {
 public:
  Visit(Shard& shard, const Key& key, std::size_t rates, std::int64_t now)
      : shard_(shard), key_(key), rates_(rates), now_(now) {}

  // False when a rate has no slot and none is free.
  bool Find() {
    for (std::size_t i = 0; i < rates_; ++i) {
      slots_[i] = FindSlot(Address{key_.hash, i});
      if (slots_[i] == nullptr) return false;
    }
    return true;
  }

  void FindOverflow() {
    const Hash128 hash{key_.tier, std::rotl(key_.tier, 17)};
    for (std::size_t i = 0; i < rates_; ++i) slots_[i] = FindOverflowSlot(Address{hash, i});
    overflow_ = true;
  }

  // None: what is asked about the key's past is nothing.
  [[nodiscard]] Slot* Known(std::size_t rate) const {
    return slots_[rate]->Is(AddressOf(rate)) && !slots_[rate]->bucket.full(now_) ? slots_[rate] : nullptr;
  }

  [[nodiscard]] const Bucket& bucket(std::size_t rate) const {
    static constexpr Bucket kNew;
    return overflow_ || slots_[rate]->Is(AddressOf(rate)) ? slots_[rate]->bucket : kNew;
  }

  // The slot becomes this key's if it is not.
  Slot& Claim(std::size_t rate) {
    Slot& slot = *slots_[rate];
    const Address address = AddressOf(rate);
    if (!slot.bucket.full(now_)) return slot;  // ours, or one to share
    if (!overflow_ && slot.tag != 0 && !slot.Is(address)) ++shard_.stats.evictions;
    slot = {.tag = address.tag, .tag_more = address.tag_more};
    return slot;
  }

 private:
  [[nodiscard]] Address AddressOf(std::size_t rate) const {
    return overflow_ ? Address{{key_.tier, std::rotl(key_.tier, 17)}, rate} : Address{key_.hash, rate};
  }

  // By another rate of the same call.
  [[nodiscard]] bool Taken(const Slot& slot) const {
    for (std::size_t i = 0; i < rates_; ++i) {
      if (slots_[i] == &slot) return true;
    }
    return false;
  }
  [[nodiscard]] bool Free(const Slot& slot) const { return slot.bucket.full(now_) && !Taken(slot); }

  Slot* FindSlot(const Address& address) const {
    const std::size_t sets = shard_.slots.size() / kWays;
    Slot* const first = &shard_.slots[Scale(address.tag, sets) * kWays];
    Slot* const second = &shard_.slots[Scale(address.other, sets) * kWays];
    for (Slot* const set : {first, second}) {
      for (std::size_t i = 0; i < kWays; ++i) {
        if (set[i].Is(address) && !Taken(set[i])) return &set[i];
      }
    }
    Slot* best = nullptr;
    std::size_t most = 0;
    for (Slot* const set : {first, second}) {
      Slot* free = nullptr;
      std::size_t count = 0;
      for (std::size_t i = 0; i < kWays; ++i) {
        if (!Free(set[i])) continue;
        free = &set[i];
        ++count;
      }
      if (count > most) {
        most = count;
        best = free;
      }
    }
    return best;
  }

  // There always is one: beyond kOverflowSlots some tiers share.
  Slot* FindOverflowSlot(const Address& address) const {
    for (Slot& slot : shard_.overflow) {
      if (slot.Is(address)) return &slot;
    }
    for (Slot& slot : shard_.overflow) {
      if (Free(slot)) return &slot;
    }
    return &shard_.overflow[Scale(address.tag, kOverflowSlots)];
  }

  Shard& shard_;
  const Key& key_;
  const std::size_t rates_;
  const std::int64_t now_;
  bool overflow_ = false;
  std::array<Slot*, kRatesMax> slots_{};
};

Store::Store(StoreOptions options)
    : options_(options),
      shard_count_(ShardCount(options)),
      secret_(RandomKey()),
      shards_(std::make_unique<Shard[]>(shard_count_)) {
  static_assert(sizeof(Slot) == kSlotBytes);
  const std::size_t slots = SlotsOfShard(kSlotsPerKey * options.keys_max, shard_count_);
  for (std::size_t i = 0; i < shard_count_; ++i) shards_[i].slots.resize(slots);
}

Store::~Store() = default;

Store::Shard& Store::ShardOf(const Key& key) const {
  return shards_[key.hash.high & (shard_count_ - 1)];
}

Decision Store::Take(const Key& key, const Quotas& quotas, std::uint32_t cost, Clock::Steady now,
                     bool owing) {
  const std::int64_t at = Nanoseconds(now);
  Shard& shard = ShardOf(key);
  std::scoped_lock lock{shard.mutex};
  Visit visit{shard, key, quotas.size(), at};
  Decision decision;
  if (!visit.Find()) {
    visit.FindOverflow();
    decision.by = DecidedBy::kOverflow;
  }
  bool allowed = true;
  for (std::size_t i = 0; i < quotas.size(); ++i)
    allowed = allowed && Trial{quotas[i], visit.bucket(i), at, cost}.allowed();
  for (std::size_t i = 0; i < quotas.size(); ++i) {
    Trial trial{quotas[i], visit.bucket(i), at, cost};
    Answer answer;
    if (allowed) {
      Slot& slot = visit.Claim(i);
      answer = trial.Spend(slot.bucket);
      if (owing) slot.debt = MoreDebt(slot.debt, cost);
    } else {
      answer = trial.Refused();
    }
    if (i > 0 && !TellsMore(answer, decision)) continue;
    static_cast<Answer&>(decision) = answer;
    decision.rate = static_cast<std::uint8_t>(i);
  }
  StoreStats& stats = shard.stats;
  const bool overflow = decision.by == DecidedBy::kOverflow;
  ++(allowed ? (overflow ? stats.overflow_allowed : stats.allowed)
             : (overflow ? stats.overflow_limited : stats.limited));
  return decision;
}

void Store::Adopt(const Key& key, const Quotas& part, std::int64_t parts,
                  const std::array<Shared, kRatesMax>& shared, Clock::Steady now) {
  const std::int64_t at = Nanoseconds(now);
  Shard& shard = ShardOf(key);
  std::scoped_lock lock{shard.mutex};
  ++shard.stats.adopted;
  Visit visit{shard, key, part.size(), at};
  if (!visit.Find()) return;  // without room here, this process's newcomers share anyway
  for (std::size_t i = 0; i < part.size(); ++i) {
    Bucket known;
    known.Adopt(part[i], parts, at, shared[i].ahead_ns, shared[i].count);
    Slot& slot = visit.Claim(i);
    if (slot.debt == 0 || known.Spent(at) > slot.bucket.Spent(at)) slot.bucket = known;
  }
}

// Calls `work` for each rate whose bucket is known and not full.
template <class F>
void Store::ForKnown(const Key& key, std::size_t rates, std::int64_t now, F&& work) {
  Shard& shard = ShardOf(key);
  std::scoped_lock lock{shard.mutex};
  Visit visit{shard, key, rates, now};
  if (!visit.Find()) return;
  for (std::size_t rate = 0; rate < rates; ++rate) {
    if (Slot* const slot = visit.Known(rate)) work(rate, *slot);
  }
}

Debts Store::CollectDebts(const Key& key, const Quotas& quotas, Clock::Steady now) {
  const std::int64_t at = Nanoseconds(now);
  Debts debts{};
  ForKnown(key, quotas.size(), at, [&](std::size_t rate, Slot& slot) {
    if (slot.debt == 0) return;
    Debt& debt = debts[rate];
    if (slot.debt == kAllOwed) {
      debt.ahead_ns = slot.bucket.Ahead(at);
    } else {
      debt.spent = slot.bucket.Spent(at);
      debt.count = static_cast<std::uint32_t>(std::min<std::int64_t>(slot.debt, debt.spent));
    }
    slot.debt = 0;
  });
  return debts;
}

void Store::ReturnDebts(const Key& key, const Quotas& quotas, const Debts& debts, Clock::Steady now) {
  ForKnown(key, quotas.size(), Nanoseconds(now), [&](std::size_t rate, Slot& slot) {
    slot.debt = debts[rate].ahead_ns > 0 ? kAllOwed : MoreDebt(slot.debt, debts[rate].count);
  });
}

void Store::ForgiveDebts(const Key& key, const Quotas& quotas, std::uint32_t cost, Clock::Steady now) {
  ForKnown(key, quotas.size(), Nanoseconds(now), [&](std::size_t, Slot& slot) {
    if (slot.debt != kAllOwed) slot.debt -= std::min(slot.debt, cost);
  });
}

bool Store::NoteSharedMemory(std::int64_t mark, Clock::Steady now) {
  const std::int64_t before = mark_.exchange(mark);
  if (before == 0 || before == mark) return false;
  const std::int64_t at = Nanoseconds(now);
  for (std::size_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    std::scoped_lock lock{shard.mutex};
    for (Slot& slot : shard.slots) slot.debt = slot.bucket.full(at) ? 0 : kAllOwed;
  }
  return true;
}

StoreStats Store::Stats(Clock::Steady now) const {
  const std::int64_t at = Nanoseconds(now);
  StoreStats sum;
  for (std::size_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    std::scoped_lock lock{shard.mutex};
    sum.allowed += shard.stats.allowed;
    sum.limited += shard.stats.limited;
    sum.overflow_allowed += shard.stats.overflow_allowed;
    sum.overflow_limited += shard.stats.overflow_limited;
    sum.adopted += shard.stats.adopted;
    sum.evictions += shard.stats.evictions;
    sum.bytes += shard.slots.size() * sizeof(Slot) + sizeof(Shard);
    for (const Slot& slot : shard.slots) sum.keys += slot.bucket.full(at) ? 0 : 1;
  }
  sum.keys_max = options_.keys_max;
  return sum;
}

}  // namespace gathering::limits
