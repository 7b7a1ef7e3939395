#pragma once
// Who publishes an event, and who hears of it.
//
// What it promises:
// - Synchronous publishing, the default: when Publish returns, every handler has run that did not ask for
//   batches.  Queued and batched publishing return at once; batches leave when the window is over or when
//   they are full, whichever comes first, and on Flush.
// - A subscriber hears events in the order they were published, within their circle or altogether (Order).
//   Two Publish at once have an order too, the same for all subscribers.
// - A handler that throws is called again, later and later, and what it cannot do in the end is a dead
//   letter; meanwhile what follows in the same order waits, and nothing else does.  A batch that fails goes
//   again one by one, so that one event spoils only itself.  A handler that takes longer than it may is no
//   longer waited for; its subscriber gets no other call until it is back.
// - Duplicates, within a window and by a key the publisher names, are not published.
// - Everything has a bound: queues, workers, waiting publishers, the history, dead letters.  What a bound
//   costs an event is in the statistics, and subscribers learn of gaps.
//
// The bus is a machine without threads: an Executor makes its calls and watches the time, so that real
// threads (crew.h) and a simulator in virtual time run the same code.  Safe from any thread.  A handler may
// publish (that is queued, never waited for) and end its own subscription.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/base/clock.h"
#include "core/base/uuid.h"
#include "core/events/deduplicator.h"
#include "core/events/event.h"
#include "core/events/history.h"
#include "core/events/mailbox.h"
#include "core/events/subscription.h"

namespace gathering::events {

struct BusOptions {
  std::chrono::milliseconds batch_window{50};
  std::uint32_t batch_events_max = 100;
  std::uint32_t calls_max = 100;         // of handlers on workers, at the same time
  std::uint32_t publishers_max = 1'000;  // that wait for room; more are not waited for
  std::uint32_t dead_letters_max = 1'000;
  DeduplicatorOptions deduplication = {};
  HistoryOptions history = {};
  std::optional<std::uint64_t> seed = {};  // of the jitter; none: at random
};

enum class Delivery : std::uint8_t { kSynchronous, kQueued, kBatched };

struct PublishOptions {
  Delivery delivery = Delivery::kSynchronous;
  // What tells this event from others of its type, source, circle and project (see SamenessOf), if it is
  // not to be published twice in a moment.
  std::optional<std::string_view> same_by = {};
};

enum class Fate : std::uint8_t {
  kDelivered,  // everybody who wanted it has it
  kQueued,     // somebody will have it later
  kDuplicate,  // it was published a moment ago
  kShed,       // somebody will not have it, for lack of room, or the bus is closed
};

// What became of it; of several fates the last of the list above.
struct Published {
  Fate fate = Fate::kDelivered;
  EventPointer event;           // as published, with its id; null for a duplicate and on a closed bus
  std::uint32_t delivered = 0;  // subscribers
  std::uint32_t failed = 0;     // whose handler threw or took too long; it may be called again
  std::uint32_t queued = 0;
  std::uint32_t shed = 0;
};

struct DeadLetter {
  EventPointer event;
  std::string subscription;
  std::string error;
  std::uint32_t attempts = 0;
  Timestamp time;
};

struct BusStats {
  std::uint64_t published = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t refused = 0;  // the bus was closed
  SubscriptionCounts totals;  // of all subscriptions, those that ended included
  std::uint64_t batches = 0;  // calls with more than one event
  std::uint64_t batched = 0;  // events in them
  std::uint32_t batch_max_seen = 0;
  std::uint32_t running = 0;  // calls on workers
  std::uint32_t running_max_seen = 0;
  std::uint32_t calls_max = 0;
  std::uint32_t publishers_waiting = 0;
  std::uint64_t dead_letters_evicted = 0;
  DeduplicatorStats deduplication;
  HistoryStats history;
  std::vector<SubscriptionStats> subscriptions;  // in the order they began
};

class Bus;

// One call of a handler, for an Executor to make: Run, then Done with what Run said, once, from any thread.
class Call {
 public:
  Call(Bus& bus, Lane& lane) : bus_(&bus), lane_(&lane) {}

  // What the handler threw, if it threw.
  [[nodiscard]] std::optional<std::string> Run() const;
  void Done(std::optional<std::string> failure) const;

 private:
  Bus* bus_;
  Lane* lane_;
};

// Makes the bus' calls and watches the time.
class Executor {
 public:
  virtual ~Executor() = default;

  // These are called under the bus' lock and must not call it back before they return.
  virtual void Execute(Call call) = 0;  // soon, on some thread.  At most calls_max wait or run
  virtual void SetAlarm(Bus& bus, Clock::Steady at) = 0;  // bus.OnAlarm then, instead of what was said before

  // The bus goes: no alarm of it rings any more when this returns.
  virtual void Forget(Bus& bus) = 0;
};

// Ends when it is destroyed: no call of its handler runs then or comes later.  The handler itself may destroy
// it; then calls that had begun on other threads still run.
class Subscription {
 public:
  Subscription() = default;
  Subscription(Bus& bus, Subscriber& subscriber) : bus_(&bus), subscriber_(&subscriber) {}
  Subscription(Subscription&& other) noexcept
      : bus_(std::exchange(other.bus_, nullptr)), subscriber_(other.subscriber_) {}
  Subscription& operator=(Subscription&& other) noexcept {
    std::swap(bus_, other.bus_);
    std::swap(subscriber_, other.subscriber_);
    return *this;
  }
  ~Subscription();

 private:
  Bus* bus_ = nullptr;
  Subscriber* subscriber_ = nullptr;
};

// Somebody who waits for what becomes of an event.
class Ticket {
 public:
  virtual ~Ticket() = default;

  // From any thread; then nobody touches it any more.
  [[nodiscard]] bool Settled() const { return settled_.load(std::memory_order_acquire); }

 protected:
  // All that is to be waited for has happened.  Under the bus' lock; must not call it back.
  virtual void OnSettled(Published published) = 0;

 private:
  friend class Bus;
  Published published_;
  std::uint32_t pending_ = 0;
  bool admitted_ = false;
  std::atomic<bool> settled_ = false;  // the last thing that is done to it
};

class Bus {
 public:
  Bus(BusOptions options, const Clock& clock, Executor& executor);
  ~Bus();  // no subscription, no publisher and no call may be left
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  [[nodiscard]] Subscription Subscribe(SubscribeOptions options, Handler handler);

  // An event without id, time or sequence gets one.  Waits for room and for handlers, as said above.
  Published Publish(Event event, PublishOptions options = {});

  // The same without waiting: `ticket` hears of it, perhaps before this returns, and lives until then.
  void Publish(Event event, PublishOptions options, Ticket& ticket);

  // What is collected for batches is due now.
  void Flush();

  // Refuses what is published from now on, and flushes.  Retries no longer wait.
  void Close();

  // Waits until nothing waits or runs.  False if something still did at the deadline.
  [[nodiscard]] bool WaitUntilIdle(std::chrono::milliseconds patience);

  // For the Executor, when the alarm goes off.
  void OnAlarm();

  [[nodiscard]] std::vector<EventPointer> Recent(const HistoryFilter& filter) const {
    return history_.Find(filter, clock_.Now());
  }
  void SetHistory(const HistoryOptions& options) { history_.SetOptions(options); }
  [[nodiscard]] std::vector<DeadLetter> DeadLetters() const;
  [[nodiscard]] BusStats Stats() const;

 private:
  friend class Call;
  friend class Subscription;

  struct Parked {
    std::shared_ptr<Event> event;
    Delivery delivery;
    Ticket* ticket;
    Clock::Steady deadline;
  };
  // When, its number, and whose: of a lane, whose call's time is over or whose pause is; without a lane of a
  // subscriber whose window is over; without both of the parked.
  using Alarm = std::tuple<Clock::Steady, std::uint64_t, Subscriber*, Lane*>;

  // The lock is not held:
  [[nodiscard]] Lane* Enter(Event event, PublishOptions options, Ticket& ticket);
  void RunHere(Lane* lanes);
  void End(Subscriber& subscriber);

  // The lock is held:
  [[nodiscard]] bool MustPark(const Event& event) const;
  void Park(std::shared_ptr<Event> event, Delivery delivery, Ticket& ticket, Clock::Steady now);
  void AdmitParked();
  [[nodiscard]] Lane* Admit(std::shared_ptr<Event> event, Delivery delivery, Ticket& ticket,
                            Clock::Steady now, bool here);
  [[nodiscard]] Lane* Offer(Subscriber& to, Item item, Delivery delivery, Ticket& ticket);
  [[nodiscard]] bool MakeRoom(Subscriber& in, const Lane& newcomer);
  void Disconnect(Subscriber& subscriber);
  void Abandon(Subscriber& subscriber);
  void FallDue(Subscriber& subscriber);

  void MakeReady(Lane& lane);
  void Line(Subscriber& subscriber);
  void Pump();
  [[nodiscard]] bool Begin(Lane& lane, bool on_worker);
  [[nodiscard]] bool Finish(Lane& lane);
  void Retry(Lane& lane);
  void Bury(const Lane& lane);
  void AfterCall();

  void NoteLate(Lane& lane);

  static void Settle(Item& item, std::uint32_t Published::*as);
  static void SettleTicket(Ticket& ticket, Fate fate);
  static void CheckSettled(Ticket& ticket);
  [[nodiscard]] std::pair<Clock::Steady, std::uint64_t> Ring(Clock::Steady at, Subscriber* subscriber,
                                                             Lane* lane);
  void Silence(Lane& lane);
  void TellExecutor();
  [[nodiscard]] bool Idle() const;

  const BusOptions options_;
  const Clock& clock_;
  Executor& executor_;
  Uuids ids_;
  Deduplicator deduplicator_;
  History history_;

  mutable std::mutex mutex_;  // guards everything below
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Subscriber>> subscribers_;
  std::vector<std::unique_ptr<Subscriber>> leaving_;  // ended by their own handlers, which still run
  std::deque<Subscriber*> ready_;                     // with a lane to run, in turns
  std::deque<Parked> parked_;                         // publishers that wait for room, in order
  std::set<Alarm> alarms_;
  std::uint64_t alarms_set_ = 0;
  Clock::Steady told_ = Clock::Steady::max();  // when the executor will call
  std::deque<DeadLetter> dead_letters_;
  std::mt19937_64 random_;
  std::int64_t sequence_ = 0;
  std::uint32_t in_publishers_ = 0;  // calls that do not run on workers
  bool closed_ = false;
  SubscriptionCounts ended_;
  BusStats stats_;
};

}  // namespace gathering::events
