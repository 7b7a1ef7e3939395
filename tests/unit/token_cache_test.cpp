#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "core/cache/lru.h"
#include "tests/support/manual_clock.h"

namespace gathering::cache {
namespace {

using namespace std::chrono_literals;
using test::ManualClock;

// Spreads over all bits (splitmix64).
struct Mix {
  std::size_t operator()(std::uint64_t value) const {
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
  }
};
using Cache = Lru<std::uint64_t, std::string, Mix>;

}  // namespace

TEST_CASE("an answer is remembered for its age and not a microsecond longer") {
  ManualClock clock;
  Cache cache{{.entries_max = 10, .age_max = 1s}, clock};
  cache.Put(1, "one", clock.Now());
  clock.Advance(1s - 1us);
  CHECK(cache.Get(1) == "one");
  clock.Advance(1us);
  CHECK_FALSE(cache.Get(1));
  CHECK(cache.Stats().hits == 1);
  CHECK(cache.Stats().misses == 1);
  SECTION("reading does not make it younger, asking again does") {
    cache.Put(1, "uno", clock.Now());
    CHECK(cache.Get(1) == "uno");
  }
}

TEST_CASE("the age counts from the moment the answer was true, not from its arrival") {
  ManualClock clock;
  Cache cache{{.entries_max = 10, .age_max = 1s}, clock};
  const auto asked_at = clock.Now();
  clock.Advance(900ms);
  cache.Put(1, "one", asked_at);
  CHECK(cache.Get(1) == "one");
  clock.Advance(100ms);
  CHECK_FALSE(cache.Get(1));
}

TEST_CASE("an older answer that arrives late does not replace a newer one") {
  ManualClock clock;
  Cache cache{{.entries_max = 10, .age_max = 1s}, clock};
  const auto asked_at = clock.Now();
  clock.Advance(1us);
  cache.Put(1, "new", clock.Now());
  cache.Put(1, "old", asked_at);
  CHECK(cache.Get(1) == "new");
}

TEST_CASE("the entry unused for longest leaves first") {
  ManualClock clock;
  Cache cache{{.entries_max = 3, .age_max = 1h, .shards = 1}, clock};
  for (const std::uint64_t key : {1U, 2U, 3U}) cache.Put(key, std::to_string(key), clock.Now());
  CHECK(cache.Get(1) == "1");
  cache.Put(4, "4", clock.Now());
  CHECK_FALSE(cache.Get(2));
  CHECK(cache.Get(1));
  CHECK(cache.Get(3));
  CHECK(cache.Get(4));
  CHECK(cache.Stats().evictions == 1);
}

TEST_CASE("a full cache keeps its bound whatever comes") {
  ManualClock clock;
  for (const std::uint32_t shards : {1U, 7U, 16U}) {
    Cache cache{{.entries_max = 1'000, .age_max = 1h, .shards = shards}, clock};
    for (std::uint64_t key = 0; key < 5'000; ++key) cache.Put(key, "x", clock.Now());
    const LruStats stats = cache.Stats();
    CHECK(stats.entries_max <= 1'000);
    CHECK(stats.entries <= stats.entries_max);
    CHECK(stats.entries > 900);
    CHECK(stats.evictions == 5'000 - stats.entries);
  }
  SECTION("also with fewer places than shards") {
    Cache cache{{.entries_max = 2, .age_max = 1h, .shards = 16}, clock};
    for (std::uint64_t key = 0; key < 100; ++key) cache.Put(key, "x", clock.Now());
    CHECK(cache.Stats().entries <= 2);
  }
}

TEST_CASE("threads that share a cache see whole values and lose no count") {
  ManualClock clock;
  Cache cache{{.entries_max = 64, .age_max = 1h}, clock};
  constexpr int kThreads = 4;
  constexpr std::uint64_t kRounds = 5'000;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (std::uint64_t i = 0; i < kRounds; ++i) {
          const std::uint64_t key = i % 100;
          const auto value = cache.Get(key);
          if (value && *value != std::string(40, static_cast<char>('a' + key % 26))) std::terminate();
          if (!value) cache.Put(key, std::string(40, static_cast<char>('a' + key % 26)), clock.Now());
        }
      });
    }
  }
  const LruStats stats = cache.Stats();
  CHECK(stats.hits + stats.misses == kThreads * kRounds);
  CHECK(stats.entries <= 64);
}

}  // namespace gathering::cache
