#include <catch2/catch.hpp>

#include <thread>

#include "core/limits/lockout.h"
#include "tests/support/manual_clock.h"

namespace gathering::limits {
namespace {

using namespace std::chrono_literals;
using test::ManualClock;

}  // namespace

TEST_CASE("the wait doubles from a second to a quarter of an hour") {
  const LockoutPolicy policy;
  CHECK(policy.WaitAfter(0) == 0s);
  CHECK(policy.WaitAfter(4) == 0s);
  CHECK(policy.WaitAfter(5) == 1s);
  CHECK(policy.WaitAfter(6) == 2s);
  CHECK(policy.WaitAfter(14) == 512s);
  CHECK(policy.WaitAfter(15) == 900s);
  CHECK(policy.WaitAfter(4'000'000'000U) == 900s);
}

TEST_CASE("after five failures an account waits exactly as long as it is told") {
  ManualClock clock;
  Lockout lockout;
  for (std::uint32_t i = 1; i <= 5; ++i) CHECK(lockout.Try("ada", clock.Now()).failures == i);
  for (int i = 0; i < 100; ++i) {
    const LockoutAnswer refused = lockout.Try("ada", clock.Now());
    CHECK_FALSE(refused.allowed);
    CHECK(refused.retry_after == 1s);
  }
  CHECK(lockout.Try("bob", clock.Now()).allowed);
  clock.Advance(1s - 1us);
  CHECK_FALSE(lockout.Try("ada", clock.Now()).allowed);
  clock.Advance(1us);
  CHECK(lockout.Try("ada", clock.Now()).failures == 6);
  CHECK(lockout.Try("ada", clock.Now()).retry_after == 2s);
}

TEST_CASE("what is tried at once counts before it is known to have failed") {
  ManualClock clock;
  Lockout lockout;
  int let_through = 0;
  for (int i = 0; i < 1'000; ++i) let_through += lockout.Try("ada", clock.Now()).allowed ? 1 : 0;
  CHECK(let_through == 5);
}

TEST_CASE("a success, an undone try and a quiet time take failures back") {
  ManualClock clock;
  Lockout lockout;
  for (int i = 0; i < 5; ++i) static_cast<void>(lockout.Try("ada", clock.Now()));
  SECTION("a success takes all") {
    lockout.Forget("ada", clock.Now());
    CHECK(lockout.Try("ada", clock.Now()).failures == 1);
  }
  SECTION("an undone try takes one") {
    lockout.Undo("ada", clock.Now());
    CHECK(lockout.Try("ada", clock.Now()).failures == 5);
    CHECK_FALSE(lockout.Try("ada", clock.Now()).allowed);
  }
  SECTION("quiet after the wait takes all, and not a moment before") {
    clock.Advance(901s - 1us);
    CHECK(lockout.Stats(clock.Now()).accounts == 1);
    clock.Advance(1us);
    CHECK(lockout.Stats(clock.Now()).accounts == 0);
    CHECK(lockout.Try("ada", clock.Now()).failures == 1);
  }
  SECTION("what is not known needs nothing") {
    lockout.Forget("nobody", clock.Now());
    lockout.Undo("nobody", clock.Now());
    CHECK(lockout.Stats(clock.Now()).accounts == 1);
  }
}

TEST_CASE("a million made-up names neither end a wait nor need more memory") {
  ManualClock clock;
  Lockout lockout{{.policy = {}, .accounts_max = 1'000}};
  const std::uint64_t bytes = lockout.Stats(clock.Now()).bytes;
  for (int i = 0; i < 5; ++i) static_cast<void>(lockout.Try("ada", clock.Now()));
  for (int i = 0; i < 1'000'000; ++i)
    static_cast<void>(lockout.Try("name " + std::to_string(i), clock.Now()));
  CHECK_FALSE(lockout.Try("ada", clock.Now()).allowed);
  const LockoutStats stats = lockout.Stats(clock.Now());
  CHECK(stats.bytes == bytes);
  CHECK(stats.accounts <= bytes / 32);
  CHECK(stats.evicted > 900'000);
}

TEST_CASE("when every place belongs to somebody who waits a newcomer is let through and counted as such") {
  ManualClock clock;
  Lockout lockout{{.policy = {.free = 1}, .accounts_max = 1}};
  for (int i = 0; i < 10'000; ++i) CHECK(lockout.Try("name " + std::to_string(i), clock.Now()).allowed);
  CHECK(lockout.Stats(clock.Now()).uncounted > 1'000);
  CHECK(lockout.Stats(clock.Now()).evicted == 0);
}

TEST_CASE("what another instance counted is known here") {
  ManualClock clock;
  Lockout lockout;
  lockout.Learn("ada", {.allowed = true, .failures = 7}, clock.Now());
  CHECK(lockout.Try("ada", clock.Now()).retry_after == 4s);
  lockout.Learn("ada", {.allowed = false, .failures = 8, .retry_after = 3s}, clock.Now());
  CHECK(lockout.Try("ada", clock.Now()).retry_after == 3s);
}

TEST_CASE("threads are let through as often as one would be") {
  ManualClock clock;
  Lockout lockout;
  std::atomic<int> let_through{0};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) let_through += lockout.Try("ada", clock.Now()).allowed ? 1 : 0;
      });
    }
  }
  CHECK(let_through == 5);
}

}  // namespace gathering::limits
