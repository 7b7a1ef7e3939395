// How long a decision takes, beside what else one would use.
//
//   cmake --preset release && cmake --build --preset release --target limits_bench    # with libbenchmark-dev
//   build/release/tests/limits_bench                 # needs redis-server for the lines named Redis
//   tests/bench/limits_peer.py                       # python limits in memory, the same keys
//
// In memory: one decision on one of `keys` keys, hashing and clock included, by each of `threads`.  Through
// Redis: a turn of `batch` decisions on one connection, beside as many plain INCR in one pipeline on the same
// server; the ratio of the two rates is what the limit's script costs.
#include <benchmark/benchmark.h>
#include <hiredis/hiredis.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/limits/store.h"
#include "tests/support/redis_driver.h"
#include "tests/support/redis_server.h"

namespace gathering {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kKeysMax = 100'000;

const std::vector<std::string>& Subjects() {
  static const std::vector<std::string> subjects = [] {
    std::vector<std::string> made;
    for (std::size_t i = 0; i < kKeysMax; ++i) made.push_back("user:" + std::to_string(i * 7'919 % kKeysMax));
    return made;
  }();
  return subjects;
}

limits::Store& SharedStore() {
  static limits::Store store;
  return store;
}

void Decide(benchmark::State& state, const char* limit, limits::Algorithm algorithm) {
  const auto tier = test::MakeTier(limit, limit, algorithm);
  const SystemClock clock;
  const auto keys = static_cast<std::size_t>(state.range(0));
  std::size_t at = static_cast<std::size_t>(state.thread_index()) * 31'337;
  for (auto _ : state) {
    benchmark::DoNotOptimize(SharedStore().Take(*tier, Subjects()[at++ % keys], 1, clock.Now()));
  }
  state.SetItemsProcessed(state.iterations());
}

void InMemoryGcra(benchmark::State& state) {
  Decide(state, "120/minute", limits::Algorithm::kGcra);
}
void InMemoryFixedWindow(benchmark::State& state) {
  Decide(state, "121/minute", limits::Algorithm::kFixedWindow);
}
void InMemoryTwoRates(benchmark::State& state) {
  Decide(state, "10/second;200/hour", limits::Algorithm::kGcra);
}
void Clocks(benchmark::State& state) {
  const SystemClock clock;
  for (auto _ : state) benchmark::DoNotOptimize(clock.Now());
}
void HashOfAKey(benchmark::State& state) {
  const auto tier = test::MakeTier("read", "120/minute");
  std::size_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(SharedStore().KeyOf(*tier, Subjects()[at++ % kKeysMax]));
}

test::RedisServer& Server() {
  static test::RedisServer server;
  return server;
}

void RedisDecisions(benchmark::State& state) {
  test::RedisDriver driver{Server().Url(), {.deadline = 10s, .probe_timeout = 20s}};
  driver.UntilUsed();
  const auto tier = test::MakeTier("read", "120/minute");
  std::vector<test::RedisDriver::Asked> asked(static_cast<std::size_t>(state.range(0)));
  std::size_t at = 0;
  std::size_t decided = 0;
  for (auto _ : state) {
    for (auto& one : asked) driver.Ask(tier, Subjects()[at++ % kKeysMax], 1, one);
    while (!asked.back().decided) driver.Turn();
    decided += asked.size();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(decided));
}

void RedisPlainIncr(benchmark::State& state) {
  const std::unique_ptr<redisContext, decltype(&redisFree)> context{
      redisConnectUnix(Server().socket().c_str()), redisFree};
  const auto batch = static_cast<std::size_t>(state.range(0));
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < batch; ++i) {
      const std::string& key = Subjects()[at++ % kKeysMax];
      const std::array<const char*, 2> words{"INCR", key.c_str()};
      const std::array<std::size_t, 2> sizes{4, key.size()};
      redisAppendCommandArgv(context.get(), 2, const_cast<const char**>(words.data()), sizes.data());
    }
    for (std::size_t i = 0; i < batch; ++i) {
      void* reply = nullptr;
      if (redisGetReply(context.get(), &reply) != REDIS_OK) state.SkipWithError("no answer");
      freeReplyObject(reply);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}

}  // namespace

BENCHMARK(InMemoryGcra)->Arg(1)->Arg(1'000)->Arg(kKeysMax)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(InMemoryFixedWindow)->Arg(1'000)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(InMemoryTwoRates)->Arg(1'000)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(Clocks);
BENCHMARK(HashOfAKey);
BENCHMARK(RedisDecisions)->Arg(1)->Arg(16)->Arg(128)->UseRealTime();
BENCHMARK(RedisPlainIncr)->Arg(1)->Arg(16)->Arg(128)->UseRealTime();

}  // namespace gathering

BENCHMARK_MAIN();
