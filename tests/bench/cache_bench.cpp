// What a hit costs, beside the cache one would write first: a mutex, a list and an unordered_map.
//
//   cmake --preset release && cmake --build --preset release --target cache_bench    # with libbenchmark-dev
//   build/release/tests/cache_bench
//
// Keys of 8 bytes and texts of about 20, 10,000 entries, all of them there, after others have come and gone:
// in a process that has run for a while what belongs together does not lie together.  Keys are drawn before.
// Ratios hold within one run.  `bytes` is what an entry costs beyond its key and value, measured in resident
// memory.
//
// The plain cache knows no time and hashes numbers to themselves.  Beside it is the same with what makes it
// comparable: a hash strangers cannot foresee, an age for each entry, hits and misses counted.
#include <benchmark/benchmark.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/cache/cache.h"

namespace gathering::cache {
namespace {

using namespace std::chrono_literals;
using Value = std::shared_ptr<const std::string>;

constexpr std::uint32_t kEntries = 10'000;
constexpr std::size_t kDrawn = 1 << 16;

template <class K, bool promises>
class Plain {
 public:
  explicit Plain(std::size_t entries_max) : entries_max_(entries_max) {}

  std::optional<Value> Get(const K& key) {
    const auto now = promises ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
    std::scoped_lock lock{mutex_};
    const auto found = index_.find(key);
    if (found == index_.end() || (promises && now >= found->second->over_at)) {
      ++misses_;
      return std::nullopt;
    }
    ++hits_;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }
  void Put(const K& key, Value value) {
    const auto over_at = std::chrono::steady_clock::now() + 1h;
    std::scoped_lock lock{mutex_};
    DropLocked(key);
    if (entries_.size() == entries_max_) {
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({key, std::move(value), over_at});
    index_[key] = entries_.begin();
  }
  void Drop(const K& key) {
    std::scoped_lock lock{mutex_};
    DropLocked(key);
  }

 private:
  struct Entry {
    K key;
    Value value;
    std::chrono::steady_clock::time_point over_at;
  };
  using Hasher = std::conditional_t<promises, Hash, std::hash<K>>;

  void DropLocked(const K& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    entries_.erase(found->second);
    index_.erase(found);
  }

  std::size_t entries_max_;
  std::mutex mutex_;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  std::list<Entry> entries_;
  std::unordered_map<K, typename std::list<Entry>::iterator, Hasher> index_;
};

template <class K>
K Key(std::uint64_t i) {
  if constexpr (std::is_same_v<K, std::string>) {
    return "circle:number-" + std::to_string(i);
  } else {
    return i;
  }
}

template <class K>
const std::vector<K>& Drawn() {
  static const std::vector<K> drawn = [] {
    std::mt19937_64 random{1};
    std::vector<K> keys;
    for (std::size_t i = 0; i < kDrawn; ++i) keys.push_back(Key<K>(random() % kEntries));
    return keys;
  }();
  return drawn;
}

const Clock& TheClock() {
  static const SystemClock clock;
  return clock;
}

Options With(Policy policy, std::chrono::milliseconds ttl) {
  // A quarter more room: no shard of 16 overflows.
  return {.policy = policy, .bounds = {.entries_max = kEntries + kEntries / 4}, .ttl = ttl};
}

// Everything is there in the end.
template <class K, class Put, class Drop>
void Fill(Put&& put, Drop&& drop) {
  std::mt19937_64 random{2};
  for (std::uint32_t i = 0; i < 3 * kEntries; ++i)
    put(Key<K>(random() % (2 * kEntries)), std::make_shared<std::string>("value"));
  std::vector<std::uint64_t> keys(2 * kEntries);
  std::iota(keys.begin(), keys.end(), 0);
  std::ranges::shuffle(keys, random);
  for (const std::uint64_t key : keys) {
    if (key >= kEntries) drop(Key<K>(key));
  }
  std::erase_if(keys, [](std::uint64_t key) { return key >= kEntries; });
  for (const std::uint64_t key : keys) put(Key<K>(key), std::make_shared<std::string>("value"));
}

template <class K, bool promises>
void PlainHit(benchmark::State& state) {
  static Plain<K, promises>* const cache = [] {
    auto* const made = new Plain<K, promises>{kEntries};
    Fill<K>([&](const K& key, Value value) { made->Put(key, std::move(value)); },
            [&](const K& key) { made->Drop(key); });
    return made;
  }();
  const auto& keys = Drawn<K>();
  std::size_t at = static_cast<std::size_t>(state.thread_index()) * 7'919;
  for (auto _ : state) benchmark::DoNotOptimize(cache->Get(keys[++at % kDrawn]));
}

template <class K, Policy policy, bool lifetimes>
void Hit(benchmark::State& state) {
  static Cache<K, Value>* const cache = [] {
    auto* const made = new Cache<K, Value>{With(policy, lifetimes ? 1h : 0h), TheClock()};
    Fill<K>([&](const K& key, Value value) { made->Put(key, std::move(value), TheClock().Now()); },
            [&](const K& key) { made->Invalidate(key); });
    return made;
  }();
  const auto& keys = Drawn<K>();
  std::size_t at = static_cast<std::size_t>(state.thread_index()) * 7'919;
  for (auto _ : state) benchmark::DoNotOptimize(cache->Get(keys[++at % kDrawn]));
  if (cache->Look().statistics.misses != 0) state.SkipWithError("not every access was a hit");
}

std::size_t Resident() {
  std::size_t pages = 0;
  std::FILE* const statm = std::fopen("/proc/self/statm", "r");
  if (statm == nullptr || std::fscanf(statm, "%*u %zu", &pages) != 1) std::abort();
  std::fclose(statm);
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// A million entries, keys and values of 8 bytes each.
void Overhead(benchmark::State& state) {
  constexpr std::uint32_t kMillion = 1'000'000;
  double bytes = 0;
  for (auto _ : state) {
    const std::size_t before = Resident();
    Cache<std::uint64_t, std::uint64_t> cache{{.bounds = {.entries_max = kMillion}}, TheClock()};
    for (std::uint64_t i = 0; i < 2 * kMillion; ++i) cache.Put(i, i, TheClock().Now());
    bytes = static_cast<double>(Resident() - before) / static_cast<double>(cache.Look().entries) - 16;
  }
  state.counters["bytes"] = bytes;
}

BENCHMARK(PlainHit<std::uint64_t, false>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(PlainHit<std::uint64_t, true>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(Hit<std::uint64_t, Policy::kLru, false>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(Hit<std::uint64_t, Policy::kLru, true>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(Hit<std::uint64_t, Policy::kSieve, true>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(Hit<std::uint64_t, Policy::kS3Fifo, true>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(PlainHit<std::string, false>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(PlainHit<std::string, true>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(Hit<std::string, Policy::kLru, true>)->Threads(1)->Threads(4)->UseRealTime();
BENCHMARK(Overhead)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gathering::cache

// glibc and libstdc++ leave out atomic instructions while a process has never had a second thread, which no
// daemon is: without this the first benchmark of a run would be measured in another world than the rest.
int main(int argc, char** argv) {
  std::jthread{[] {}}.join();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
