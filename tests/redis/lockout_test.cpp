// Accounts back off the same on all instances.
#include <catch2/catch.hpp>

#include "tests/support/redis_driver.h"
#include "tests/support/redis_server.h"

namespace gathering::limits {
namespace {

using namespace std::chrono_literals;
using test::RedisDriver;
using test::RedisServer;

RedisLimiterOptions Patient() {
  return {.deadline = 5s, .probe_timeout = 8s};
}

}  // namespace

TEST_CASE("failures of an account count on all instances together") {
  RedisServer server;
  RedisDriver first{server.Url(), Patient()};
  RedisDriver second{server.Url(), Patient()};
  first.UntilUsed();
  second.UntilUsed();
  for (std::uint32_t i = 1; i <= 5; ++i) {
    const LockoutAnswer answer = (i % 2 == 0 ? first : second).Try("ada");
    CHECK(answer.allowed);
    CHECK(answer.failures == i);
  }
  const LockoutAnswer refused = first.Try("ada");
  CHECK_FALSE(refused.allowed);
  CHECK(refused.failures == 5);
  CHECK(refused.retry_after <= 1s);
  CHECK(refused.retry_after > 0s);
  CHECK_FALSE(second.Try("ada").allowed);
  CHECK(second.Try("bob").allowed);
  SECTION("after the wait there is one more try, and then twice the wait") {
    const auto at = first.now() + 1s;
    first.Until([&] { return first.now() >= at; });
    CHECK(second.Try("ada").failures == 6);
    const LockoutAnswer again = first.Try("ada");
    CHECK_FALSE(again.allowed);
    CHECK(again.retry_after > 1s);
    CHECK(again.retry_after <= 2s);
  }
  SECTION("a success on one instance forgets them for all") {
    first.limiter().Forget("ada");
    first.Until([&] { return first.stats().in_flight == 0; });
    CHECK(second.Try("ada").failures == 1);
  }
  SECTION("a try that could not be checked is given back") {
    first.limiter().Undo("ada");
    first.Until([&] { return first.stats().in_flight == 0; });
    CHECK(second.Try("ada").failures == 5);
  }
  SECTION("and on each alone when Redis is gone") {
    server.Kill();
    first.Until([&] { return first.stats().breaker == BreakerState::kNoServer; });
    CHECK_FALSE(first.Try("ada").allowed);
    for (int i = 0; i < 5; ++i) CHECK(first.Try("cleo").allowed);
    CHECK_FALSE(first.Try("cleo").allowed);
  }
}

TEST_CASE("many tries at once are no more than the same ones one after the other") {
  RedisServer server;
  RedisDriver driver{server.Url(), Patient()};
  driver.UntilUsed();
  std::vector<RedisDriver::Tried> tried(200);
  for (auto& one : tried) REQUIRE_FALSE(driver.limiter().Try("ada", one));
  driver.UntilDecided(tried);
  CHECK(std::count_if(tried.begin(), tried.end(), [](const auto& one) { return one.answer.allowed; }) == 5);
}

}  // namespace gathering::limits
