#include "core/cache/cache.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <latch>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eventually.h"
#include "tests/support/manual_clock.h"

namespace gathering::cache {
namespace {

using namespace std::chrono_literals;
using test::ManualClock;

using Numbers = Cache<std::uint64_t, std::string>;
using Texts = Cache<std::string, std::string>;

struct Lengths {
  std::uint64_t operator()(std::uint64_t, const std::string& value) const { return value.size(); }
};
struct OneHash {
  std::uint64_t operator()(std::uint64_t) const { return 1; }
};

Options With(std::uint32_t entries, std::chrono::milliseconds ttl = 0ms, std::uint32_t shards = 1) {
  return {.bounds = {.entries_max = entries}, .ttl = ttl, .shards = shards};
}

// GATHERING_KEYS says how many.
std::uint64_t KeysWanted() {
  const char* const text = std::getenv("GATHERING_KEYS");
  return text == nullptr ? 2'000'000 : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("an answer is remembered for its age and not a microsecond longer") {
  ManualClock clock;
  Numbers cache{With(10, 1s), clock};
  cache.Put(1, "one", clock.Now());
  clock.Advance(1s - 1us);
  CHECK(cache.Get(1) == "one");
  clock.Advance(1us);
  CHECK_FALSE(cache.Get(1));
  const Snapshot seen = cache.Look();
  CHECK(seen.statistics.hits == 1);
  CHECK(seen.statistics.misses == 1);
  CHECK(seen.statistics.expired == 1);
  CHECK(seen.entries == 0);
  SECTION("reading does not make it younger, asking again does") {
    cache.Put(1, "uno", clock.Now());
    CHECK(cache.Get(1) == "uno");
  }
}

TEST_CASE("the age counts from the moment the answer was true, not from its arrival") {
  ManualClock clock;
  Numbers cache{With(10, 1s), clock};
  const auto asked_at = clock.Now();
  clock.Advance(900ms);
  cache.Put(1, "one", asked_at);
  CHECK(cache.Get(1) == "one");
  CHECK(cache.Look().oldest == 900ms);
  clock.Advance(100ms);
  CHECK_FALSE(cache.Get(1));
}

TEST_CASE("what nobody uses is forgotten, what is used stays") {
  ManualClock clock;
  Numbers cache{{.bounds = {.entries_max = 10}, .idle = 1s}, clock};
  cache.Put(1, "used", clock.Now());
  cache.Put(2, "not", clock.Now());
  for (int i = 0; i < 3; ++i) {
    clock.Advance(900ms);
    CHECK(cache.Get(1) == "used");
  }
  CHECK_FALSE(cache.Get(2));
  CHECK(cache.Peek(1));
  clock.Advance(900ms);
  CHECK(cache.Peek(1));  // which is no use
  clock.Advance(100ms);
  CHECK_FALSE(cache.Get(1));
}

TEST_CASE("with jitter lifetimes differ, and none is longer than it may be") {
  ManualClock clock;
  Numbers cache{{.bounds = {.entries_max = 1'000}, .ttl = 1s, .jitter_percent = 20, .shards = 1}, clock};
  for (std::uint64_t key = 0; key < 1'000; ++key) cache.Put(key, "x", clock.Now());
  const auto alive = [&] {
    std::size_t count = 0;
    for (std::uint64_t key = 0; key < 1'000; ++key) count += cache.Peek(key) ? 1 : 0;
    return count;
  };
  clock.Advance(799ms);
  CHECK(alive() == 1'000);
  clock.Advance(101ms);
  CHECK(alive() > 400);
  CHECK(alive() < 600);
  clock.Advance(100ms);
  CHECK(alive() == 0);
}

TEST_CASE("that there is no such thing is remembered for a time of its own") {
  ManualClock clock;
  Numbers cache{{.bounds = {.entries_max = 10}, .ttl = 1h, .negative_ttl = 1s}, clock};
  int loads = 0;
  const auto nothing = [&]() -> std::optional<std::string> {
    ++loads;
    return std::nullopt;
  };
  CHECK_FALSE(cache.Load(1, nothing));
  CHECK_FALSE(cache.Load(1, nothing));
  CHECK(loads == 1);
  CHECK(cache.Find(1).has_value());
  clock.Advance(1s);
  CHECK_FALSE(cache.Load(1, nothing));
  CHECK(loads == 2);
  SECTION("or not at all") {
    Numbers other{With(10, 1h), clock};
    for (int i = 0; i < 2; ++i) CHECK_FALSE(other.Load(1, nothing));
    CHECK(loads == 4);
    CHECK(other.Look().entries == 0);
  }
}

TEST_CASE("an older answer that arrives late does not replace a newer one") {
  ManualClock clock;
  Numbers cache{With(10, 1s), clock};
  const auto asked_at = clock.Now();
  clock.Advance(1us);
  cache.Put(1, "new", clock.Now());
  cache.Put(1, "old", asked_at);
  CHECK(cache.Get(1) == "new");
  CHECK(cache.Look().statistics.outdated == 1);
}

TEST_CASE("the entry unused for longest leaves first") {
  ManualClock clock;
  Numbers cache{With(3), clock};
  for (const std::uint64_t key : {1U, 2U, 3U}) cache.Put(key, std::to_string(key), clock.Now());
  CHECK(cache.Get(1) == "1");
  cache.Put(4, "4", clock.Now());
  CHECK_FALSE(cache.Get(2));
  CHECK(cache.Get(1));
  CHECK(cache.Get(3));
  CHECK(cache.Get(4));
  CHECK(cache.Look().statistics.evicted_for_entries == 1);
}

TEST_CASE("a full cache keeps its bounds whatever comes") {
  ManualClock clock;
  for (const std::uint32_t shards : {1U, 7U, 16U}) {
    Numbers cache{With(1'000, 1h, shards), clock};
    for (std::uint64_t key = 0; key < 5'000; ++key) cache.Put(key, "x", clock.Now());
    const Snapshot seen = cache.Look();
    CHECK(seen.bounds.entries_max <= 1'000);
    CHECK(seen.entries <= seen.bounds.entries_max);
    CHECK(seen.entries > 900);
    CHECK(seen.statistics.evicted_for_entries == 5'000 - seen.entries);
  }
  SECTION("also with fewer places than shards") {
    Numbers cache{With(2, 1h, 16), clock};
    for (std::uint64_t key = 0; key < 100; ++key) cache.Put(key, "x", clock.Now());
    CHECK(cache.Look().entries == 2);
  }
}

TEST_CASE("bytes are a bound of their own, and what alone is too large is not kept") {
  ManualClock clock;
  Cache<std::uint64_t, std::string, Hash, Lengths> cache{
      {.bounds = {.entries_max = 1'000, .bytes_max = 20'000}, .shards = 1}, clock};
  std::mt19937 random{3};
  for (std::uint64_t i = 0; i < 3'000; ++i) {
    const std::uint64_t key = random() % 200;
    cache.Put(key, std::string(random() % 3'000, 'x'), clock.Now());
    REQUIRE(cache.Look().bytes <= 20'000);
  }
  const Statistics so_far = cache.Look().statistics;
  CHECK(so_far.evicted_for_bytes > 1'000);
  CHECK(so_far.evicted_for_entries == 0);
  CHECK(so_far.evicted_bytes > 1'000'000);
  cache.Put(1, "kept", clock.Now());
  cache.Put(1, std::string(30'000, 'x'), clock.Now());
  CHECK_FALSE(cache.Get(1));  // what was there is not true any more
  CHECK(cache.Look().statistics.refused == 1);
  CHECK(cache.Look().entries > 0);
}

TEST_CASE("smaller bounds hold at once, larger ones from then on") {
  ManualClock clock;
  Numbers cache{With(1'000, 0ms, 4), clock};
  for (std::uint64_t key = 0; key < 1'000; ++key) cache.Put(key, "x", clock.Now());
  cache.SetBounds({.entries_max = 100});
  CHECK(cache.Look().entries == 100);
  cache.SetBounds({.entries_max = 10'000});
  for (std::uint64_t key = 0; key < 5'000; ++key) cache.Put(key, "x", clock.Now());
  CHECK(cache.Look().entries == 5'000);
}

TEST_CASE("a cache keeps its part of its own bounds, whichever changes, and an entry a shard") {
  ManualClock clock;
  Numbers cache{With(1'600, 0ms, 16), clock};
  cache.SetPart(0.5);
  CHECK(cache.Look().bounds.entries_max == 800);
  cache.SetBounds({.entries_max = 320, .bytes_max = 32'000});
  CHECK(cache.Look().bounds.entries_max == 160);
  CHECK(cache.Look().bounds.bytes_max == 16'000);
  CHECK(cache.OwnBounds().entries_max == 320);
  cache.SetPart(1);
  CHECK(cache.Look().bounds.entries_max == 320);
  cache.SetBounds({.entries_max = 1});
  CHECK(cache.Look().bounds.entries_max == 16);
  cache.Put(1, "x", clock.Now());
  CHECK(cache.Get(1) == "x");
}

TEST_CASE("another lifetime holds for what comes, a shorter one for what is there, too") {
  ManualClock clock;
  Numbers cache{{.bounds = {.entries_max = 100}, .ttl = 10s, .negative_ttl = 10s, .shards = 1}, clock};
  cache.Put(1, "one", clock.Now());
  cache.Put(2, std::nullopt, clock.Now());
  cache.SetLifetimes(5s, 2s);
  clock.Advance(2s);
  CHECK(cache.Get(1) == "one");
  CHECK_FALSE(cache.Find(2));
  cache.SetLifetimes(1min, 1min);  // what is there was promised for 5 seconds
  clock.Advance(3s);
  CHECK_FALSE(cache.Get(1));
  cache.Put(3, "three", clock.Now());
  clock.Advance(59s);
  CHECK(cache.Get(3) == "three");
}

TEST_CASE("bounds and lifetimes change while everybody uses the cache") {
  const SystemClock clock;
  Numbers cache{With(1'000, 1s, 16), clock};
  std::atomic<bool> wrong = false;
  std::vector<std::jthread> users;
  for (std::uint64_t user = 0; user < 3; ++user) {
    users.emplace_back([&, user](const std::stop_token& stop) {
      std::mt19937_64 random{user};
      while (!stop.stop_requested()) {
        const std::uint64_t key = random() % 5'000;
        const auto value = cache.Load(key, [&] { return std::optional{std::to_string(key)}; });
        if (value != std::to_string(key)) wrong = true;
      }
    });
  }
  for (std::uint32_t i = 0; i < 300; ++i) {
    cache.SetBounds({.entries_max = 1 + i * 37 % 20'000});
    cache.SetPart(i % 3 == 0 ? 0.25 : 1);
    cache.SetLifetimes(std::chrono::milliseconds{1 + i % 50}, 0ms);
  }
  users.clear();
  CHECK_FALSE(wrong);
  CHECK(cache.Look().entries <= cache.Look().bounds.entries_max);
}

TEST_CASE("keys of one hash are kept apart") {
  ManualClock clock;
  Cache<std::uint64_t, std::string, OneHash> cache{With(10), clock};
  for (std::uint64_t key = 0; key < 10; ++key) cache.Put(key, std::to_string(key), clock.Now());
  for (std::uint64_t key = 0; key < 10; ++key) CHECK(cache.Get(key) == std::to_string(key));
  CHECK(cache.Invalidate(std::uint64_t{3}));
  CHECK_FALSE(cache.Get(3));
  CHECK(cache.Get(4) == "4");
}

TEST_CASE("one key is forgotten, or all that fit, by texts of any kind") {
  ManualClock clock;
  Texts cache{With(1'000, 0ms, 16), clock};
  for (int i = 0; i < 100; ++i) {
    cache.Put("circle:" + std::to_string(i), "x", clock.Now());
    cache.Put("agent:" + std::to_string(i), "x", clock.Now());
  }
  CHECK(cache.Get(std::string_view{"circle:7"}));
  CHECK(cache.Invalidate(std::string_view{"circle:7"}));
  CHECK_FALSE(cache.Invalidate(std::string_view{"circle:7"}));
  CHECK_FALSE(cache.Get(std::string_view{"circle:7"}));
  CHECK(cache.InvalidateIf([](const std::string& key) { return key.starts_with("circle:"); }) == 99);
  CHECK(cache.Look().entries == 100);
  CHECK(cache.Look().statistics.invalidated == 100);
  cache.Clear();
  CHECK(cache.Look().entries == 0);
}

TEST_CASE("what was asked for before an invalidation is not kept after it") {
  ManualClock clock;
  Numbers cache{With(10, 1h), clock};
  const auto late = cache.Load(1, [&] {
    clock.Advance(1us);
    cache.Invalidate(std::uint64_t{1});
    clock.Advance(1us);
    return std::optional<std::string>{"old"};
  });
  CHECK(late == "old");
  CHECK_FALSE(cache.Get(1));
  CHECK(cache.Load(1, [] { return std::optional<std::string>{"new"}; }) == "new");
  CHECK(cache.Get(1) == "new");
}

TEST_CASE("64 callers of one missing key load it once") {
  SystemClock clock;
  Numbers cache{With(10, 1h), clock};
  std::atomic<int> loads = 0;
  std::atomic<int> answers = 0;
  std::latch all{64};
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 64; ++i) {
      callers.emplace_back([&] {
        all.arrive_and_wait();
        const auto value = cache.Load(1, [&] {
          ++loads;
          // Until the others have come: they joined, or they would count as hits.
          while (cache.Look().statistics.joined < 63) std::this_thread::yield();
          return std::optional<std::string>{"one"};
        });
        answers += value == "one" ? 1 : 0;
      });
    }
  }
  CHECK(loads == 1);
  CHECK(answers == 64);
  const Statistics seen = cache.Look().statistics;
  CHECK(seen.loads == 1);
  CHECK(seen.joined == 63);
  CHECK(seen.misses == 64);
}

TEST_CASE("a load that fails reaches everybody who waits, and is not kept") {
  SystemClock clock;
  Numbers cache{With(10, 1h), clock};
  std::atomic<int> errors = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([&] {
        try {
          (void)cache.Load(1, [&]() -> std::optional<std::string> {
            while (cache.Look().statistics.joined < 7) std::this_thread::yield();
            throw std::runtime_error{"no"};
          });
        } catch (const std::runtime_error&) {
          ++errors;
        }
      });
    }
  }
  CHECK(errors == 8);
  CHECK(cache.Look().statistics.load_failures == 1);
  CHECK(cache.Load(1, [] { return std::optional<std::string>{"then"}; }) == "then");
}

TEST_CASE("threads that share a cache see whole values, lose no count, and never exceed its bounds") {
  ManualClock clock;
  for (const Policy policy : {Policy::kLru, Policy::kSieve, Policy::kS3Fifo}) {
    Cache<std::uint64_t, std::string, Hash, Lengths> cache{
        {.policy = policy, .bounds = {.entries_max = 256, .bytes_max = 40'000}, .ttl = 1h, .shards = 4},
        clock};
    constexpr int kThreads = 4;
    constexpr std::uint64_t kRounds = 5'000;
    {
      std::vector<std::jthread> threads;
      for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
          for (std::uint64_t i = 0; i < kRounds; ++i) {
            const std::uint64_t key = (i * 7 + static_cast<unsigned>(t)) % 400;
            const std::string whole(40 + key % 50, static_cast<char>('a' + key % 26));
            const auto value = cache.Load(key, [&] { return std::optional{whole}; });
            if (value != whole) std::terminate();
            if (i % 64 == 0) {
              const Snapshot seen = cache.Look();
              if (seen.entries > 256 || seen.bytes > 40'000) std::terminate();
            }
            if (i % 100 == 0) cache.Invalidate(key);
          }
        });
      }
    }
    const Statistics seen = cache.Look().statistics;
    CHECK(seen.hits + seen.misses == kThreads * kRounds);
    CHECK(seen.loads + seen.joined == seen.misses);
  }
}

TEST_CASE(
    "after an invalidation, or for a new answer, a key is loaded anew when the load under way is over") {
  const bool invalidates = GENERATE(true, false);
  SystemClock clock;
  Numbers cache{With(10, 1h), clock};
  std::latch first_runs{1};
  std::latch first_may_end{1};
  std::atomic<bool> first_ended = false;
  bool second_waited = false;
  std::optional<std::string> first_value;
  std::optional<std::string> second_value;
  std::jthread first{[&] {
    first_value = cache.Load(1, [&] {
      first_runs.count_down();
      first_may_end.wait();
      first_ended = true;
      return std::optional<std::string>{"old"};
    });
  }};
  first_runs.wait();
  if (invalidates) cache.Invalidate(std::uint64_t{1});
  std::jthread second{[&] {
    const auto load = [&] {
      second_waited = first_ended;
      return std::optional<std::string>{"new"};
    };
    const auto want = invalidates ? Numbers::Want::kKnown : Numbers::Want::kNew;
    second_value = cache.Load(1, load, BlockingWait{}, want);
  }};
  test::Await([&] { return cache.Look().statistics.joined == 1; });
  first_may_end.count_down();
  first.join();
  second.join();
  CHECK(first_value == "old");  // it came before
  CHECK(second_waited);
  CHECK(second_value == "new");
  CHECK(cache.Get(1) == "new");
  CHECK(cache.Look().statistics.loads == 2);
}

TEST_CASE("who wants a new answer gets one, and it is what is known from then on") {
  ManualClock clock;
  Numbers cache{With(10, 1h), clock};
  cache.Put(1, "old", clock.Now());
  clock.Advance(1us);
  const auto load = [] { return std::optional<std::string>{"new"}; };
  CHECK(cache.Load(1, load, BlockingWait{}, Numbers::Want::kNew) == "new");
  CHECK(cache.Get(1) == "new");
  SECTION("when none is found nothing is known any more") {
    const auto nothing = [] { return std::optional<std::string>{}; };
    CHECK_FALSE(cache.Load(1, nothing, BlockingWait{}, Numbers::Want::kNew));
    CHECK_FALSE(cache.Peek(1));
  }
}

TEST_CASE("however many keys come, a cache takes no more memory") {
  const auto resident = [] {
    std::size_t pages = 0;
    std::FILE* const statm = std::fopen("/proc/self/statm", "r");
    REQUIRE(statm != nullptr);
    REQUIRE(std::fscanf(statm, "%*u %zu", &pages) == 1);
    std::fclose(statm);
    return pages * 4'096;
  };
  SystemClock clock;
  Numbers cache{With(10'000, 1h, 16), clock};
  const auto ask = [&](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t key = from; key < to; ++key) cache.Put(key, std::to_string(key), clock.Now());
  };
  ask(0, 50'000);
  const std::size_t before = resident();
  ask(50'000, KeysWanted());
  CHECK(resident() < before + (1U << 20U));
  CHECK(cache.Look().entries <= 10'000);
}

}  // namespace gathering::cache
