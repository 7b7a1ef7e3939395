// What publishing an event costs, to read beside the asyncio bus in bus_peer.py.
//
//   cmake --preset release && cmake --build --preset release --target bus_bench    # with libbenchmark-dev
//   build/release/tests/bus_bench
//   tests/bench/bus_peer.py
//
// Handlers count, nothing else.  Synchronous: the handler has run in each iteration.  Batched: the time until
// the last batch is handled is part of it; handlers run on a worker, so that there are two threads for one
// publisher, and the processor time of both is in CPU.  Cost: each Publish timed by itself (the clock's own
// 20 to 40 ns are in it), p50 and p99 in ns.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/events/bus.h"
#include "core/events/crew.h"

namespace gathering::events {
namespace {

using namespace std::chrono_literals;

struct Scene {
  Scene(std::int64_t subscribers, Runs runs, bool collects) : crew(100), bus({}, clock, crew) {
    for (std::int64_t i = 0; i < subscribers; ++i) {
      subscriptions.push_back(bus.Subscribe(
          {.name = "counts",
           .runs = runs,
           .collects = collects,
           .queue_events_max = 10'000,
           .block_max = 10s},
          [this](const Batch& batch) { handled.fetch_add(batch.events.size(), std::memory_order_relaxed); }));
    }
  }
  ~Scene() {
    bus.Close();
    if (!bus.WaitUntilIdle(60s)) std::abort();
  }

  SystemClock clock;
  Crew crew;
  Bus bus;
  std::atomic<std::uint64_t> handled = 0;
  std::vector<Subscription> subscriptions;
};

std::unique_ptr<Scene> g_scene;  // of the benchmark that runs; made and unmade by its first thread

Event Made(std::int64_t circle) {
  return {.type = EventType::kTaskCreated,
          .data = {.text = R"({"task_id":7,"title":"a title of some length"})"},
          .circle_id = circle};
}

void Synchronous(benchmark::State& state) {
  if (state.thread_index() == 0) g_scene = std::make_unique<Scene>(state.range(0), Runs::kInPublisher, false);
  for (auto _ : state) g_scene->bus.Publish(Made(state.thread_index()));
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) g_scene.reset();
}

void SynchronousOnWorkers(benchmark::State& state) {
  if (state.thread_index() == 0) g_scene = std::make_unique<Scene>(state.range(0), Runs::kOnWorkers, false);
  for (auto _ : state) g_scene->bus.Publish(Made(state.thread_index()));
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) g_scene.reset();
}

void Batched(benchmark::State& state) {
  if (state.thread_index() == 0) g_scene = std::make_unique<Scene>(state.range(0), Runs::kOnWorkers, true);
  for (auto _ : state) g_scene->bus.Publish(Made(state.thread_index()), {.delivery = Delivery::kBatched});
  if (state.thread_index() == 0) {
    g_scene->bus.Flush();
    if (!g_scene->bus.WaitUntilIdle(60s)) state.SkipWithError("it does not come to rest");
    g_scene.reset();
  }
  state.SetItemsProcessed(state.iterations());
}

// Every key is new, as most are.
void Deduplicated(benchmark::State& state, Delivery delivery) {
  const bool batched = delivery == Delivery::kBatched;
  if (state.thread_index() == 0)
    g_scene = std::make_unique<Scene>(1, batched ? Runs::kOnWorkers : Runs::kInPublisher, batched);
  std::int64_t task = 0;
  std::string words;
  for (auto _ : state) {
    words = "task=";
    words += std::to_string(++task);
    g_scene->bus.Publish(Made(state.thread_index()), {.delivery = delivery, .same_by = words});
  }
  if (state.thread_index() == 0) {
    g_scene->bus.Flush();
    if (!g_scene->bus.WaitUntilIdle(60s)) state.SkipWithError("it does not come to rest");
    g_scene.reset();
  }
  state.SetItemsProcessed(state.iterations());
}

void Cost(benchmark::State& state) {
  if (state.thread_index() == 0) g_scene = std::make_unique<Scene>(state.range(0), Runs::kInPublisher, false);
  constexpr std::size_t kSamplesMax = 1'000'000;
  std::vector<std::uint32_t> samples;
  samples.reserve(kSamplesMax);
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    g_scene->bus.Publish(Made(state.thread_index()));
    const auto spent = std::chrono::steady_clock::now() - begin;
    if (samples.size() < kSamplesMax) samples.push_back(static_cast<std::uint32_t>(spent.count()));
  }
  std::ranges::sort(samples);
  const auto at = [&](std::size_t percent) {
    return static_cast<double>(samples[(samples.size() - 1) * percent / 100]);
  };
  state.counters["p50"] = benchmark::Counter(at(50), benchmark::Counter::kAvgThreads);
  state.counters["p99"] = benchmark::Counter(at(99), benchmark::Counter::kAvgThreads);
  if (state.thread_index() == 0) g_scene.reset();
}

BENCHMARK(Synchronous)->Arg(1)->Threads(1)->Threads(2)->Threads(8)->UseRealTime();
BENCHMARK(SynchronousOnWorkers)->Arg(1)->UseRealTime();
BENCHMARK(Batched)->Arg(1)->Threads(1)->Threads(2)->Threads(8)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(Deduplicated, synchronous, Delivery::kSynchronous)->UseRealTime();
BENCHMARK_CAPTURE(Deduplicated, batched, Delivery::kBatched)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(Cost)->Arg(1)->Arg(10)->Arg(100)->Threads(1)->Threads(2)->Threads(8)->UseRealTime();

}  // namespace
}  // namespace gathering::events

BENCHMARK_MAIN();
