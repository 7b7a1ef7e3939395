#include "core/events/bus.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/events/crew.h"
#include "core/events/virtual_time.h"

namespace gathering::events {
namespace {

using namespace std::chrono_literals;

Event In(std::optional<std::int64_t> circle, EventType type = EventType::kTaskCreated) {
  return {.type = type, .circle_id = circle};
}

// On real threads.
struct Running {
  explicit Running(BusOptions options = {}) : crew(options.calls_max), bus(options, clock, crew) {}

  SystemClock clock;
  Crew crew;
  Bus bus;
};

// In virtual time.
struct Rehearsed {
  explicit Rehearsed(BusOptions options = {}) : bus(options, time, time) {}

  void Run() {
    while (time.Step()) {
    }
  }
  void RunFor(std::chrono::microseconds duration) { time.RunUntil(time.Now() + duration); }

  VirtualTime time;
  Bus bus;
};

// What a handler was given, one text a call: the sequence numbers, and before them what was missed.
struct Notes {
  Handler Taking(VirtualTime* time = nullptr, std::chrono::microseconds spend = 0us) {
    return [this, time, spend](const Batch& batch) {
      std::string text = batch.missed > 0 ? "-" + std::to_string(batch.missed) + " " : "";
      for (const EventPointer& event : batch.events)
        text += (event == batch.events.front() ? "" : ",") + std::to_string(event->sequence);
      if (time != nullptr) time->Spend(spend);
      calls.push_back(text);
    };
  }

  std::vector<std::string> calls;
};

struct Heard final : Ticket {
  void OnSettled(Published published) override { outcome = std::move(published); }
  std::optional<Published> outcome;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("when a synchronous publish returns, its handlers have run", "[events]") {
  Running here;
  std::atomic<int> handled = 0;
  const auto runs = GENERATE(Runs::kOnWorkers, Runs::kInPublisher);
  const auto count = [&](const Batch& batch) { handled += static_cast<int>(batch.events.size()); };
  const Subscription first = here.bus.Subscribe({.name = "first", .runs = runs}, count);
  const Subscription second = here.bus.Subscribe({.name = "second", .runs = runs}, count);
  const Subscription other =
      here.bus.Subscribe({.name = "other", .types = {EventType::kTaskFailed}, .runs = runs}, count);
  for (int i = 1; i <= 100; ++i) {
    const Published published = here.bus.Publish(In(i % 3));
    CHECK(handled == 2 * i);
    CHECK(published.fate == Fate::kDelivered);
    CHECK(published.delivered == 2);
  }
  CHECK(here.bus.Stats().totals.delivered == 200);
}

TEST_CASE("an event gets an id, a time and a sequence, and keeps those it has", "[events]") {
  Running here;
  const Published made = here.bus.Publish(In(1));
  CHECK(made.event->id != Uuid{});
  CHECK(made.event->time.micros > 0);
  CHECK(made.event->sequence == 1);
  Event known = In(1);
  known.id = {.high = 1, .low = 2};
  known.time = {7};
  known.sequence = 99;
  const Published kept = here.bus.Publish(std::move(known));
  CHECK(kept.event->id == Uuid{1, 2});
  CHECK(kept.event->time == Timestamp{7});
  CHECK(kept.event->sequence == 99);
  CHECK(here.bus.Recent({}).size() == 2);
  CHECK(here.bus.Recent({}).front()->id == Uuid{1, 2});
}

TEST_CASE("handlers at the same time do not race: every event is counted once", "[events]") {
  Running here{{.calls_max = 8}};
  std::map<std::int64_t, int> plain;  // each only touched by the calls of one circle
  for (std::int64_t circle = 0; circle < 4; ++circle) plain[circle] = 0;
  const Subscription subscription = here.bus.Subscribe({.name = "counts"}, [&](const Batch& batch) {
    for (const EventPointer& event : batch.events) ++plain.at(*event->circle_id);
  });
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) here.bus.Publish(In(i % 4));
      });
    }
  }
  for (const auto& [circle, count] : plain) CHECK(count == 500);
}

TEST_CASE("200 rapid events all arrive, with no more calls at a time than allowed", "[events]") {
  Running here{{.calls_max = 10}};
  std::atomic<int> at_once = 0;
  std::atomic<int> most = 0;
  std::atomic<int> handled = 0;
  std::latch enough{10};
  const Subscription subscription = here.bus.Subscribe({.name = "slow", .calls_max = 100}, [&](const Batch&) {
    const int now = ++at_once;
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
    if (++handled <= 10) enough.arrive_and_wait();  // all ten at once, or nobody goes on
    --at_once;
  });
  for (int i = 0; i < 200; ++i) here.bus.Publish(In(i), {.delivery = Delivery::kQueued});
  CHECK(here.bus.WaitUntilIdle(30s));
  CHECK(handled == 200);
  CHECK(most == 10);
  CHECK(here.bus.Stats().running_max_seen == 10);
}

TEST_CASE("a circle's events come in the order they were published, whoever publishes and runs", "[events]") {
  Running here;
  const auto runs = GENERATE(Runs::kOnWorkers, Runs::kInPublisher);
  const auto order = GENERATE(Order::kByCircle, Order::kAll);
  std::mutex mutex;
  std::map<std::int64_t, std::int64_t> last;
  int wrong = 0;
  const Subscription subscription =
      here.bus.Subscribe({.name = "watch", .order = order, .runs = runs}, [&](const Batch& batch) {
        std::scoped_lock lock{mutex};
        for (const EventPointer& event : batch.events) {
          auto& before = last[order == Order::kAll ? 0 : *event->circle_id];
          wrong += event->sequence <= before ? 1 : 0;
          before = event->sequence;
        }
      });
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 300; ++i) {
          const auto delivery = (i + t) % 2 == 0 ? Delivery::kSynchronous : Delivery::kQueued;
          here.bus.Publish(In(i % 3), {.delivery = delivery});
        }
      });
    }
  }
  CHECK(here.bus.WaitUntilIdle(30s));
  CHECK(wrong == 0);
  CHECK(here.bus.Stats().totals.delivered == 1'200);
}

TEST_CASE("identical events within the window are published once, distinct ones all", "[events]") {
  Rehearsed here;
  Notes notes;
  const Subscription subscription = here.bus.Subscribe({.name = "all"}, notes.Taking());
  const auto publish = [&](std::int64_t circle, std::string_view words) {
    Heard heard;
    here.bus.Publish(In(circle), {.delivery = Delivery::kQueued, .same_by = words}, heard);
    return heard.outcome->fate;
  };
  CHECK(publish(1, "task=1") == Fate::kQueued);
  CHECK(publish(1, "task=1") == Fate::kDuplicate);
  CHECK(publish(1, "task=2") == Fate::kQueued);
  CHECK(publish(2, "task=1") == Fate::kQueued);
  Heard unnamed;
  here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, unnamed);
  CHECK(unnamed.outcome->fate == Fate::kQueued);
  here.RunFor(1s);
  CHECK(publish(1, "task=1") == Fate::kQueued);
  here.Run();
  CHECK(notes.calls.size() == 5);
  CHECK(here.bus.Stats().duplicates == 1);
}

TEST_CASE("a handler that throws spoils nothing for others, and is called again, later and later",
          "[events]") {
  Rehearsed here{{.seed = 1}};
  Notes notes;
  std::vector<std::chrono::microseconds> at;
  const Subscription bad = here.bus.Subscribe(
      {.name = "bad", .attempts_max = 3, .backoff_min = 100ms, .backoff_max = 10s}, [&](const Batch& batch) {
        if (batch.events.front()->circle_id != 1) return;
        at.push_back(
            std::chrono::duration_cast<std::chrono::microseconds>(here.time.Now().time_since_epoch()));
        CHECK(batch.attempt == at.size());
        throw std::runtime_error{"no luck"};
      });
  const Subscription good = here.bus.Subscribe({.name = "good"}, notes.Taking());
  Heard heard;
  here.bus.Publish(In(1), {}, heard);
  Heard later;
  here.bus.Publish(In(2), {}, later);
  here.Run();
  REQUIRE(heard.outcome);
  CHECK(heard.outcome->fate == Fate::kDelivered);
  CHECK(heard.outcome->delivered == 1);
  CHECK(heard.outcome->failed == 1);
  CHECK(later.outcome->delivered == 2);
  CHECK(notes.calls == Texts{"1", "2"});

  REQUIRE(at.size() == 3);
  CHECK((at[1] - at[0] >= 50ms && at[1] - at[0] <= 100ms));
  CHECK((at[2] - at[1] >= 100ms && at[2] - at[1] <= 200ms));
  const std::vector<DeadLetter> letters = here.bus.DeadLetters();
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].event->sequence == 1);
  CHECK(letters[0].subscription == "bad");
  CHECK(letters[0].error == "no luck");
  CHECK(letters[0].attempts == 3);
  CHECK(here.bus.Stats().totals.dead == 1);
  CHECK(here.bus.Stats().totals.failures == 3);
}

TEST_CASE("of a batch that fails only the event that spoils it dies", "[events]") {
  Rehearsed here;
  std::set<std::int64_t> handled;
  const Subscription subscription = here.bus.Subscribe(
      {.name = "bulk", .order = Order::kAll, .collects = true, .attempts_max = 2}, [&](const Batch& batch) {
        for (const EventPointer& event : batch.events) {
          if (event->sequence == 3) throw std::runtime_error{"poison"};
        }
        for (const EventPointer& event : batch.events) CHECK(handled.insert(event->sequence).second);
      });
  std::vector<Heard> heard{5};
  for (auto& one : heard) here.bus.Publish(In(1), {.delivery = Delivery::kBatched}, one);
  here.Run();
  CHECK(handled == std::set<std::int64_t>{1, 2, 4, 5});
  REQUIRE(here.bus.DeadLetters().size() == 1);
  CHECK(here.bus.DeadLetters()[0].event->sequence == 3);
}

TEST_CASE("batches leave when their window is over or when they are full", "[events]") {
  Rehearsed here{{.batch_window = 50ms, .batch_events_max = 4}};
  Notes notes;
  const Subscription bulk =
      here.bus.Subscribe({.name = "bulk", .order = Order::kAll, .collects = true}, notes.Taking());
  const auto publish = [&] {
    Heard heard;
    here.bus.Publish(In(1), {}, heard);
    CHECK(heard.outcome->fate == Fate::kQueued);
  };
  publish();
  publish();
  here.RunFor(49'999us);
  CHECK(notes.calls.empty());
  here.RunFor(1us);
  CHECK(notes.calls == Texts{"1,2"});
  for (int i = 0; i < 9; ++i) publish();
  here.RunFor(1us);
  CHECK(notes.calls == Texts{"1,2", "3,4,5,6", "7,8,9,10"});
  here.RunFor(30ms);
  publish();  // the window is the first one's
  here.RunFor(20ms);
  CHECK(notes.calls.back() == "11,12");
  publish();
  here.bus.Flush();
  here.RunFor(1us);
  CHECK(notes.calls.back() == "13");
  CHECK(here.bus.Stats().batches == 4);
  CHECK(here.bus.Stats().batched == 12);
}

TEST_CASE("who does not ask for batches gets batched events when the window is over, one by one",
          "[events]") {
  Rehearsed here{{.batch_window = 50ms, .batch_events_max = 10}};
  Notes notes;
  const Subscription subscription = here.bus.Subscribe({.name = "plain"}, notes.Taking());
  Heard heard;
  here.bus.Publish(In(1), {.delivery = Delivery::kBatched}, heard);
  CHECK(heard.outcome->fate == Fate::kQueued);
  here.RunFor(10ms);
  CHECK(notes.calls.empty());
  Heard other;
  here.bus.Publish(In(2), {.delivery = Delivery::kBatched}, other);
  Heard at_once;
  here.bus.Publish(In(1), {}, at_once);  // takes along what it must not overtake, and nothing else
  here.RunFor(1ms);
  CHECK(notes.calls == Texts{"1", "3"});
  CHECK(at_once.outcome->fate == Fate::kDelivered);
  std::vector<Heard> more{9};
  for (auto& one : more) here.bus.Publish(In(3), {.delivery = Delivery::kBatched}, one);
  here.RunFor(1us);
  CHECK(notes.calls.size() == 12);  // ten were collected: the other of before and nine
}

TEST_CASE("a publisher waits for room, at most as long as the subscriber says", "[events]") {
  Rehearsed here;
  Notes notes;
  const Subscription subscription =
      here.bus.Subscribe({.name = "small", .queue_events_max = 2, .block_max = 100ms, .timeout = 10s},
                         notes.Taking(&here.time, 60ms));
  const Subscription other = here.bus.Subscribe(
      {.name = "other", .types = {EventType::kTaskFailed}, .runs = Runs::kInPublisher}, [](const Batch&) {});
  std::vector<Heard> heard{6};
  for (auto& one : heard) here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, one);
  CHECK(heard[1].outcome);
  CHECK_FALSE(heard[2].outcome);
  CHECK(here.bus.Stats().publishers_waiting == 4);
  Heard elsewhere;
  here.bus.Publish(In(1, EventType::kTaskFailed), {}, elsewhere);
  CHECK_FALSE(elsewhere.outcome);  // it has to wait as well: nobody overtakes
  here.RunFor(60ms);
  CHECK(heard[2].outcome->fate == Fate::kQueued);
  CHECK_FALSE(heard[3].outcome);
  here.RunFor(40ms);
  CHECK(heard[3].outcome->fate == Fate::kShed);
  CHECK(heard[5].outcome->shed == 1);
  CHECK(elsewhere.outcome->fate == Fate::kShed);
  CHECK(elsewhere.outcome->delivered + elsewhere.outcome->queued <= 1);
  here.Run();
  CHECK(notes.calls == Texts{"1", "2", "3"});
  Heard next;
  here.bus.Publish(In(1), {}, next);
  here.Run();
  CHECK(notes.calls.back() == "-4 8");
}

TEST_CASE("who comes later does not overtake a publisher that waits for room", "[events]") {
  Rehearsed here;
  Notes small;
  Notes roomy;
  const Subscription first =
      here.bus.Subscribe({.name = "first", .types = {EventType::kTaskCreated}, .queue_events_max = 1},
                         small.Taking(&here.time, 10ms));
  const Subscription second = here.bus.Subscribe(
      {.name = "second", .types = {EventType::kTaskCreated, EventType::kTaskFailed}}, roomy.Taking());
  std::vector<Heard> heard{3};
  here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, heard[0]);
  here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, heard[1]);
  here.bus.Publish(In(1, EventType::kTaskFailed), {.delivery = Delivery::kQueued}, heard[2]);
  CHECK(heard[0].outcome);
  CHECK_FALSE(heard[1].outcome);
  CHECK_FALSE(heard[2].outcome);
  here.Run();
  CHECK(heard[1].outcome->event->sequence == 2);
  CHECK(heard[2].outcome->event->sequence == 3);
}

TEST_CASE("a full queue drops its oldest or its newest, and says how many are missing", "[events]") {
  Rehearsed here;
  const auto [policy, expected] = GENERATE(table<WhenFull, Texts>({
      {WhenFull::kDropOldest, {"1", "-2 4", "5"}},
      {WhenFull::kDropNewest, {"1", "2", "3", "-2 6"}},
  }));
  Notes notes;
  const Subscription subscription = here.bus.Subscribe(
      {.name = "small", .queue_events_max = 3, .when_full = policy}, notes.Taking(&here.time, 1ms));
  std::vector<Heard> heard{6};
  for (std::size_t i = 0; i < 5; ++i) here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, heard[i]);
  here.Run();
  if (policy == WhenFull::kDropNewest) here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, heard[5]);
  here.Run();
  CHECK(notes.calls == expected);
  CHECK(here.bus.Stats().totals.dropped == 2);
}

TEST_CASE("a loud circle loses its own events, not those of others", "[events]") {
  Rehearsed here;
  const auto policy = GENERATE(WhenFull::kDropOldest, WhenFull::kDropNewest);
  std::map<std::int64_t, int> handled;
  const Subscription subscription =
      here.bus.Subscribe({.name = "small", .queue_events_max = 10, .when_full = policy, .calls_max = 1},
                         [&](const Batch& batch) { ++handled[*batch.events.front()->circle_id]; });
  std::vector<Heard> heard{104};
  for (std::size_t i = 0; i < 50; ++i) here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, heard[i]);
  for (std::size_t i = 50; i < 54; ++i) here.bus.Publish(In(2), {.delivery = Delivery::kQueued}, heard[i]);
  for (std::size_t i = 54; i < 104; ++i) here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, heard[i]);
  here.Run();
  CHECK(handled[2] == 4);
  CHECK(handled[1] == 6);
  CHECK(here.bus.Stats().totals.dropped == 94);
}

TEST_CASE("a loud circle does not keep the workers from others", "[events]") {
  Rehearsed here{{.calls_max = 1}};
  Notes loud;
  Notes quiet;
  std::vector<std::int64_t> circles;
  const Subscription one = here.bus.Subscribe({.name = "one"}, [&](const Batch& batch) {
    circles.push_back(*batch.events.front()->circle_id);
    here.time.Spend(1ms);
  });
  const Subscription two = here.bus.Subscribe({.name = "two", .circle_id = 3}, [&](const Batch& batch) {
    circles.push_back(-*batch.events.front()->circle_id);
    here.time.Spend(1ms);
  });
  std::vector<Heard> heard{52};
  for (std::size_t i = 0; i < 50; ++i) here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, heard[i]);
  here.bus.Publish(In(2), {.delivery = Delivery::kQueued}, heard[50]);
  here.bus.Publish(In(3), {.delivery = Delivery::kQueued}, heard[51]);
  here.Run();
  circles.resize(5);
  CHECK(circles == std::vector<std::int64_t>{1, 2, -3, 3, 1});
}

TEST_CASE("a subscriber without room may be disconnected, and hears of it", "[events]") {
  Rehearsed here;
  Notes notes;
  int goodbyes = 0;
  Subscription subscription = here.bus.Subscribe({.name = "slow",
                                                  .queue_events_max = 2,
                                                  .when_full = WhenFull::kDisconnect,
                                                  .on_disconnect = [&] { ++goodbyes; }},
                                                 notes.Taking(&here.time, 10ms));
  std::vector<Heard> heard{4};
  for (auto& one : heard) here.bus.Publish(In(1), {.delivery = Delivery::kQueued}, one);
  here.Run();
  CHECK(goodbyes == 1);
  CHECK(notes.calls == Texts{"1"});
  CHECK(heard[2].outcome->fate == Fate::kShed);
  CHECK(heard[3].outcome->fate == Fate::kDelivered);  // nobody wants it any more
  subscription = {};
  const SubscriptionCounts totals = here.bus.Stats().totals;
  CHECK(totals.offered == 3);
  CHECK(totals.delivered == 1);
  CHECK(totals.dropped == 1);
  CHECK(totals.abandoned == 1);
}

TEST_CASE("a handler that hangs is not waited for, and keeps nobody else waiting", "[events]") {
  Running here;
  std::latch released{1};
  std::atomic<bool> knew = false;
  std::atomic<int> hung = 0;
  std::atomic<int> handled = 0;
  Subscription stuck = here.bus.Subscribe({.name = "stuck", .timeout = 20ms}, [&](const Batch& batch) {
    ++hung;
    released.wait();
    if (batch.TimedOut()) knew = true;
  });
  const Subscription good = here.bus.Subscribe({.name = "good"}, [&](const Batch&) { ++handled; });
  const Published first = here.bus.Publish(In(1));
  CHECK(first.failed == 1);
  CHECK(first.delivered == 1);
  here.bus.Publish(In(2), {.delivery = Delivery::kQueued});
  here.bus.Publish(In(1), {.delivery = Delivery::kQueued});
  CHECK_FALSE(here.bus.WaitUntilIdle(0ms));
  CHECK(hung == 1);
  CHECK(here.bus.Stats().totals.stuck == 1);
  CHECK(here.bus.Stats().totals.timeouts == 1);
  released.count_down();
  CHECK(here.bus.WaitUntilIdle(30s));
  CHECK(knew);
  CHECK(handled == 3);
  CHECK(hung == 3);
}

TEST_CASE("what a handler publishes is queued behind it, and it may end its own subscription", "[events]") {
  Running here;
  const auto runs = GENERATE(Runs::kOnWorkers, Runs::kInPublisher);
  std::atomic<int> handled = 0;
  std::optional<Fate> inner;
  Subscription subscription;
  subscription = here.bus.Subscribe({.name = "chain", .runs = runs}, [&](const Batch&) {
    if (++handled == 1) inner = here.bus.Publish(In(1)).fate;
    if (handled == 2) subscription = {};
  });
  here.bus.Publish(In(1));
  CHECK(here.bus.WaitUntilIdle(30s));
  CHECK(inner == Fate::kQueued);
  here.bus.Publish(In(1));
  CHECK(handled == 2);
  CHECK(here.bus.Stats().subscriptions.empty());
}

TEST_CASE("a bus that closes delivers what it holds and refuses the rest", "[events]") {
  Running here;
  std::atomic<int> handled = 0;
  const Subscription bulk = here.bus.Subscribe({.name = "bulk", .collects = true}, [&](const Batch& batch) {
    handled += static_cast<int>(batch.events.size());
  });
  std::atomic<int> attempts = 0;
  const Subscription bad = here.bus.Subscribe(
      {.name = "bad", .attempts_max = 2, .backoff_min = 1h, .backoff_max = 1h}, [&](const Batch&) {
        ++attempts;
        throw std::runtime_error{"no"};
      });
  here.bus.Publish(In(1));
  for (int i = 0; i < 10; ++i) here.bus.Publish(In(2), {.delivery = Delivery::kBatched});
  here.bus.Close();
  CHECK(here.bus.WaitUntilIdle(30s));
  CHECK(handled == 11);
  CHECK(attempts == 22);
  CHECK(here.bus.Publish(In(1)).fate == Fate::kShed);
  CHECK(here.bus.Stats().refused == 1);
  CHECK(here.bus.Stats().totals.dead == 11);
}

TEST_CASE("dead letters are bounded, the newest first", "[events]") {
  Rehearsed here{{.dead_letters_max = 2}};
  const Subscription bad = here.bus.Subscribe({.name = "bad", .attempts_max = 1},
                                              [](const Batch&) { throw std::runtime_error{"no"}; });
  std::vector<Heard> heard{5};
  for (auto& one : heard) here.bus.Publish(In(1), {}, one);
  here.Run();
  REQUIRE(here.bus.DeadLetters().size() == 2);
  CHECK(here.bus.DeadLetters()[0].event->sequence == 5);
  CHECK(here.bus.Stats().dead_letters_evicted == 3);
  CHECK(here.bus.Stats().totals.dead == 5);
}

TEST_CASE("subscriptions come and go while events are published", "[events]") {
  Running here{{.calls_max = 4}};
  std::atomic<bool> over = false;
  std::atomic<int> alive = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; !over; ++i)
          here.bus.Publish(In(i % 5), {.delivery = static_cast<Delivery>((i + t) % 3)});
      });
    }
    for (int i = 0; i < 200; ++i) {
      const auto policy = static_cast<WhenFull>(i % 4);
      std::atomic<bool> here_still = true;
      std::atomic<int> late = 0;
      {
        const Subscription guest =
            here.bus.Subscribe({.name = "guest",
                                .runs = i % 2 == 0 ? Runs::kOnWorkers : Runs::kInPublisher,
                                .collects = i % 3 == 0,
                                .queue_events_max = 8,
                                .when_full = policy,
                                .block_max = 1ms},
                               [&](const Batch&) {
                                 late += here_still ? 0 : 1;
                                 ++alive;
                               });
        const int before = alive;
        while (alive == before && policy != WhenFull::kDisconnect) std::this_thread::yield();
      }
      here_still = false;
      CHECK(late == 0);
    }
    over = true;
  }
  here.bus.Close();
  CHECK(here.bus.WaitUntilIdle(30s));
  const SubscriptionCounts totals = here.bus.Stats().totals;
  CHECK(totals.offered == totals.delivered + totals.dead + totals.dropped + totals.abandoned);
}

}  // namespace gathering::events
