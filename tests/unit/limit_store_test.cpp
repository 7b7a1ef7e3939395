#include <catch2/catch.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "core/limits/store.h"
#include "tests/support/manual_clock.h"

namespace gathering::limits {
namespace {

using namespace std::chrono_literals;
using test::ManualClock;

Tier MakeTier(std::string name, std::string_view limit, Algorithm algorithm = Algorithm::kGcra) {
  return Tier{{.name = std::move(name), .limit = ParseLimit(limit), .algorithm = algorithm}};
}

std::string Subject(std::uint64_t number) {
  return fmt::format("ip:10.{}.{}.{}", number >> 16, (number >> 8) & 255, number & 255);
}

}  // namespace

TEST_CASE("a million addresses leave memory at its bound and a limited key limited") {
  ManualClock clock;
  Store store{{.keys_max = 10'000}};
  const Tier tier = MakeTier("auth", "5/minute");
  const std::uint64_t bytes = store.Stats(clock.Now()).bytes;
  for (int i = 0; i < 5; ++i) CHECK(store.Take(tier, "mallory", 1, clock.Now()).allowed);
  for (std::uint64_t i = 0; i < 1'000'000; ++i) store.Take(tier, Subject(i), 1, clock.Now());
  const StoreStats stats = store.Stats(clock.Now());
  CHECK(stats.bytes == bytes);
  CHECK(stats.keys <= bytes / Store::kSlotBytes);
  CHECK(stats.keys >= 10'000);
  CHECK(stats.evictions == 0);
  CHECK(stats.overflow_allowed + stats.overflow_limited > 980'000);
  const Decision mallory = store.Take(tier, "mallory", 1, clock.Now());
  CHECK_FALSE(mallory.allowed);
  CHECK(mallory.by == DecidedBy::kLocal);
  CHECK(mallory.retry_after == 12s);
}

TEST_CASE("a key of the store costs 44 bytes") {
  const Store store{{.keys_max = 100'000}};
  const double bytes = static_cast<double>(store.Stats({}).bytes);
  CHECK(bytes / 100'000 == Approx(44).margin(0.5));
}

TEST_CASE("of as many keys as the store promises to take hardly one in a thousand has to share") {
  ManualClock clock;
  for (const std::uint32_t keys : {1'000U, 100'000U}) {
    Store store{{.keys_max = keys}};
    const Tier tier = MakeTier("read", "5/minute");
    for (std::uint64_t i = 0; i < keys; ++i) store.Take(tier, Subject(i), 1, clock.Now());
    const StoreStats stats = store.Stats(clock.Now());
    CHECK(stats.keys + stats.overflow_allowed + stats.overflow_limited >= keys);
    CHECK(stats.overflow_allowed + stats.overflow_limited <= keys / 200);
  }
}

TEST_CASE("newcomers who find no room share what the tier gives one client, once for each shard") {
  ManualClock clock;
  Store store{{.keys_max = 8'192, .shards = 4}};
  const Tier tier = MakeTier("auth", "5/minute");
  for (std::uint64_t i = 0; i < 50'000; ++i) store.Take(tier, Subject(i), 1, clock.Now());
  CHECK(store.Stats(clock.Now()).overflow_allowed == 4 * 5);
  SECTION("and tiers do not share with each other") {
    const Tier other = MakeTier("write", "7/minute");
    for (std::uint64_t i = 0; i < 10'000; ++i) store.Take(other, Subject(i), 1, clock.Now());
    CHECK(store.Stats(clock.Now()).overflow_allowed == 4 * 5 + 4 * 7);
  }
  SECTION("and get places of their own when others' buckets are full again") {
    clock.Advance(60s);
    CHECK(store.Stats(clock.Now()).keys == 0);
    const Decision decision = store.Take(tier, "somebody", 1, clock.Now());
    CHECK(decision.by == DecidedBy::kLocal);
    CHECK(decision.remaining == 4);
    CHECK(store.Stats(clock.Now()).evictions == 1);
  }
  SECTION("and more tiers than there are places still share fairly") {
    for (int i = 0; i < 100; ++i) {
      const Tier many = MakeTier(fmt::format("tier {}", i), "5/minute");
      for (std::uint64_t j = 0; j < 100; ++j) store.Take(many, Subject(j), 1, clock.Now());
    }
    CHECK(store.Stats(clock.Now()).overflow_allowed <= 4 * 5 * 33);
  }
}

TEST_CASE("tiers and subjects do not touch each other") {
  ManualClock clock;
  Store store;
  const Tier auth = MakeTier("auth", "1/minute");
  const Tier write = MakeTier("write", "1/minute");
  CHECK(store.Take(auth, "ada", 1, clock.Now()).allowed);
  CHECK_FALSE(store.Take(auth, "ada", 1, clock.Now()).allowed);
  CHECK(store.Take(write, "ada", 1, clock.Now()).allowed);
  CHECK(store.Take(auth, "bob", 1, clock.Now()).allowed);
  CHECK(store.Take(auth, std::string(1'000'000, 'x'), 1, clock.Now()).allowed);
  CHECK(store.Take(auth, std::string_view{"\0", 1}, 1, clock.Now()).allowed);
  CHECK(store.Take(auth, "", 1, clock.Now()).allowed);
}

TEST_CASE("a limit of several rates takes from all of them or from none") {
  ManualClock clock;
  Store store;
  const Tier tier = MakeTier("write", "2/second;3/minute");
  CHECK(store.Take(tier, "ada", 1, clock.Now()).allowed);
  CHECK(store.Take(tier, "ada", 1, clock.Now()).allowed);
  const Decision by_second = store.Take(tier, "ada", 1, clock.Now());
  CHECK_FALSE(by_second.allowed);
  CHECK(by_second.limit == 2);
  CHECK(by_second.rate == 1);
  CHECK(by_second.retry_after == 500ms);
  clock.Advance(1s);
  const Decision third = store.Take(tier, "ada", 1, clock.Now());
  CHECK(third.allowed);
  CHECK(third.limit == 3);  // the one with least left is told
  CHECK(third.remaining == 0);
  const Decision by_minute = store.Take(tier, "ada", 1, clock.Now());
  CHECK_FALSE(by_minute.allowed);
  CHECK(by_minute.limit == 3);
  CHECK(by_minute.rate == 0);
  CHECK(by_minute.retry_after == 19s);
  // Many refusals took nothing from the seconds either.
  for (int i = 0; i < 50; ++i) store.Take(tier, "ada", 1, clock.Now());
  clock.Advance(19s);
  CHECK(store.Take(tier, "ada", 1, clock.Now()).allowed);
}

TEST_CASE("several rates of many keys keep their places apart") {
  ManualClock clock;
  Store store{{.keys_max = 64, .shards = 1}};
  const Tier tier = MakeTier("write", "2/second;3/minute;4/hour;5/day");
  for (int round = 0; round < 200; ++round) {
    clock.Advance(1h);
    for (std::uint64_t i = 0; i < 10; ++i) {
      const Decision decision =
          store.Take(tier, Subject(static_cast<std::uint64_t>(round) * 7 + i), 1, clock.Now());
      if (decision.by == DecidedBy::kLocal && decision.allowed) CHECK(decision.remaining <= 1);
    }
  }
}

TEST_CASE("counters outlive a change of their tier's limit") {
  ManualClock clock;
  Store store;
  for (int i = 0; i < 5; ++i) store.Take(MakeTier("auth", "5/minute"), "ada", 1, clock.Now());
  CHECK(store.Take(MakeTier("auth", "8/minute"), "ada", 1, clock.Now()).remaining == 2);
  CHECK_FALSE(store.Take(MakeTier("auth", "5/hour"), "ada", 1, clock.Now()).allowed);
  CHECK_FALSE(store.Take(MakeTier("auth", "5/hour", Algorithm::kFixedWindow), "ada", 1, clock.Now()).allowed);
  CHECK_FALSE(store.Take(MakeTier("auth", "5/hour;10/second"), "ada", 1, clock.Now()).allowed);
}

TEST_CASE("what the shared store knows is taken over") {
  ManualClock clock;
  Store store;
  const Tier tier = MakeTier("read", "10/minute");
  const Store::Key key = store.KeyOf(tier, "ada");
  const Quotas half = tier.quotas().Divided(2, false);
  // 6 of 10 are spent there, so 3 of 5 here.
  store.Adopt(key, half, 2, {{{.ahead_ns = 36'000'000'000}}}, clock.Now());
  CHECK(store.Take(key, half, 1, clock.Now()).remaining == 1);
  store.Adopt(key, half, 2, {{{.ahead_ns = 60'000'000'000}}}, clock.Now());
  CHECK(store.Take(key, half, 1, clock.Now()).retry_after == 12s);
  store.Adopt(key, half, 2, {}, clock.Now());
  CHECK(store.Take(key, half, 1, clock.Now()).remaining == 4);
  SECTION("but not over what is owed") {
    for (int i = 0; i < 4; ++i) store.Take(key, half, 1, clock.Now(), true);
    store.Adopt(key, half, 2, {}, clock.Now());
    CHECK_FALSE(store.Take(key, half, 1, clock.Now()).allowed);
  }
  SECTION("also of a window") {
    const Tier window = MakeTier("window", "10/minute", Algorithm::kFixedWindow);
    const Store::Key other = store.KeyOf(window, "ada");
    const Quotas part = window.quotas().Divided(2, false);
    store.Adopt(other, part, 2, {{{.ahead_ns = 20'000'000'000, .count = 7}}}, clock.Now());
    CHECK(store.Take(other, part, 1, clock.Now()).remaining == 0);
    CHECK(store.Take(other, part, 1, clock.Now()).retry_after == 20s);
  }
}

TEST_CASE("debts are what was admitted here, never more than is still spent, and are told once") {
  ManualClock clock;
  Store store;
  const Tier tier = MakeTier("read", "5/minute");
  const Store::Key key = store.KeyOf(tier, "ada");
  for (int i = 0; i < 2; ++i) store.Take(key, tier.quotas(), 1, clock.Now());
  for (int i = 0; i < 5; ++i) store.Take(key, tier.quotas(), 1, clock.Now(), true);
  SECTION("only what was admitted is owed") {
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].count == 3);
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].count == 0);
    store.ReturnDebts(key, tier.quotas(), {{{.count = 3}}}, clock.Now());
    store.ForgiveDebts(key, tier.quotas(), 1, clock.Now());
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].count == 2);
    store.ForgiveDebts(key, tier.quotas(), 1, clock.Now());
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].count == 0);
  }
  SECTION("what was refilled meanwhile is not owed any more") {
    clock.Advance(36s);
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].count == 2);
  }
  SECTION("when the shared store lost its memory it is told how far each bucket was ahead") {
    CHECK_FALSE(store.NoteSharedMemory(17, clock.Now()));
    CHECK_FALSE(store.NoteSharedMemory(17, clock.Now()));
    CHECK(store.NoteSharedMemory(18, clock.Now()));
    clock.Advance(6s);
    const Debts debts = store.CollectDebts(key, tier.quotas(), clock.Now());
    CHECK(debts[0].count == 0);
    CHECK(debts[0].ahead_ns == 54'000'000'000);
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].ahead_ns == 0);
    store.ReturnDebts(key, tier.quotas(), debts, clock.Now());
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].ahead_ns == 54'000'000'000);
  }
  SECTION("a bucket that is full again owes nothing") {
    clock.Advance(60s);
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].count == 0);
    store.Take(key, tier.quotas(), 1, clock.Now());
    CHECK(store.CollectDebts(key, tier.quotas(), clock.Now())[0].count == 0);
  }
}

TEST_CASE("threads together are admitted exactly what the limit says") {
  ManualClock clock;
  Store store{{.keys_max = 1'000}};
  const Tier tier = MakeTier("read", "1000/hour;5000/day");
  std::atomic<int> admitted{0};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 1'000; ++i) {
          if (store.Take(tier, "ada", 1, clock.Now()).allowed) ++admitted;
          store.Take(tier, Subject(static_cast<std::uint64_t>(thread * 1'000 + i)), 1, clock.Now());
          if (i % 100 == 0) static_cast<void>(store.Stats(clock.Now()));
        }
      });
    }
  }
  CHECK(admitted == 1'000);
}

}  // namespace gathering::limits
