// What another size would bring, and one budget over all.
#include "core/cache/advisor.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <future>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "core/cache/budget.h"
#include "core/cache/cache.h"
#include "core/health/memory.h"
#include "tests/support/manual_clock.h"

namespace gathering::cache {
namespace {

using Numbers = Cache<std::uint64_t, std::uint64_t>;

constexpr std::uint32_t kEntries = 4'000;

// Keys as they are mostly asked for: few often, many seldom.
class Zipf {
 public:
  explicit Zipf(std::size_t keys) {
    double sum = 0;
    for (std::size_t rank = 1; rank <= keys; ++rank) sums_.push_back(sum += 1 / static_cast<double>(rank));
  }
  std::uint64_t operator()(std::mt19937_64& random) const {
    const double drawn = std::uniform_real_distribution{0.0, sums_.back()}(random);
    return static_cast<std::uint64_t>(std::ranges::lower_bound(sums_, drawn) - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

void Ask(Numbers& cache, int times, const Clock& clock) {
  static const Zipf zipf{80'000};
  std::mt19937_64 random{7};
  for (int i = 0; i < times; ++i) {
    const std::uint64_t key = zipf(random);
    if (!cache.Get(key)) cache.Put(key, key, clock.Now());
  }
}

double RatioOf(const Statistics& seen) {
  return static_cast<double>(seen.hits) / static_cast<double>(seen.hits + seen.misses);
}

Options With(std::uint32_t entries, Policy policy = Policy::kLru) {
  return {.policy = policy, .bounds = {.entries_max = entries}};
}

}  // namespace

TEST_CASE("the advice for another size is what a cache of that size does", "[advisor]") {
  const Policy policy = GENERATE(Policy::kLru, Policy::kSieve, Policy::kS3Fifo);
  constexpr int kLookups = 300'000;
  const test::ManualClock clock;
  Numbers cache{With(kEntries, policy), clock};
  Ask(cache, kLookups, clock);
  const std::vector<Advice> advice = cache.Look().advice;
  REQUIRE(advice.size() == 4);
  for (const Advice& each : advice) {
    Numbers other{With(static_cast<std::uint32_t>(kEntries * each.factor), policy), clock};
    Ask(other, kLookups, clock);
    INFO(each.factor);
    CHECK(each.entries_max == static_cast<std::uint64_t>(kEntries * each.factor));
    REQUIRE(each.hit_ratio);
    CHECK(std::abs(*each.hit_ratio - RatioOf(other.Look().statistics)) < 0.05);
  }
}

TEST_CASE("what is invalidated would be gone at any size", "[advisor]") {
  const test::ManualClock clock;
  Numbers cache{With(kEntries), clock};
  for (int round = 0; round < 10; ++round) {
    for (std::uint64_t key = 0; key < 5'000; ++key) {
      CHECK_FALSE(cache.Get(key));
      cache.Put(key, key, clock.Now());
      if (key % 2 == 0) cache.Invalidate(key);
    }
    if (round % 2 == 0) cache.Clear();
    for (std::uint64_t key = 0; key < 5'000; ++key) cache.Invalidate(key);
  }
  for (const Advice& each : cache.Look().advice) CHECK(each.hit_ratio.value_or(1) < 0.15);
}

TEST_CASE("without lookups there is no advice", "[advisor]") {
  const test::ManualClock clock;
  for (const Advice& each : Numbers{With(kEntries), clock}.Look().advice) CHECK_FALSE(each.hit_ratio);
}

// --- the budget --------------------------------------------------------------------------------------

namespace {

Options Of(std::uint32_t entries, std::uint64_t bytes) {
  return {.bounds = {.entries_max = entries, .bytes_max = bytes}, .shards = 1};
}

}  // namespace

TEST_CASE("caches that want more than the budget get that much less each", "[budget]") {
  const test::ManualClock clock;
  Numbers one{Of(1'000, 300'000), clock};
  Numbers other{Of(1'000, 100'000), clock};
  SECTION("it has room for all") {
    const Budget budget{{&one, &other}, 400'000};
    CHECK(one.Look().bounds.bytes_max == 300'000);
    CHECK(budget.Stats().part == 1);
  }
  SECTION("it has room for half") {
    const Budget budget{{&one, &other}, 200'000};
    CHECK(one.Look().bounds.bytes_max == 150'000);
    CHECK(other.Look().bounds.bytes_max == 50'000);
    CHECK(budget.Stats().part == 0.5);
    CHECK(budget.Stats().bytes_max == 200'000);
  }
  SECTION("there is none") {
    const Budget budget{{&one, &other}, 0};
    CHECK(one.Look().bounds.bytes_max == 300'000);
  }
}

TEST_CASE("another budget, and caches with other bounds, are shared out anew", "[budget]") {
  const test::ManualClock clock;
  Numbers one{Of(1'600, 300'000), clock};
  Numbers other{Of(1'600, 100'000), clock};
  Budget budget{{&one, &other}, 0};
  budget.Note(1);  // memory is short: half of everything
  one.SetBounds({.entries_max = 1'600, .bytes_max = 100'000});
  budget.Resize(100'000);
  CHECK(one.Look().bounds.bytes_max == 25'000);
  CHECK(other.Look().bounds.bytes_max == 25'000);
  CHECK(budget.Stats().part == 0.25);
  CHECK(budget.Stats().bytes_max == 100'000);
  budget.Resize(0);
  CHECK(one.Look().bounds.bytes_max == 50'000);
  budget.Note(0.5);
  CHECK(one.Look().bounds.bytes_max == 100'000);
}

TEST_CASE("a cache of another size samples anew, and its advice is right again", "[advisor]") {
  const test::ManualClock clock;
  Numbers cache{Of(200, Bounds{}.bytes_max), clock};
  Ask(cache, 20'000, clock);
  cache.SetBounds({.entries_max = kEntries * 4});
  CHECK_FALSE(cache.Look().advice.at(2).hit_ratio);  // nothing was sampled yet
  Ask(cache, 100'000, clock);
  for (const Advice& advice : cache.Look().advice) {
    REQUIRE(advice.hit_ratio);
    CHECK(*advice.hit_ratio > 0.5);
    CHECK(*advice.hit_ratio <= 1);
  }
  cache.SetPart(0.5);  // for a while only: the sample stays
  CHECK(cache.Look().advice.at(1).hit_ratio);
}

TEST_CASE("while memory is short caches shrink to a sixteenth, and then grow again", "[budget]") {
  const test::ManualClock clock;
  Numbers cache{Of(1'600, 1'600'000), clock};
  for (std::uint64_t key = 0; key < 1'600; ++key) cache.Put(key, key, clock.Now());
  Budget budget{{&cache}, 0};
  budget.Note(0.85);
  CHECK(cache.Look().entries == 1'600);
  budget.Note(0.95);
  CHECK(cache.Look().entries == 800);
  for (int second = 0; second < 10; ++second) budget.Note(1);
  CHECK(cache.Look().entries == 100);
  CHECK(cache.Look().bounds.bytes_max == 100'000);
  CHECK(budget.Stats().part == 1.0 / 16);
  CHECK(budget.Stats().shrinks == 4);
  budget.Note(0.85);  // neither short nor eased
  CHECK(cache.Look().bounds.entries_max == 100);
  for (int second = 0; second < 10; ++second) budget.Note(0.5);
  CHECK(cache.Look().bounds.entries_max == 1'600);
  CHECK(cache.Look().bounds.bytes_max == 1'600'000);
  CHECK(budget.Stats().part == 1);
}

TEST_CASE("a budget that watches memory notes what it is told", "[budget]") {
  const test::ManualClock clock;
  Numbers cache{Of(1'600, 1'600'000), clock};
  Budget budget{{&cache}, 0};
  std::promise<void> asked;
  bool first = true;
  budget.Watch([&]() -> std::optional<double> {
    if (std::exchange(first, false)) asked.set_value();
    return std::nullopt;
  });
  CHECK(asked.get_future().wait_for(std::chrono::seconds{20}) == std::future_status::ready);
  CHECK(budget.Stats().part == 1);
}

TEST_CASE("memory in use is what cannot be given back, of the group or of the machine", "[budget]") {
  using health::ParseGroup;
  using health::ParseMachine;
  const auto machine = ParseMachine("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:     250 kB\n");
  REQUIRE(machine);
  CHECK(machine->used == 750 * 1'024);
  CHECK(machine->max == 1'000 * 1'024);
  CHECK(machine->part() == 0.75);
  CHECK_FALSE(ParseMachine(""));
  CHECK_FALSE(ParseMachine("MemTotal: 1000 kB\n"));

  const auto group = ParseGroup("1000\n", "700\n", "anon 500\ninactive_file 200\nactive_file 0\n");
  REQUIRE(group);
  CHECK(group->part() == 0.5);
  CHECK_FALSE(ParseGroup("max\n", "700\n", ""));
  CHECK_FALSE(ParseGroup("", "", ""));
  CHECK(ParseGroup("1000", "100", "inactive_file 200\n")->used == 0);

  const auto real = health::ReadMemoryUse();
  REQUIRE(real);
  CHECK(real->part() > 0);
  CHECK(real->part() < 1);
}

}  // namespace gathering::cache
