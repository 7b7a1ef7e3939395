#pragma once
// A map of at most `entries_max` entries, each believed for `age_max`.  The entry
// unused for longest leaves first.
//
// It remembers answers that were true at a moment: Put takes that moment, and a newer
// answer is never replaced by an older one that arrives late.  Entries are spread over
// shards with a lock each, by their hash, so the bound and the order of leaving hold
// for each shard.  Safe from any thread; no call waits for more than a shard's lock.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"

namespace gathering::cache {

struct LruOptions {
  std::uint32_t entries_max = 1'024;  // of all shards together
  std::chrono::milliseconds age_max{1'000};
  std::uint32_t shards = 16;
};

struct LruStats {
  std::uint64_t entries = 0;
  std::uint64_t entries_max = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;     // absent or too old
  std::uint64_t evictions = 0;  // to make room
};

// `Hash` must spread well over all its bits and must not be predictable for who chooses keys.
template <class K, class V, class Hash>
class Lru {
 public:
  Lru(LruOptions options, const Clock& clock)
      : clock_(clock),
        age_max_(options.age_max),
        shard_entries_max_(std::max<std::size_t>(1, options.entries_max / ShardCount(options))),
        shards_(ShardCount(options)) {}

  // A copy: nothing points into the cache.
  [[nodiscard]] std::optional<V> Get(const K& key) {
    const std::size_t hash = Hash{}(key);
    Shard& shard = ShardOf(hash);
    const Clock::Steady now = clock_.Now();
    std::scoped_lock lock{shard.mutex};
    const auto found = shard.index.find(key);
    if (!Holds(shard, found, now)) {
      ++shard.stats.misses;
      return std::nullopt;
    }
    ++shard.stats.hits;
    shard.entries.splice(shard.entries.begin(), shard.entries, found->second);
    return found->second->value;
  }

  // The same without counting as a use.
  [[nodiscard]] std::optional<V> Peek(const K& key) const {
    const Shard& shard = ShardOf(Hash{}(key));
    const Clock::Steady now = clock_.Now();
    std::scoped_lock lock{shard.mutex};
    const auto found = shard.index.find(key);
    if (!Holds(shard, found, now)) return std::nullopt;
    return found->second->value;
  }

  // Remembers what was true at `as_of`, unless something newer is known.
  void Put(const K& key, V value, Clock::Steady as_of) {
    const std::size_t hash = Hash{}(key);
    Shard& shard = ShardOf(hash);
    std::scoped_lock lock{shard.mutex};
    if (const auto found = shard.index.find(key); found != shard.index.end()) {
      Entry& entry = *found->second;
      if (entry.as_of > as_of) return;
      entry.value = std::move(value);
      entry.as_of = as_of;
      shard.entries.splice(shard.entries.begin(), shard.entries, found->second);
      return;
    }
    if (shard.entries.size() >= shard_entries_max_) {
      shard.index.erase(shard.entries.back().key);
      shard.entries.pop_back();
      ++shard.stats.evictions;
    }
    shard.entries.push_front(Entry{key, std::move(value), as_of});
    shard.index.emplace(key, shard.entries.begin());
  }

  [[nodiscard]] LruStats Stats() const {
    LruStats sum;
    for (const Shard& shard : shards_) {
      std::scoped_lock lock{shard.mutex};
      sum.entries += shard.entries.size();
      sum.hits += shard.stats.hits;
      sum.misses += shard.stats.misses;
      sum.evictions += shard.stats.evictions;
    }
    sum.entries_max = shard_entries_max_ * shards_.size();
    return sum;
  }

 private:
  struct Entry {
    K key;
    V value;
    Clock::Steady as_of;
  };
  struct Shard {
    mutable std::mutex mutex;  // guards everything below
    std::list<Entry> entries;  // the last used first
    std::unordered_map<K, typename std::list<Entry>::iterator, Hash> index;
    LruStats stats;
  };
  using Found = typename decltype(Shard::index)::const_iterator;

  // Whether what was looked up is there and still believed.
  bool Holds(const Shard& shard, Found found, Clock::Steady now) const {
    return found != shard.index.end() && now - found->second->as_of < age_max_;
  }

  static std::size_t ShardCount(const LruOptions& options) {
    return std::clamp<std::size_t>(options.shards, 1, std::max<std::uint32_t>(1, options.entries_max));
  }
  const Shard& ShardOf(std::size_t hash) const { return shards_[(hash >> 32) % shards_.size()]; }
  Shard& ShardOf(std::size_t hash) { return shards_[(hash >> 32) % shards_.size()]; }

  const Clock& clock_;
  const std::chrono::milliseconds age_max_;
  const std::size_t shard_entries_max_;
  std::vector<Shard> shards_;
};

}  // namespace gathering::cache
