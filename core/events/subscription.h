#pragma once
// What a subscriber asks for, what its handler is given, and what became of it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/events/event.h"

namespace gathering::events {

// What one call of a handler is about: events of one order (below), in the order they were published.
struct Batch {
  std::span<const EventPointer> events;  // never empty
  std::uint64_t missed = 0;              // dropped since the batch before: here is a gap
  std::uint32_t attempt = 1;             // counts from 1
  const std::atomic<bool>* late = nullptr;

  // The handler's time is over and nobody waits for it any more.  One that may take long should look.
  [[nodiscard]] bool TimedOut() const { return late != nullptr && late->load(std::memory_order_relaxed); }
};

// Throws when it could not do it.  It may publish; what it publishes is queued.
using Handler = std::function<void(const Batch&)>;

// Which events wait for each other.
enum class Order : std::uint8_t {
  kByCircle,  // those of one circle come one after the other, those of different circles at the same time
  kAll,       // all of them one after the other
};

// Who runs the handler.
enum class Runs : std::uint8_t {
  kOnWorkers,    // a worker, with a deadline
  kInPublisher,  // whoever publishes, when nobody else is at it: for handlers that never wait.  No deadline.
};

// What happens to an event that finds no room.  Whatever it is, it is counted, and the next batch says how
// many are missing before it.
enum class WhenFull : std::uint8_t {
  kBlock,       // its publisher waits, at most block_max; then it is dropped
  kDropOldest,  // the oldest makes room,
  kDropNewest,  // or the newest, in both cases of the circle that takes the most room
  kDisconnect,  // the subscription ends
};

struct SubscribeOptions {
  std::string name;                   // in statistics and logs
  std::vector<EventType> types = {};  // none: all
  std::optional<std::int64_t> circle_id = {};
  std::optional<std::int64_t> source_agent_id = {};
  Order order = Order::kByCircle;
  Runs runs = Runs::kOnWorkers;
  bool collects = false;  // asks for batches: collected as long as the bus' window says, given in one call

  std::uint32_t queue_events_max = 1'000;  // waiting and in the handlers' hands
  WhenFull when_full = WhenFull::kBlock;
  std::chrono::milliseconds block_max{1'000};
  std::function<void()> on_disconnect = {};  // called by the publisher that found no room; must not wait

  std::uint32_t calls_max = 8;  // at the same time
  std::chrono::milliseconds timeout{30'000};
  std::uint32_t attempts_max = 3;
  std::chrono::milliseconds backoff_min{100};  // doubled with each attempt, half of it at random
  std::chrono::milliseconds backoff_max{10'000};
};

// What was offered is delivered, dead, dropped or abandoned in the end; until then it is queued.
struct SubscriptionCounts {
  std::uint64_t offered = 0;
  std::uint64_t delivered = 0;  // handled without an error
  std::uint64_t dead = 0;       // given up after the last attempt
  std::uint64_t dropped = 0;    // for lack of room
  std::uint64_t abandoned = 0;  // waiting when the subscription ended
  std::uint64_t calls = 0;
  std::uint64_t failures = 0;        // calls that threw
  std::uint64_t timeouts = 0;        // calls that took longer than allowed, whatever became of them
  std::uint32_t queued = 0;          // waiting and in the handlers' hands
  std::uint32_t running = 0;         // calls
  std::uint32_t stuck = 0;           // of these, beyond their time; as long as there is one, no other begins
  std::chrono::microseconds lag{0};  // age of the oldest that waits

  void Add(const SubscriptionCounts& other) {
    offered += other.offered;
    delivered += other.delivered;
    dead += other.dead;
    dropped += other.dropped;
    abandoned += other.abandoned;
    calls += other.calls;
    failures += other.failures;
    timeouts += other.timeouts;
    queued += other.queued;
    running += other.running;
    stuck += other.stuck;
    lag = std::max(lag, other.lag);
  }
};

struct SubscriptionStats : SubscriptionCounts {
  std::string name;
  std::uint32_t queued_max_seen = 0;
  std::uint32_t queue_events_max = 0;
};

}  // namespace gathering::events
