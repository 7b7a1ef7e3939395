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
//
// Hits of several threads write nothing that another one reads (core/base/big_reader_lock.h): each thread
// notes what it used, and the order is made up from the notes before anybody asks for it.  With one thread it
// is exact; of several threads the uses since the last change, or the last kUsesNoted of each, count as one
// moment.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/big_reader_lock.h"
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
        lasting_(std::is_same_v<Lifetime, NoLifetime> && options_.ttl.count() == 0 &&
                 options_.idle.count() == 0 && options_.negative_ttl.count() == 0),
        own_bounds_(options_.bounds),
        advisor_(options_.policy, options_.bounds) {
    const std::uint32_t useful = std::max<std::uint32_t>(1, options_.bounds.entries_max / kShardEntriesMin);
    const std::uint32_t count = std::bit_floor(std::clamp<std::uint32_t>(options_.shards, 1, useful));
    shards_.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i)
      shards_.push_back(std::make_unique<Shard>(options_.policy, Share(options_.bounds, count)));
  }

  // The value, if there is one.
  [[nodiscard]] std::optional<V> Get(const Lookup& key) {
    std::optional<V> value;
    Visit(key, [&](const std::optional<V>& known) { value = known; });
    return value;
  }

  // What is known: nothing, that there is no such thing, or the value.
  [[nodiscard]] std::optional<std::optional<V>> Find(const Lookup& key) {
    std::optional<std::optional<V>> found;
    Visit(key, [&](const std::optional<V>& known) { found.emplace(known); });
    return found;
  }

  // The same without counting as a use.
  [[nodiscard]] std::optional<std::optional<V>> Peek(const Lookup& key) const {
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    const Clock::Steady now = Now();
    const Reading reading{shard.lock};
    return KnownLocked(shard, hash, key, now);
  }

  // Remembers what was true at `as_of`; a value, or that there is none.
  void Put(const K& key, std::optional<V> value, Clock::Steady as_of) {
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    const Change change{shard};
    PutLocked(shard, hash, key, std::move(value), as_of);
  }

  // What is asked for: what is known, if it is, or a new answer, which is known from then on.
  enum class Want : std::uint8_t { kKnown, kNew };

  // The value that is known, or that `load` (std::optional<V>()) finds; `wait` (BlockingWait) lets the caller
  // sleep while another one loads.
  template <class F, class Wait = BlockingWait>
  [[nodiscard]] std::optional<V> Load(const Lookup& key, F&& load, const Wait& wait = {},
                                      Want want = Want::kKnown) {
    if (want == Want::kKnown) {
      if (auto known = Find(key)) return *std::move(known);
    }
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    const Clock::Steady arrived = clock_.Now();
    bool waited = false;
    for (Clock::Steady as_of = arrived;; as_of = clock_.Now()) {
      std::shared_ptr<Flight<V>> flight;
      bool leads = false;
      bool joins = false;
      if (want == Want::kNew) MissForAll(shard, hash, key);
      {
        const Quiet quiet{shard.lock};
        if (want == Want::kKnown) {
          auto known = KnownLocked(shard, hash, key, as_of);
          CountLater(shard.statistics, known.has_value(), waited);
          if (known) return *std::move(known);
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
      waited = true;
      if (joins) return flight->Take();
    }
  }

  // Forgets one; an answer that is on its way is not kept.  Whether there was one.
  bool Invalidate(const Lookup& key) {
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    const Change change{shard};
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
      const Change change{*shard};
      shard->valid_after = clock_.Now();
      for (auto& [hash, loading] : shard->flights) loading.outdated = loading.outdated || fits(loading.key);
      for (Slot slot = 0; slot < shard->items.size(); ++slot) {
        if (!shard->items[slot].Holds() || !fits(std::as_const(shard->items[slot].key))) continue;
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
      const Change change{*shard};  // whoever keeps something after this has seen the new ones
      for (Item& item : shard->items) {
        const std::chrono::milliseconds lifetime = item.value ? ttl : negative_ttl;
        if (item.Holds() && lifetime.count() > 0)
          item.over_at = std::min(item.over_at, item.as_of + lifetime);
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
      const Quiet quiet{shard->lock};
      const Bounds& bounds = shard->shelf.bounds();
      sum.bounds.entries_max += bounds.entries_max;
      sum.bounds.bytes_max =
          std::max(sum.bounds.bytes_max + bounds.bytes_max, bounds.bytes_max);  // no overflow
      sum.entries += shard->shelf.entries();
      sum.bytes += shard->shelf.bytes();
      AddTo(sum.statistics, shard->statistics);
      quiet.ForEachPart([&](const Notes& notes) { notes.AddTo(sum.statistics); });
      for (const Item& item : shard->items) {
        if (item.Holds()) oldest = std::min(oldest, item.as_of);
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
  static constexpr std::uint32_t kUsesNoted = 56;

  static constexpr Clock::Steady kNever = Clock::Steady::min();

  struct Item {
    K key{};
    std::optional<V> value;
    Clock::Steady as_of = kNever;  // kNever: the slot is free
    Clock::Steady over_at = Clock::Steady::max();
    mutable Clock::Steady idle_at = Clock::Steady::max();  // readers write it, with others beside them

    [[nodiscard]] bool Holds() const { return as_of != kNever; }
  };
  struct Loading {
    K key;
    std::shared_ptr<Flight<V>> flight;
    Clock::Steady began;
    bool outdated;  // forgotten meanwhile: for those who came before that, and for nobody else
  };
  // What the readers of a stripe leave behind.
  struct Notes {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint32_t count = 0;
    std::array<Slot, kUsesNoted> used;  // since the order was made up, the last one last

    [[nodiscard]] bool Full() const { return count == kUsesNoted; }
    void Use(Slot slot) {
      if (count == 0 || used[count - 1] != slot) used[count++] = slot;
    }
    void AddTo(Statistics& sum) const {
      sum.hits += hits;
      sum.misses += misses;
    }
  };
  using Lock = BigReaderLock<Notes>;
  using Reading = typename Lock::Reading;
  using Quiet = typename Lock::Quiet;

  struct alignas(64) Shard {
    Shard(Policy policy, const Bounds& bounds) : shelf(policy, bounds) {}

    // Notes what was used.
    void MakeUp(Notes& notes) {
      shelf.Use(std::span{notes.used}.first(notes.count));
      notes.count = 0;
    }

    // Readers look at the index and the weights of the shelf, and at the items; the order of the shelf is for
    // who keeps writers out, and so is what follows the items.
    mutable Lock lock;
    Shelf shelf;
    std::vector<Item> items;  // by slot
    std::unordered_map<std::uint64_t, Loading>
        flights;                         // by hash: of two keys with one hash one waits for none
    Clock::Steady valid_after = kNever;  // answers as of then and before are not kept
    std::uint64_t lots = 0;              // for jitter
    Statistics statistics;               // but for what is in the notes
  };

  // Holds a shard to change it, its order made up.
  class Change {
   public:
    explicit Change(Shard& shard) : writing_(shard.lock) {
      writing_.ForEachPart([&](Notes& notes) { shard.MakeUp(notes); });
    }

   private:
    typename Lock::Writing writing_;
  };

  static Bounds Share(const Bounds& bounds, std::size_t shards) {
    return {
        .entries_max = std::max(1U, static_cast<std::uint32_t>(bounds.entries_max / shards)),
        .bytes_max = bounds.bytes_max == Bounds{}.bytes_max ? bounds.bytes_max : bounds.bytes_max / shards};
  }
  Shard& ShardOf(std::uint64_t hash) const { return *shards_[(hash >> 32) & (shards_.size() - 1)]; }

  [[nodiscard]] Clock::Steady Now() const { return lasting_ ? Clock::Steady{} : clock_.NowRoughly(); }

  // Resizing is locked.
  void Resize() {
    const bool whole = part_ >= 1 || own_bounds_.bytes_max == Bounds{}.bytes_max;
    const auto bytes = static_cast<double>(own_bounds_.bytes_max) * part_;
    const Bounds bounds{.entries_max = static_cast<std::uint32_t>(
                            std::max(static_cast<double>(shards_.size()), own_bounds_.entries_max * part_)),
                        .bytes_max = whole ? own_bounds_.bytes_max : static_cast<std::uint64_t>(bytes)};
    advisor_.SetBounds(bounds);
    for (const auto& shard : shards_) {
      const Change change{*shard};
      shard->shelf.SetBounds(Share(bounds, shards_.size()));
      while (shard->shelf.Over()) EvictOne(*shard);
    }
  }

  // Lookups so far.
  [[nodiscard]] std::uint64_t Asked() const {
    Statistics sum;
    for (const auto& shard : shards_) {
      const Quiet quiet{shard->lock};
      AddTo(sum, shard->statistics);
      quiet.ForEachPart([&](const Notes& notes) { notes.AddTo(sum); });
    }
    return sum.hits + sum.misses;
  }

  static Slot SlotOf(const Shard& shard, std::uint64_t hash, const Lookup& key) {
    return shard.shelf.Find(hash, [&](Slot slot) { return shard.items[slot].key == key; });
  }
  static bool IsOver(const Item& item, Clock::Steady now) {
    return now >= item.over_at || now >= std::atomic_ref{item.idle_at}.load(std::memory_order_relaxed);
  }

  // Calls `take` with what is known, if anything is.
  template <class F>
  void Visit(const Lookup& key, F&& take) {
    const std::uint64_t hash = Hasher{}(key);
    Shard& shard = ShardOf(hash);
    const Clock::Steady now = Now();
    const bool over = Read(shard, [&](Notes& notes) {
      const Slot slot = SlotOf(shard, hash, key);
      const Item* const item = slot == Shelf::kNone ? nullptr : &shard.items[slot];
      if (item == nullptr || IsOver(*item, now)) {
        ++notes.misses;
        return item != nullptr;
      }
      if (options_.idle.count() > 0)
        std::atomic_ref{item->idle_at}.store(now + options_.idle, std::memory_order_relaxed);
      take(item->value);
      ++notes.hits;
      notes.Use(slot);
      return false;
    });
    if (over) Expire(shard, hash, key, now);
    if (advisor_.Samples(hash)) advisor_.Use(hash, BytesOf(shard, hash, key));
  }

  // With room for a note of one use.
  template <class F>
  static auto Read(Shard& shard, F&& f) {
    for (;;) {
      std::size_t stripe = 0;
      {
        const Reading reading{shard.lock};
        if (!reading.part().Full()) return f(reading.part());
        stripe = reading.stripe(shard.lock);
      }
      const Quiet quiet{shard.lock};
      quiet.WithPart(stripe, [&](Notes& notes) { shard.MakeUp(notes); });
    }
  }

  // Reading, or keeping writers out.
  static std::optional<std::optional<V>> KnownLocked(const Shard& shard, std::uint64_t hash,
                                                     const Lookup& key, Clock::Steady now) {
    const Slot slot = SlotOf(shard, hash, key);
    if (slot == Shelf::kNone || IsOver(shard.items[slot], now)) return std::nullopt;
    return std::optional<std::optional<V>>{shard.items[slot].value};
  }

  // What is not there weighs what the others do.
  static std::uint64_t BytesOf(const Shard& shard, std::uint64_t hash, const Lookup& key) {
    const Reading reading{shard.lock};
    const Slot slot = SlotOf(shard, hash, key);
    if (slot != Shelf::kNone) return shard.shelf.BytesOf(slot);
    return shard.shelf.entries() == 0 ? sizeof(Item) : shard.shelf.bytes() / shard.shelf.entries();
  }

  // It was too old at `now`.
  void Expire(Shard& shard, std::uint64_t hash, const Lookup& key, Clock::Steady now) {
    if (advisor_.Samples(hash)) advisor_.Forget(hash);
    const Change change{shard};
    const Slot slot = SlotOf(shard, hash, key);
    if (slot == Shelf::kNone || !IsOver(shard.items[slot], now)) return;
    ++shard.statistics.expired;
    Drop(shard, slot);
  }

  // The second look of a lookup that missed, or another one, of who waited for a load in vain.
  static void CountLater(Statistics& statistics, bool found, bool waited) {
    if (waited) {
      ++(found ? statistics.hits : statistics.misses);
    } else if (found) {
      ++statistics.joined;  // somebody's load ended just now
    }
  }

  // Who wants a new answer is not content with what is known, nor is anybody after them.
  void MissForAll(Shard& shard, std::uint64_t hash, const Lookup& key) {
    const Change change{shard};
    ++shard.statistics.misses;
    const Slot slot = SlotOf(shard, hash, key);
    if (slot != Shelf::kNone) Drop(shard, slot);
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
      shard.shelf.Use({&slot, 1});
    }
    Item& item = shard.items[slot];
    item.as_of = as_of;
    item.over_at = lifetime.count() > 0 ? as_of + Shortened(shard, lifetime) : Clock::Steady::max();
    if (own < Clock::Steady::max() - as_of) item.over_at = std::min(item.over_at, as_of + own);
    item.value = std::move(value);
    item.idle_at = options_.idle.count() > 0 ? as_of + options_.idle : Clock::Steady::max();
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
      const Change change{shard};
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
  const bool lasting_;           // nothing gets too old: the time does not matter
  mutable std::mutex resizing_;  // guards the two below; taken before a shard's
  Bounds own_bounds_;
  double part_ = 1;
  Advisor advisor_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace gathering::cache
