#pragma once
// A bounded map of remembered answers.
//
// Bounded by entries and by bytes; what leaves first is the policy's (core/cache/shelf.h).  Entries are
// spread over shards with a lock each, by their hash, so bounds and order hold for each shard: its part of
// the entries and of the bytes.  With one shard they are exact.
//
// An answer was true at a moment, `as_of`, taken before it was asked for.  It is believed for `ttl` from then
// on, unless something newer is known: an older answer never replaces a newer one, and none that was asked
// for before an invalidation is kept after it.  So a slow load cannot bring back what was changed meanwhile.
//
// That there is no such thing is an answer too, remembered for `negative_ttl`.
//
// Callers of Load for the same missing key wait for one load; when it fails all of them get the error and
// nothing is kept.  Who comes after an invalidation waits until the load that was under way is over, and
// loads anew: loads of one key never overlap, so nobody is told of it what is older than what somebody was
// told before.
//
// Values are given out as copies, so that nothing points into the cache; what is large goes into a
// std::shared_ptr<const T>.  Safe from any thread; no call but Load waits for more than a shard's lock.
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/cache/hash.h"
#include "core/cache/shelf.h"
#include "core/cache/statistics.h"

namespace gathering::cache {

// A load under way, which callers wait for.
template <class V>
class Flight {
 public:
  // Calls `then` once it has landed: now, or later on the loading thread.
  void OnLanding(std::function<void()> then) {
    {
      std::scoped_lock lock{mutex_};
      if (!landed_) return waiting_.push_back(std::move(then));
    }
    then();
  }
  // It has landed.  Throws what the load threw.
  [[nodiscard]] std::optional<V> Take() const {
    std::scoped_lock lock{mutex_};
    if (error_) std::rethrow_exception(error_);
    return value_;
  }
  void Land(std::optional<V> value, std::exception_ptr error) {
    std::vector<std::function<void()>> waiting;
    {
      std::scoped_lock lock{mutex_};
      value_ = std::move(value);
      error_ = std::move(error);
      landed_ = true;
      waiting.swap(waiting_);
    }
    for (const auto& then : waiting) then();
  }

 private:
  mutable std::mutex mutex_;
  bool landed_ = false;
  std::optional<V> value_;
  std::exception_ptr error_;
  std::vector<std::function<void()>> waiting_;
};

// Waits on the calling thread.
struct BlockingWait {
  template <class V>
  void operator()(Flight<V>& flight) const {
    std::mutex mutex;
    std::condition_variable landing;
    bool landed = false;
    flight.OnLanding([&] {
      std::scoped_lock lock{mutex};
      landed = true;
      landing.notify_one();
    });
    std::unique_lock lock{mutex};
    landing.wait(lock, [&] { return landed; });
  }
};

// What a key and a value need beyond the entry itself.
struct NoBytes {
  template <class K, class V>
  std::uint64_t operator()(const K&, const V&) const {
    return 0;
  }
};

// How long a value holds by itself, where that is shorter than `ttl`; not positive: it is not kept.
struct NoLifetime {
  template <class V>
  std::chrono::nanoseconds operator()(const V&) const {
    return std::chrono::nanoseconds::max();
  }
};

template <class K, class V, class Hasher = Hash, class Weigher = NoBytes, class Lifetime = NoLifetime>
class Cache final : public Observed {
 public:
  using Lookup = std::conditional_t<std::is_same_v<K, std::string>, std::string_view, K>;

  Cache(Options options, const Clock& clock)
      : options_(std::move(options)),
        clock_(clock),
        ttl_(options_.ttl),
        negative_ttl_(options_.negative_ttl),
        own_bounds_(options_.bounds),
        advisor_(options_.policy, options_.bounds) {
    const std::uint32_t useful = std::max<std::uint32_t>(1, options_.bounds.entries_max / kShardEntriesMin);
    const std::uint32_t count = std::bit_floor(std::clamp<std::uint32_t>(options_.shards, 1, useful));
    shards_.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i)
      shards_.push_back(std::make_unique<Shard>(options_.policy, Share(options_.bounds, count)));
  }

  // The value, if there is one.
  [[nodiscard]] std::optional<V> Get(const Lookup& key) { return Find(key).value_or(std::nullopt); }

  // What is known: nothing, that there is no such thing, or the value.
  [[nodiscard]] std::optional<std::optional<V>> Find(const Lookup& key) {
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    const Clock::Steady now = Now();
    std::scoped_lock lock{shard.mutex};
    return FindLocked(shard, hash, key, now);
  }

  // The same without counting as a use.
  [[nodiscard]] std::optional<std::optional<V>> Peek(const Lookup& key) const {
    const std::uint64_t hash = Hasher{}(key);
    const Shard& shard = ShardOf(hash);
    const Clock::Steady now = Now();
    std::scoped_lock lock{shard.mutex};
    const Slot slot = SlotOf(shard, hash, key);
    if (slot == Shelf::kNone || IsOver(shard.items[slot], now)) return std::nullopt;
    return std::optional<std::optional<V>>{shard.items[slot].value};
  }

  // Remembers what was true at `as_of`; a value, or that there is none.
  void Put(const K& key, std::optional<V> value, Clock::Steady as_of) {
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    std::scoped_lock lock{shard.mutex};
    PutLocked(shard, hash, key, std::move(value), as_of);
  }

  // What is asked for: what is known, if it is, or a new answer, which is known from then on.
  enum class Want : std::uint8_t { kKnown, kNew };

  // The value that is known, or that `load` (std::optional<V>()) finds; `wait` (BlockingWait) lets the caller
  // sleep while another one loads.
  template <class F, class Wait = BlockingWait>
  [[nodiscard]] std::optional<V> Load(const Lookup& key, F&& load, const Wait& wait = {},
                                      Want want = Want::kKnown) {
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    const Clock::Steady arrived = clock_.Now();
    for (Clock::Steady as_of = arrived;; as_of = clock_.Now()) {
      std::shared_ptr<Flight<V>> flight;
      bool leads = false;
      bool joins = false;
      {
        std::scoped_lock lock{shard.mutex};
        if (want == Want::kNew) {
          MissLocked(shard, hash, key);
        } else if (auto known = FindLocked(shard, hash, key, as_of)) {
          return *std::move(known);
        }
        flight = std::make_shared<Flight<V>>();
        const auto [found, added] =
            shard.flights.try_emplace(hash, Loading{K(key), flight, as_of, /*outdated=*/false});
        const Loading& under_way = found->second;
        leads = added || !(under_way.key == key);  // another key with this hash: loaded without company
        if (!leads) {
          flight = under_way.flight;
          joins = under_way.began > arrived || (want == Want::kKnown && !under_way.outdated);
          ++shard.statistics.joined;
        }
      }
      if (leads) return Fly(shard, hash, K(key), as_of, *flight, std::forward<F>(load));
      wait(*flight);
      if (joins) return flight->Take();
    }
  }

  // Forgets one; an answer that is on its way is not kept.  Whether there was one.
  bool Invalidate(const Lookup& key) {
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    std::scoped_lock lock{shard.mutex};
    shard.valid_after = clock_.Now();
    const auto flight = shard.flights.find(hash);
    if (flight != shard.flights.end() && flight->second.key == key) flight->second.outdated = true;
    if (advisor_.Samples(hash)) advisor_.Forget(hash);
    const Slot slot = SlotOf(shard, hash, key);
    if (slot == Shelf::kNone) return false;
    ++shard.statistics.invalidated;
    Drop(shard, slot);
    return true;
  }

  // Forgets all whose key fits; looks at every entry.  How many there were.
  template <class F>
  std::size_t InvalidateIf(F&& fits) {
    std::size_t count = 0;
    for (const auto& shard : shards_) {
      std::scoped_lock lock{shard->mutex};
      shard->valid_after = clock_.Now();
      for (auto& [hash, loading] : shard->flights) loading.outdated = loading.outdated || fits(loading.key);
      for (Slot slot = 0; slot < shard->items.size(); ++slot) {
        if (!shard->items[slot].in_use || !fits(std::as_const(shard->items[slot].key))) continue;
        ++shard->statistics.invalidated;
        Drop(*shard, slot);
        ++count;
      }
    }
    return count;
  }

  void Clear() {
    InvalidateIf([](const K&) { return true; });
    advisor_.Clear();
  }

  // Its own from now on, of all shards together, an entry each at least; what is too much leaves at once.
  void SetBounds(const Bounds& bounds) {
    std::scoped_lock lock{resizing_};
    own_bounds_ = bounds;
    advisor_.SetRate(bounds, Asked());
    Resize();
  }

  [[nodiscard]] Bounds OwnBounds() const override {
    std::scoped_lock lock{resizing_};
    return own_bounds_;
  }

  void SetPart(double part) override {
    std::scoped_lock lock{resizing_};
    part_ = part;
    Resize();
  }

  // From now on; what is kept already does not get older than that, nor than it was to get.  Neither turns
  // from or to 0.
  void SetLifetimes(std::chrono::milliseconds ttl, std::chrono::milliseconds negative_ttl) {
    ttl_.store(ttl, std::memory_order_relaxed);
    negative_ttl_.store(negative_ttl, std::memory_order_relaxed);
    for (const auto& shard : shards_) {
      std::scoped_lock lock{shard->mutex};  // whoever keeps something after this has seen the new ones
      for (Item& item : shard->items) {
        const std::chrono::milliseconds lifetime = item.value ? ttl : negative_ttl;
        if (item.in_use && lifetime.count() > 0) item.over_at = std::min(item.over_at, item.as_of + lifetime);
      }
    }
  }

  [[nodiscard]] Snapshot Look() const override {
    Snapshot sum;
    sum.name = options_.name;
    sum.policy = schema::ToText(options_.policy);
    sum.bounds = {.entries_max = 0, .bytes_max = 0};
    const Clock::Steady now = clock_.Now();
    Clock::Steady oldest = now;
    for (const auto& shard : shards_) {
      std::scoped_lock lock{shard->mutex};
      const Bounds& bounds = shard->shelf.bounds();
      sum.bounds.entries_max += bounds.entries_max;
      sum.bounds.bytes_max =
          std::max(sum.bounds.bytes_max + bounds.bytes_max, bounds.bytes_max);  // no overflow
      sum.entries += shard->shelf.entries();
      sum.bytes += shard->shelf.bytes();
      AddTo(sum.statistics, shard->statistics);
      for (const Item& item : shard->items) {
        if (item.in_use) oldest = std::min(oldest, item.as_of);
      }
    }
    sum.oldest = std::chrono::duration_cast<std::chrono::milliseconds>(now - oldest);
    const Advisor::Advices advice =
        advisor_.Look(sum.statistics.hits + sum.statistics.misses, sum.statistics.hits);
    sum.advice.assign(advice.begin(), advice.end());
    return sum;
  }

 private:
  using Slot = Shelf::Slot;
  static constexpr std::uint32_t kShardEntriesMin = 64;

  struct Item {
    K key{};
    std::optional<V> value;
    Clock::Steady as_of{};
    Clock::Steady over_at = Clock::Steady::max();
    Clock::Steady idle_at = Clock::Steady::max();
    bool in_use = false;
  };
  struct Loading {
    K key;
    std::shared_ptr<Flight<V>> flight;
    Clock::Steady began;
    bool outdated;  // forgotten meanwhile: for those who came before that, and for nobody else
  };
  struct alignas(64) Shard {
    Shard(Policy policy, const Bounds& bounds) : shelf(policy, bounds) {}

    mutable std::mutex mutex;  // guards everything below
    Shelf shelf;
    std::vector<Item> items;  // by slot
    std::unordered_map<std::uint64_t, Loading>
        flights;  // by hash: of two keys with one hash one waits for none
    Clock::Steady valid_after = Clock::Steady::min();  // answers as of then and before are not kept
    std::uint64_t lots = 0;                            // for jitter
    Statistics statistics;
  };

  static Bounds Share(const Bounds& bounds, std::size_t shards) {
    return {
        .entries_max = std::max(1U, static_cast<std::uint32_t>(bounds.entries_max / shards)),
        .bytes_max = bounds.bytes_max == Bounds{}.bytes_max ? bounds.bytes_max : bounds.bytes_max / shards};
  }
  Shard& ShardOf(std::uint64_t hash) const { return *shards_[(hash >> 32) & (shards_.size() - 1)]; }

  // A cache without lifetimes need not know the time.
  [[nodiscard]] Clock::Steady Now() const {
    constexpr bool kOwnLifetimes = !std::is_same_v<Lifetime, NoLifetime>;
    const bool lasting = options_.ttl.count() == 0 && options_.idle.count() == 0 &&
                         options_.negative_ttl.count() == 0 && !kOwnLifetimes;
    return lasting ? Clock::Steady{} : clock_.NowRoughly();
  }

  // Resizing is locked.
  void Resize() {
    const bool whole = part_ >= 1 || own_bounds_.bytes_max == Bounds{}.bytes_max;
    const auto bytes = static_cast<double>(own_bounds_.bytes_max) * part_;
    const Bounds bounds{.entries_max = static_cast<std::uint32_t>(
                            std::max(static_cast<double>(shards_.size()), own_bounds_.entries_max * part_)),
                        .bytes_max = whole ? own_bounds_.bytes_max : static_cast<std::uint64_t>(bytes)};
    advisor_.SetBounds(bounds);
    for (const auto& shard : shards_) {
      std::scoped_lock lock{shard->mutex};
      shard->shelf.SetBounds(Share(bounds, shards_.size()));
      while (shard->shelf.Over()) EvictOne(*shard);
    }
  }

  // Lookups so far.
  [[nodiscard]] std::uint64_t Asked() const {
    std::uint64_t asked = 0;
    for (const auto& shard : shards_) {
      std::scoped_lock lock{shard->mutex};
      asked += shard->statistics.hits + shard->statistics.misses;
    }
    return asked;
  }

  static Slot SlotOf(const Shard& shard, std::uint64_t hash, const Lookup& key) {
    return shard.shelf.Find(hash, [&](Slot slot) { return shard.items[slot].key == key; });
  }
  static bool IsOver(const Item& item, Clock::Steady now) {
    return now >= item.over_at || now >= item.idle_at;
  }

  // Who wants a new answer is not content with what is known, nor is anybody after them.
  void MissLocked(Shard& shard, std::uint64_t hash, const Lookup& key) {
    ++shard.statistics.misses;
    const Slot slot = SlotOf(shard, hash, key);
    if (slot != Shelf::kNone) Drop(shard, slot);
  }

  std::optional<std::optional<V>> FindLocked(Shard& shard, std::uint64_t hash, const Lookup& key,
                                             Clock::Steady now) {
    const Slot slot = SlotOf(shard, hash, key);
    const bool over = slot != Shelf::kNone && IsOver(shard.items[slot], now);
    if (advisor_.Samples(hash)) Rehearse(shard, hash, slot, over);
    if (over) {
      ++shard.statistics.expired;
      ++shard.statistics.misses;
      Drop(shard, slot);
      return std::nullopt;
    }
    if (slot == Shelf::kNone) {
      ++shard.statistics.misses;
      return std::nullopt;
    }
    ++shard.statistics.hits;
    shard.shelf.Touch(slot);
    Item& item = shard.items[slot];
    if (options_.idle.count() > 0) item.idle_at = now + options_.idle;
    return std::optional<std::optional<V>>{item.value};
  }

  // What is not there weighs what the others do.
  void Rehearse(const Shard& shard, std::uint64_t hash, Slot slot, bool over) {
    if (over) advisor_.Forget(hash);
    const std::uint64_t mean =
        shard.shelf.entries() == 0 ? sizeof(Item) : shard.shelf.bytes() / shard.shelf.entries();
    advisor_.Use(hash, slot == Shelf::kNone ? mean : shard.shelf.BytesOf(slot));
  }

  void PutLocked(Shard& shard, std::uint64_t hash, const K& key, std::optional<V> value,
                 Clock::Steady as_of) {
    const std::chrono::milliseconds lifetime = (value ? ttl_ : negative_ttl_).load(std::memory_order_relaxed);
    Slot slot = SlotOf(shard, hash, key);
    if (as_of <= shard.valid_after || (slot != Shelf::kNone && shard.items[slot].as_of > as_of)) {
      ++shard.statistics.outdated;
      return;
    }
    const std::uint64_t bytes = sizeof(Item) + Shelf::kOverheadBytes + (value ? Weigher{}(key, *value) : 0);
    const bool too_large = bytes > shard.shelf.bounds().bytes_max;
    const std::chrono::nanoseconds own =
        value ? Lifetime{}(std::as_const(*value)) : std::chrono::nanoseconds::max();
    const bool not_kept = (!value && lifetime.count() == 0) || own.count() <= 0;
    if (too_large) ++shard.statistics.refused;
    if (too_large || not_kept) {
      if (slot != Shelf::kNone) Drop(shard, slot);
      return;
    }
    if (slot == Shelf::kNone) {
      while (shard.shelf.Full(bytes)) EvictOne(shard);
      slot = shard.shelf.Add(hash, bytes);
      if (slot >= shard.items.size()) shard.items.resize(slot + 1);
      shard.items[slot].key = key;
    } else {
      shard.shelf.Reweigh(slot, bytes);
      shard.shelf.Touch(slot);
    }
    Item& item = shard.items[slot];
    item.as_of = as_of;
    item.over_at = lifetime.count() > 0 ? as_of + Shortened(shard, lifetime) : Clock::Steady::max();
    if (own < Clock::Steady::max() - as_of) item.over_at = std::min(item.over_at, as_of + own);
    item.value = std::move(value);
    item.idle_at = options_.idle.count() > 0 ? as_of + options_.idle : Clock::Steady::max();
    item.in_use = true;
    while (shard.shelf.Over()) EvictOne(shard);  // a new weight of an old entry
  }

  // By the jitter's next lot: a sequence that is even over the range (additive, by the golden ratio).
  std::chrono::nanoseconds Shortened(Shard& shard, std::chrono::nanoseconds lifetime) const {
    if (options_.jitter_percent == 0) return lifetime;
    shard.lots += 0x9e37'79b9'7f4a'7c15U;
    const double part = static_cast<double>(shard.lots >> 11) * 0x1p-53 * options_.jitter_percent / 100;
    return lifetime -
           std::chrono::nanoseconds{static_cast<std::int64_t>(static_cast<double>(lifetime.count()) * part)};
  }

  void EvictOne(Shard& shard) {
    const bool for_entries = shard.shelf.entries() >= shard.shelf.bounds().entries_max;
    const std::uint64_t before = shard.shelf.bytes();
    const Slot slot = shard.shelf.Evict();
    ++(for_entries ? shard.statistics.evicted_for_entries : shard.statistics.evicted_for_bytes);
    shard.statistics.evicted_bytes += before - shard.shelf.bytes();
    shard.items[slot] = {};
  }

  void Drop(Shard& shard, Slot slot) {
    shard.shelf.Remove(slot);
    shard.items[slot] = {};
  }

  template <class F>
  std::optional<V> Fly(Shard& shard, std::uint64_t hash, const K& key, Clock::Steady as_of, Flight<V>& flight,
                       F&& load) {
    std::optional<V> value;
    std::exception_ptr error;
    try {
      value = load();
    } catch (...) {
      error = std::current_exception();
    }
    try {
      std::scoped_lock lock{shard.mutex};
      // Not there when it went without company.
      const auto found = shard.flights.find(hash);
      if (found != shard.flights.end() && found->second.flight.get() == &flight) shard.flights.erase(found);
      ++(error ? shard.statistics.load_failures : shard.statistics.loads);
      shard.statistics.load_time += clock_.Now() - as_of;
      if (!error) PutLocked(shard, hash, key, value, as_of);
    } catch (...) {  // no memory: whoever waits must hear of it
      error = std::current_exception();
    }
    flight.Land(value, error);
    if (error) std::rethrow_exception(error);
    return value;
  }

  static void AddTo(Statistics& sum, const Statistics& more) {
    sum.hits += more.hits;
    sum.misses += more.misses;
    sum.loads += more.loads;
    sum.load_failures += more.load_failures;
    sum.joined += more.joined;
    sum.load_time += more.load_time;
    sum.evicted_for_entries += more.evicted_for_entries;
    sum.evicted_for_bytes += more.evicted_for_bytes;
    sum.expired += more.expired;
    sum.invalidated += more.invalidated;
    sum.evicted_bytes += more.evicted_bytes;
    sum.refused += more.refused;
    sum.outdated += more.outdated;
  }

  const Options options_;  // as it began
  const Clock& clock_;
  std::atomic<std::chrono::milliseconds> ttl_;
  std::atomic<std::chrono::milliseconds> negative_ttl_;
  mutable std::mutex resizing_;  // guards the two below; taken before a shard's
  Bounds own_bounds_;
  double part_ = 1;
  Advisor advisor_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace gathering::cache
