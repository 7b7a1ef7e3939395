#pragma once
// The buckets of one process: a table of fixed size, decided on in well under a microsecond.
//
// Memory.  kSlotBytes a slot and kSlotsPerKey slots a key, so 44 bytes for each of `keys_max` keys (4.4 MB
// for 100,000), allocated once.  A limit of several rates takes a key for each.  Nothing is allocated later.
//
// Keys.  Tier and subject are hashed by SipHash with a key drawn at random in each process.  96 bits of the
// hash are stored in place of the subject: that bounds what a long subject costs, keeps nobody's address in
// memory, and two of 100,000 keys are mistaken for each other with a probability of 1 in 10^19.  Who does not
// know the key can neither look for such a pair nor fill one place of the table.
//
// Place.  A key may lie in two sets of eight slots of its shard and is put into the emptier one: with that,
// sets are filled so evenly that of keys_max keys hardly one in a thousand finds both of its sets full.  No
// chains, no rehashing: a decision looks at 16 slots at most.
//
// Room.  A slot whose bucket is full again holds nothing that a new one would not, and is free.  Others are
// never given away: a flood of new addresses cannot make the store forget who is limited.  A newcomer who
// finds no free slot is decided on in a bucket that all newcomers of the tier share in that shard: all
// together they get `shards` times what one client gets, and everybody who had a bucket keeps it.
//
// A limit of several rates takes from all of them or from none.  A changed limit keeps what was spent
// (gcra.h); rates are matched from the longest period on.
//
// Time is a parameter; calls from several threads may bring slightly different times.  Safe from any thread;
// each decision takes one shard's lock once.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/limits/tier.h"

namespace gathering::limits {

struct StoreOptions {
  std::uint32_t keys_max = 100'000;
  std::uint32_t shards = 16;  // a power of two, each with a lock; fewer for a small table
};

struct StoreStats {
  std::uint64_t allowed = 0;
  std::uint64_t limited = 0;
  std::uint64_t overflow_allowed = 0;  // decided in a shared bucket, not counted above
  std::uint64_t overflow_limited = 0;
  std::uint64_t adopted = 0;    // decided in the shared store, taken note of here
  std::uint64_t evictions = 0;  // of keys whose bucket was full again
  std::uint64_t keys = 0;       // whose bucket is not full
  std::uint64_t keys_max = 0;
  std::uint64_t bytes = 0;  // of the table
};

// What the shared store does not know of a key and a rate.
struct Debt {
  std::uint32_t count = 0;    // requests admitted here, to be charged there
  std::int64_t spent = 0;     // of this part, when something is owed
  std::int64_t ahead_ns = 0;  // how far the bucket there must at least be ahead, as it lost its memory
};
using Debts = std::array<Debt, kRatesMax>;

class Store {
 public:
  // A tier and a subject.
  struct Key {
    std::uint64_t tier = 0;
    Hash128 hash;
  };

  explicit Store(StoreOptions options = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] Key KeyOf(const Tier& tier, std::string_view subject) const {
    return {.tier = tier.id(), .hash = SipHash{secret_}.Add(tier.id()).Finish(subject)};
  }

  // Decides and, when allowed, pays.  `owing`: an admitted request is remembered as a debt.
  Decision Take(const Key& key, const Quotas& quotas, std::uint32_t cost, Clock::Steady now,
                bool owing = false);
  Decision Take(const Tier& tier, std::string_view subject, std::uint32_t cost, Clock::Steady now) {
    return Take(KeyOf(tier, subject), tier.quotas(), cost, now);
  }

  // What the shared store said of the key's buckets, for each rate.
  struct Shared {
    std::int64_t ahead_ns = 0;
    std::int64_t count = 0;
  };
  // Takes over what the shared store knows, so that this one goes on from there when the other is away;
  // `part` is one of `parts` parts of the quotas there.  What is still owed is not forgotten over it.
  void Adopt(const Key& key, const Quotas& part, std::int64_t parts,
             const std::array<Shared, kRatesMax>& shared, Clock::Steady now);

  // The debts of a key, which are then forgotten here.  Never more than its buckets say was spent lately:
  // older debts have been refilled everywhere.
  [[nodiscard]] Debts CollectDebts(const Key& key, const Quotas& quotas, Clock::Steady now);
  // The shared store did not hear of them after all, or knew already of a request that is owed.
  void ReturnDebts(const Key& key, const Quotas& quotas, const Debts& debts, Clock::Steady now);
  void ForgiveDebts(const Key& key, const Quotas& quotas, std::uint32_t cost, Clock::Steady now);

  // The shared store's memory has the mark `mark`.  When that is a new one it was lost: from now on each
  // bucket here tells how far it is ahead, which is what it last heard of there.  True for the one caller who
  // noticed.  Walks the table then.
  bool NoteSharedMemory(std::int64_t mark, Clock::Steady now);

  // Walks the table, a shard's lock at a time.
  [[nodiscard]] StoreStats Stats(Clock::Steady now) const;

  static constexpr std::size_t kSlotBytes = 32;
  static constexpr double kSlotsPerKey = 1.375;

 private:
  struct Slot;
  struct Shard;
  class Visit;

  [[nodiscard]] Shard& ShardOf(const Key& key) const;
  template <class F>
  void ForKnown(const Key& key, std::size_t rates, std::int64_t now, F&& work);

  const StoreOptions options_;
  const std::size_t shard_count_;
  const SipKey secret_;
  std::unique_ptr<Shard[]> shards_;
  std::atomic<std::int64_t> mark_{0};  // 0: none seen
};

}  // namespace gathering::limits
