// What two instances on one Redis admit together while it suffers everything that can happen to it.
#include <catch2/catch.hpp>

#include <csignal>

#include "tests/support/redis_driver.h"
#include "tests/support/redis_server.h"

namespace gathering::limits {
namespace {

using namespace std::chrono_literals;
using test::MakeTier;
using test::RedisDriver;
using test::RedisServer;
using TierPointer = std::shared_ptr<const Tier>;

struct Tally {
  std::int64_t admitted = 0;
  std::int64_t refused = 0;
  std::int64_t shared = 0;
  Clock::Steady::duration longest{};
};

// One instance that asks for a tier as fast as it is answered.
class Hammer {
 public:
  Hammer(RedisDriver& driver, TierPointer tier) : driver_(driver), tier_(std::move(tier)) {}
  ~Hammer() { driver_.limiter().GiveUp(asked_); }
  Hammer(const Hammer&) = delete;
  Hammer& operator=(const Hammer&) = delete;

  void Strike() {
    for (int i = 0; i < kStrikes; ++i) {
      if (asking_ && !asked_.decided) return;
      if (asking_) Count();
      driver_.Ask(tier_, "mallory", 1, asked_);
      asking_ = true;
    }
  }
  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  static constexpr int kStrikes = 5;  // a turn

  void Count() {
    ++(asked_.decision.allowed ? tally_.admitted : tally_.refused);
    if (asked_.decision.by == DecidedBy::kShared) ++tally_.shared;
    tally_.longest = std::max(tally_.longest, driver_.now() - asked_.asked_at);
  }

  RedisDriver& driver_;
  const TierPointer tier_;
  RedisDriver::Asked asked_;
  bool asking_ = false;
  Tally tally_;
};

constexpr auto kHammering = 4s;
constexpr std::int64_t kFastRate = 50;  // a second
constexpr std::int64_t kSlowRate = 2;

// Two instances, each hammering with one client who is limited by both a fast and a slow limit.
class Pair {
 public:
  explicit Pair(const std::string& url) : first_(url), second_(url) {
    Until([&] {
      return first_.stats().breaker == BreakerState::kClosed &&
             second_.stats().breaker == BreakerState::kClosed && first_.stats().instances == 2 &&
             second_.stats().instances == 2;
    });
  }

  void Until(const std::function<bool()>& done) {
    const auto give_up_at = first_.now() + 15s;
    while (!done()) {
      REQUIRE(first_.now() < give_up_at);
      Turn();
    }
  }

  // Calls `step(seconds passed)` all the time.
  void HammerWith(const std::function<void(double)>& step) {
    const auto begin = first_.now();
    while (first_.now() - begin < kHammering) {
      step(std::chrono::duration<double>(first_.now() - begin).count());
      for (Hammer& hammer : hammers_) hammer.Strike();
      Turn();
    }
    seconds_ = std::chrono::duration<double>(first_.now() - begin).count();
  }

  // Limit and burst together, and far from nothing.  A tenth of a burst more, because the instance that sees
  // Redis return first may spend what the other is about to tell it owes; that is taken off again later.
  void CheckBounds() const {
    const std::int64_t fast = hammers_[0].tally().admitted + hammers_[1].tally().admitted;
    const std::int64_t slow = hammers_[2].tally().admitted + hammers_[3].tally().admitted;
    const double fast_max = static_cast<double>(kFastRate) * seconds_ + 1.1 * static_cast<double>(kFastRate);
    const double slow_max =
        static_cast<double>(kSlowRate) * seconds_ + 1.1 * static_cast<double>(10 * kSlowRate);
    INFO("fast " << fast << " of " << fast_max << ", slow " << slow << " of " << slow_max);
    CHECK(static_cast<double>(fast) <= fast_max);
    CHECK(static_cast<double>(slow) <= slow_max);
    CHECK(static_cast<double>(fast) >= 0.6 * static_cast<double>(kFastRate) * seconds_);
    CHECK(static_cast<double>(slow) >= 0.5 * static_cast<double>(kSlowRate) * seconds_);
    for (const Hammer& hammer : hammers_) CHECK(hammer.tally().refused > 100);
  }
  [[nodiscard]] std::int64_t shared() const {
    std::int64_t sum = 0;
    for (const Hammer& hammer : hammers_) sum += hammer.tally().shared;
    return sum;
  }
  [[nodiscard]] Clock::Steady::duration longest() const {
    Clock::Steady::duration longest{};
    for (const Hammer& hammer : hammers_) longest = std::max(longest, hammer.tally().longest);
    return longest;
  }

  RedisDriver& first() { return first_; }
  RedisDriver& second() { return second_; }

 private:
  void Turn() {
    first_.Turn(1ms);
    second_.Turn(1ms);
  }

  RedisDriver first_;
  RedisDriver second_;
  const TierPointer fast_ = MakeTier("fast", fmt::format("{}/second", kFastRate));
  const TierPointer slow_ =
      MakeTier("slow", fmt::format("{}/10seconds", 10 * kSlowRate), Algorithm::kGcra, true);
  std::array<Hammer, 4> hammers_{Hammer{first_, fast_}, Hammer{second_, fast_}, Hammer{first_, slow_},
                                 Hammer{second_, slow_}};
  double seconds_ = 0;
};

// Does `what` once when `at` seconds have passed.
class At {
 public:
  At(double at, std::function<void()> what) : at_(at), what_(std::move(what)) {}
  void operator()(double seconds) {
    if (seconds < at_ || !what_) return;
    what_();
    what_ = nullptr;
  }

 private:
  double at_;
  std::function<void()> what_;
};

// How long it takes until Redis decides again for both.
std::chrono::milliseconds TimeUntilUsed(Pair& pair) {
  const auto begin = pair.first().now();
  pair.Until([&] {
    return pair.first().stats().breaker == BreakerState::kClosed &&
           pair.second().stats().breaker == BreakerState::kClosed;
  });
  return std::chrono::duration_cast<std::chrono::milliseconds>(pair.first().now() - begin);
}

}  // namespace

TEST_CASE("two instances on a Redis that is well admit limit and burst together") {
  RedisServer server;
  Pair pair{server.Url()};
  pair.HammerWith([](double) {});
  pair.CheckBounds();
  CHECK(pair.shared() > 1'000);
}

TEST_CASE("when Redis is killed each instance admits its part, and nothing waits") {
  RedisServer server;
  Pair pair{server.Url()};
  At kill{1.0, [&] { server.Kill(); }};
  pair.HammerWith(kill);
  pair.CheckBounds();
  CHECK(pair.first().stats().breaker == BreakerState::kNoServer);
  CHECK(pair.first().stats().local_allowed > 0);
  SECTION("and it is used again within two seconds of its return") {
    server.Start();
    CHECK(TimeUntilUsed(pair) < 2s);
  }
}

TEST_CASE("a Redis that is killed and comes back empty hands out no second burst") {
  RedisServer server;
  Pair pair{server.Url()};
  At kill{1.0, [&] { server.Kill(); }};
  At start{2.0, [&] { server.Start(); }};
  pair.HammerWith([&](double seconds) {
    kill(seconds);
    start(seconds);
  });
  pair.CheckBounds();
  CHECK(pair.first().stats().breaker == BreakerState::kClosed);
  CHECK(pair.first().stats().memory_lost == 1);
  CHECK(pair.second().stats().memory_lost == 1);
}

TEST_CASE("when Redis is stopped decisions take a deadline at most, then nothing waits") {
  RedisServer server;
  Pair pair{server.Url()};
  At stop{1.0, [&] { server.Stop(); }};
  At go_on{2.5, [&] { server.Continue(); }};
  pair.HammerWith([&](double seconds) {
    stop(seconds);
    go_on(seconds);
  });
  pair.CheckBounds();
  // Twenty milliseconds where nobody else needs the processor.
  CHECK(pair.longest() < 500ms);
  CHECK(pair.first().stats().timeouts <= 4 * RedisLimiterOptions{}.failures_max);
  CHECK(TimeUntilUsed(pair) < 2s);
}

TEST_CASE("a Redis that stays stopped is left and found again within two seconds") {
  RedisServer server;
  Pair pair{server.Url()};
  server.Stop();
  pair.Until([&] { return pair.first().stats().disconnects >= 3; });
  server.Continue();
  CHECK(TimeUntilUsed(pair) < 2s);
}

TEST_CASE("a Redis that is too slow is not waited for") {
  RedisServer server;
  test::SlowProxy proxy{server.socket()};
  Pair pair{proxy.Url()};
  At slow{1.0, [&] { proxy.SetDelay(60ms); }};
  At quick{2.5, [&] { proxy.SetDelay(0ms); }};
  pair.HammerWith([&](double seconds) {
    slow(seconds);
    quick(seconds);
  });
  pair.CheckBounds();
  CHECK(pair.first().stats().opened >= 1);
  CHECK(pair.first().stats().late > 0);
  CHECK(TimeUntilUsed(pair) < 2s);
}

TEST_CASE("a Redis that pauses its clients is not waited for") {
  RedisServer server;
  Pair pair{server.Url()};
  At pause{1.0, [&] { server.Command({"CLIENT", "PAUSE", "1500", "ALL"}); }};
  pair.HammerWith(pause);
  pair.CheckBounds();
  CHECK(TimeUntilUsed(pair) < 2s);
}

TEST_CASE("a Redis that is out of memory is replaced until it has some") {
  RedisServer server;
  Pair pair{server.Url()};
  At full{1.0, [&] {
            server.Command({"CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"});
          }};
  At room{2.5, [&] { server.Command({"CONFIG", "SET", "maxmemory", "0"}); }};
  pair.HammerWith([&](double seconds) {
    full(seconds);
    room(seconds);
  });
  pair.CheckBounds();
  CHECK(pair.first().stats().errors > 0);
  CHECK(pair.first().stats().opened >= 1);
  CHECK(TimeUntilUsed(pair) < 2s);
}

TEST_CASE("a Redis that became a replica and takes no writes is replaced until it does") {
  RedisServer server;
  Pair pair{server.Url()};
  At replica{1.0, [&] { server.Command({"REPLICAOF", "127.0.0.1", "1"}); }};
  At primary{2.5, [&] { server.Command({"REPLICAOF", "NO", "ONE"}); }};
  pair.HammerWith([&](double seconds) {
    replica(seconds);
    primary(seconds);
  });
  pair.CheckBounds();
  CHECK(pair.first().stats().errors > 0);
  CHECK(TimeUntilUsed(pair) < 2s);
}

TEST_CASE("a Redis without the replicas it needs for writes is replaced") {
  RedisServer server;
  Pair pair{server.Url()};
  At lonely{1.0, [&] { server.Command({"CONFIG", "SET", "min-replicas-to-write", "1"}); }};
  At content{2.5, [&] { server.Command({"CONFIG", "SET", "min-replicas-to-write", "0"}); }};
  pair.HammerWith([&](double seconds) {
    lonely(seconds);
    content(seconds);
  });
  pair.CheckBounds();
  CHECK(pair.first().stats().errors > 0);
  CHECK(TimeUntilUsed(pair) < 2s);
}

TEST_CASE("a Redis that comes and goes hands out no burst each time") {
  SECTION("stopped and continued") {
    RedisServer server;
    Pair pair{server.Url()};
    std::vector<At> steps;
    for (int i = 0; i < 6; ++i) {
      steps.emplace_back(0.5 + 0.6 * i, [&] { server.Stop(); });
      steps.emplace_back(0.75 + 0.6 * i, [&] { server.Continue(); });
    }
    pair.HammerWith([&](double seconds) {
      for (At& step : steps) step(seconds);
    });
    pair.CheckBounds();
    CHECK(TimeUntilUsed(pair) < 2s);
  }
  SECTION("its connections cut") {
    RedisServer server;
    Pair pair{server.Url()};
    std::vector<At> steps;
    for (int i = 0; i < 12; ++i)
      steps.emplace_back(0.3 * i, [&] { server.Command({"CLIENT", "KILL", "TYPE", "normal"}); });
    pair.HammerWith([&](double seconds) {
      for (At& step : steps) step(seconds);
    });
    pair.CheckBounds();
    CHECK(pair.first().stats().disconnects >= 3);
    CHECK(TimeUntilUsed(pair) < 2s);
  }
  SECTION("its data deleted") {
    RedisServer server;
    Pair pair{server.Url()};
    At flush{1.0, [&] { server.Command({"FLUSHALL"}); }};
    pair.HammerWith(flush);
    // Until the next heartbeat notices, Redis gives a burst once more.
    CHECK(pair.first().stats().memory_lost == 1);
    CHECK(pair.shared() > 1'000);
  }
}

TEST_CASE("before Redis was ever there each instance takes half, and none is without a limit") {
  RedisDriver driver{"unix:///nowhere/redis.sock"};
  const auto tier = MakeTier("auth", "5/minute", Algorithm::kGcra, true);
  int admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += driver.Take(tier, "ada").allowed ? 1 : 0;
  CHECK(admitted == 2);
  CHECK(driver.stats().away == 100);
  CHECK(driver.stats().connect_failures >= 1);
}

}  // namespace gathering::limits
