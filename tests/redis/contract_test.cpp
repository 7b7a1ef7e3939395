// What a store promises, whether it lies in this process or in Redis: the same facts, two stores.
#include <catch2/catch.hpp>

#include <set>

#include "core/limits/store.h"
#include "tests/support/manual_clock.h"
#include "tests/support/redis_driver.h"
#include "tests/support/redis_server.h"

namespace gathering::limits {
namespace {

using namespace std::chrono_literals;
using test::MakeTier;
using TierPointer = std::shared_ptr<const Tier>;

class InMemory {
 public:
  Decision Take(const TierPointer& tier, std::string_view subject, std::uint32_t cost = 1) {
    return store_.Take(*tier, subject, cost, clock_.Now());
  }
  void Pass(std::chrono::milliseconds time) { clock_.Advance(time); }

  static constexpr std::chrono::milliseconds kSlack{0};  // time that passes unasked

 private:
  test::ManualClock clock_;
  Store store_;
};

// By the server's clock, so time really passes.
class InRedis {
 public:
  InRedis() { driver_.UntilUsed(); }

  Decision Take(const TierPointer& tier, std::string_view subject, std::uint32_t cost = 1) {
    const Decision decision = driver_.Take(tier, subject, cost);
    REQUIRE(decision.by == DecidedBy::kShared);
    return decision;
  }
  void Pass(std::chrono::milliseconds time) {
    const auto until = driver_.now() + time;
    driver_.Until([&] { return driver_.now() >= until; });
  }

  static constexpr std::chrono::milliseconds kSlack{300};

 private:
  test::RedisServer server_;
  test::RedisDriver driver_{server_.Url(), {.deadline = 5s, .probe_timeout = 8s}};
};

bool Near(std::chrono::nanoseconds value, std::chrono::nanoseconds expected, std::chrono::nanoseconds slack) {
  return value <= expected && value >= expected - slack;
}

}  // namespace

TEMPLATE_TEST_CASE("the sixth request of a minute is refused and told when to come back", "", InMemory,
                   InRedis) {
  TestType store;
  const auto tier = MakeTier("auth", "5/minute");
  for (int i = 4; i >= 0; --i) {
    const Decision decision = store.Take(tier, "ada");
    CHECK(decision.allowed);
    CHECK(decision.limit == 5);
    CHECK(decision.remaining == i);
    CHECK(decision.retry_after == 0s);
    CHECK(Near(decision.reset_after, (5 - i) * 12s, TestType::kSlack));
  }
  for (int i = 0; i < 10; ++i) {
    const Decision refused = store.Take(tier, "ada");
    CHECK_FALSE(refused.allowed);
    CHECK(refused.remaining == 0);
    CHECK(Near(refused.retry_after, 12s, TestType::kSlack));
    CHECK(Near(refused.reset_after, 60s, TestType::kSlack));
  }
  CHECK(store.Take(tier, "bob").allowed);
  CHECK(store.Take(MakeTier("write", "5/minute"), "ada").remaining == 4);
}

TEMPLATE_TEST_CASE("after exactly the time told the next request is admitted, and only one", "", InMemory,
                   InRedis) {
  TestType store;
  const auto tier = MakeTier("auth", "2/second");
  CHECK(store.Take(tier, "ada").allowed);
  CHECK(store.Take(tier, "ada").allowed);
  const Decision refused = store.Take(tier, "ada");
  REQUIRE_FALSE(refused.allowed);
  store.Pass(std::chrono::ceil<std::chrono::milliseconds>(refused.retry_after));
  CHECK(store.Take(tier, "ada").allowed);
  CHECK_FALSE(store.Take(tier, "ada").allowed);
}

TEMPLATE_TEST_CASE("a fixed window admits its count until it ends, then anew", "", InMemory, InRedis) {
  TestType store;
  const auto tier = MakeTier("auth", "3/second", Algorithm::kFixedWindow);
  for (int i = 2; i >= 0; --i) {
    const Decision decision = store.Take(tier, "ada");
    CHECK(decision.allowed);
    CHECK(decision.remaining == i);
  }
  const Decision refused = store.Take(tier, "ada");
  CHECK_FALSE(refused.allowed);
  CHECK(refused.limit == 3);
  CHECK(refused.retry_after == refused.reset_after);
  CHECK(Near(refused.retry_after, 1s, TestType::kSlack));
  store.Pass(std::chrono::ceil<std::chrono::milliseconds>(refused.retry_after));
  const Decision first = store.Take(tier, "ada");
  CHECK(first.allowed);
  CHECK(first.remaining == 2);
  CHECK(Near(first.reset_after, 1s, TestType::kSlack));
}

TEMPLATE_TEST_CASE("several rates are taken from all or from none, and the telling one is told", "", InMemory,
                   InRedis) {
  TestType store;
  const auto tier = MakeTier("write", "20/minute;4/10minutes");
  CHECK(store.Take(tier, "ada", 3).limit == 4);
  for (int i = 0; i < 10; ++i) {
    const Decision refused = store.Take(tier, "ada", 2);
    CHECK_FALSE(refused.allowed);
    CHECK(refused.rate == 0);
    CHECK(refused.limit == 4);
    CHECK(refused.remaining == 1);
    CHECK(Near(refused.retry_after, 150s, TestType::kSlack));
  }
  // Had the refusals been taken from the 20 a minute, nothing would be left of these.
  const Decision last = store.Take(tier, "ada", 1);
  CHECK(last.allowed);
  CHECK(last.remaining == 0);
  CHECK(last.limit == 4);
}

TEMPLATE_TEST_CASE("a request may cost more than one, and one beyond the burst costs the burst", "", InMemory,
                   InRedis) {
  TestType store;
  for (const Algorithm algorithm : {Algorithm::kGcra, Algorithm::kFixedWindow}) {
    const auto tier = MakeTier(fmt::format("cost {}", static_cast<int>(algorithm)), "10/minute", algorithm);
    CHECK(store.Take(tier, "ada", 7).remaining == 3);
    CHECK_FALSE(store.Take(tier, "ada", 4).allowed);
    CHECK(store.Take(tier, "ada", 3).remaining == 0);
    CHECK(store.Take(tier, "bob", 1'000'000).allowed);
    CHECK_FALSE(store.Take(tier, "bob", 1).allowed);
    CHECK(store.Take(tier, "cleo", 0).remaining == 10);
  }
}

TEMPLATE_TEST_CASE("a changed limit keeps what was spent, in requests", "", InMemory, InRedis) {
  TestType store;
  for (int i = 0; i < 5; ++i) CHECK(store.Take(MakeTier("auth", "5/minute"), "ada").allowed);
  CHECK(store.Take(MakeTier("auth", "8/minute"), "ada").remaining == 2);
  CHECK(Near(store.Take(MakeTier("auth", "3/minute"), "ada").retry_after, 20s, TestType::kSlack));
  CHECK(store.Take(MakeTier("auth", "8/minute"), "ada").remaining == 1);
  CHECK_FALSE(store.Take(MakeTier("auth", "7/hour"), "ada").allowed);
  CHECK(store.Take(MakeTier("auth", "9/minute", Algorithm::kFixedWindow), "ada").remaining == 1);
  CHECK(store.Take(MakeTier("auth", "10/minute"), "ada").remaining == 1);
  CHECK(store.Take(MakeTier("auth", "12/minute;100/hour"), "ada").allowed);
}

TEMPLATE_TEST_CASE("a rate that does not divide its time admits its count", "", InMemory, InRedis) {
  TestType store;
  for (const char* limit : {"7/minute", "13/hour", "999/day", "3/10years", "1000000/day"}) {
    const auto tier = MakeTier(limit, limit);
    const std::int64_t count = tier->quotas()[0].burst;
    CHECK(store.Take(tier, "ada", static_cast<std::uint32_t>(count - 2)).allowed);
    CHECK(store.Take(tier, "ada").allowed);
    CHECK(store.Take(tier, "ada").allowed);
    if (count < 1'000) CHECK_FALSE(store.Take(tier, "ada").allowed);
  }
}

TEMPLATE_TEST_CASE("any bytes name a subject", "", InMemory, InRedis) {
  TestType store;
  const auto tier = MakeTier("auth", "1/minute");
  const std::set<std::string> subjects{"",
                                       "}",
                                       "{",
                                       "{}",
                                       "\r\n",
                                       std::string{"\0", 1},
                                       std::string{"\0\0", 2},
                                       "\xff",
                                       "ada",
                                       "ada ",
                                       std::string(100'000, 'x')};
  for (const std::string& subject : subjects) CHECK(store.Take(tier, subject).allowed);
  for (const std::string& subject : subjects) CHECK_FALSE(store.Take(tier, subject).allowed);
}

}  // namespace gathering::limits
