// Two daemons on one Redis.
#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/redis_server.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::int64_t kRate = 50;  // a second, and the burst

DaemonOptions OnRedis(const FreshDatabase& database, const std::string& redis, const std::string& limit) {
  return {.database_url = database.url(),
          .environment = {{"GATHERING_RATE_LIMITS_ENABLED", "true"},
                          {"GATHERING_RATE_LIMITS_HEALTH", limit},
                          {"GATHERING_RATE_LIMITS_EXEMPT_ROUTES", "health.limits"},
                          {"REDIS_URL", redis}}};
}

// One daemon, asked as fast as it answers.
class Hammer {
 public:
  explicit Hammer(const RunningDaemon& daemon)
      : admin_(daemon.Admin()),
        thread_([this, client = daemon.Client()](const std::stop_token& stop) mutable {
          while (!stop.stop_requested()) Strike(client);
        }) {}

  [[nodiscard]] std::int64_t admitted() const { return admitted_; }
  [[nodiscard]] std::int64_t refused() const { return refused_; }
  [[nodiscard]] std::int64_t other() const { return other_; }

  // Requests that this daemon decided without Redis.
  std::int64_t DecidedHere() {
    std::int64_t sum = 0;
    for (const json& lane : Lanes())
      sum += lane.at("local_allowed").get<std::int64_t>() + lane.at("local_limited").get<std::int64_t>();
    return sum;
  }

  bool UsesRedis() {
    const json lanes = Lanes();
    return std::all_of(lanes.begin(), lanes.end(), [](const json& lane) {
      return lane.at("breaker") == "closed" && lane.at("instances") == 2;
    });
  }

 private:
  void Strike(HttpClient& client) {
    const int status = client.Get("/health/live").status;
    ++(status == 200 ? admitted_ : status == 429 ? refused_ : other_);
  }

  json Lanes() {
    const Answer answer = admin_.Get("/health/limits");
    INFO(answer.body);
    REQUIRE(answer.status == 200);
    return answer.Json().at("redis");
  }

  HttpClient admin_;
  std::atomic<std::int64_t> admitted_ = 0;
  std::atomic<std::int64_t> refused_ = 0;
  std::atomic<std::int64_t> other_ = 0;
  std::jthread thread_;  // last: it uses the others
};

class Pair {
 public:
  Pair(const RunningDaemon& one, const RunningDaemon& other) : one_(one), other_(other) {}

  [[nodiscard]] std::int64_t admitted() const { return one_.admitted() + other_.admitted(); }
  [[nodiscard]] std::int64_t refused() const { return one_.refused() + other_.refused(); }
  [[nodiscard]] std::int64_t other() const { return one_.other() + other_.other(); }

  // How long it takes until so many more have been admitted.
  void AwaitAdmissions(std::int64_t more) const {
    const std::int64_t goal = admitted() + more;
    Await([&] { return admitted() >= goal; }, 20s);
  }
  void AwaitRedis(SteadyClock::duration within) {
    Await([&] { return one_.UsesRedis() && other_.UsesRedis(); }, within);
  }

  // Redis under a fault for a second, and then well again.
  void Suffer(const std::function<void()>& begin, const std::function<void()>& end) {
    const std::int64_t before_one = one_.DecidedHere();
    const std::int64_t before_other = other_.DecidedHere();
    begin();
    AwaitAdmissions(kRate * 5 / 4);
    end();
    CHECK(one_.DecidedHere() > before_one);
    CHECK(other_.DecidedHere() > before_other);
    AwaitRedis(2s);
  }

 private:
  Hammer one_;
  Hammer other_;
};

}  // namespace

TEST_CASE("two daemons on one Redis admit together what one would", "[limits][redis]") {
  const FreshDatabase database;
  const RedisServer redis;
  const RunningDaemon one{OnRedis(database, redis.Url(), "40/hour")};
  const RunningDaemon other{OnRedis(database, redis.Url(), "40/hour")};
  HttpClient to_one = one.Client();
  HttpClient to_other = other.Client();
  // Until both are connected each takes its part; that is owed, and counted as well.
  int admitted = 0;
  for (int i = 0; i < 200; ++i) {
    admitted += to_one.Get("/health/live").status == 200 ? 1 : 0;
    admitted += to_other.Get("/health/live").status == 200 ? 1 : 0;
  }
  CHECK(admitted >= 40);
  CHECK(admitted <= 42);  // an hour's 40 come back one every 90 s
}

TEST_CASE("two daemons admit together limit and burst, whatever happens to their Redis", "[limits][redis]") {
  const FreshDatabase database;
  RedisServer redis;
  SlowProxy proxy{redis.socket()};
  const std::string limit = std::to_string(kRate) + "/second";
  const RunningDaemon one{OnRedis(database, proxy.Url(), limit)};
  const RunningDaemon other{OnRedis(database, proxy.Url(), limit)};
  Pair pair{one, other};
  pair.AwaitRedis(10s);

  const auto begin = SteadyClock::now();
  const std::int64_t before = pair.admitted();
  pair.AwaitAdmissions(2 * kRate);
  pair.Suffer([&] { redis.Kill(); }, [&] { redis.Start(); });
  pair.Suffer([&] { redis.Stop(); }, [&] { redis.Continue(); });
  pair.Suffer([&] { proxy.SetDelay(60ms); }, [&] { proxy.SetDelay(0ms); });
  pair.Suffer(
      [&] {
        redis.Command({"CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"});
      },
      [&] {
        redis.Command({"CONFIG", "SET", "maxmemory", "0"});
      });
  pair.Suffer(
      [&] {
        redis.Command({"REPLICAOF", "127.0.0.1", "1"});
      },
      [&] {
        redis.Command({"REPLICAOF", "NO", "ONE"});
      });
  for (int i = 0; i < 5; ++i) {
    redis.Stop();
    pair.AwaitAdmissions(kRate / 5);
    redis.Continue();
    pair.AwaitAdmissions(kRate / 5);
  }
  pair.AwaitRedis(2s);
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
  const auto admitted = static_cast<double>(pair.admitted() - before);
  INFO(admitted << " in " << seconds << " s");
  // A tenth of a burst more: who sees Redis return first may spend what the other is about to say it owes.
  CHECK(admitted <= static_cast<double>(kRate) * (seconds + 1.1));
  CHECK(admitted >= static_cast<double>(kRate) * seconds / 2);
  CHECK(pair.refused() > pair.admitted());
  CHECK(pair.other() == 0);
  WARN(admitted << " of " << static_cast<double>(kRate) * (seconds + 1) << " admitted in " << seconds
                << " s, " << pair.refused() << " refused");
}

}  // namespace gathering::test
