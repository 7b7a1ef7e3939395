#include "core/events/bus.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/spin.h"

namespace gathering::events {
namespace {

constexpr int kRoundsHere = 64;  // how long a publisher does for others what came while it was at it

// The calls this thread is in, the innermost first.
struct Frame {
  const Bus* bus;
  const Subscriber* subscriber;
  const Frame* outer;
};

thread_local const Frame* t_frame = nullptr;

bool Inside(const Bus& bus) {
  const Frame* frame = t_frame;
  while (frame != nullptr && frame->bus != &bus) frame = frame->outer;
  return frame != nullptr;
}

bool Inside(const Subscriber& subscriber) {
  const Frame* frame = t_frame;
  while (frame != nullptr && frame->subscriber != &subscriber) frame = frame->outer;
  return frame != nullptr;
}

std::uint64_t BitsOf(const std::vector<EventType>& types) {
  if (types.empty()) return ~std::uint64_t{0};
  std::uint64_t bits = 0;
  for (const EventType type : types) bits |= BitOf(type);
  return bits;
}

// Of a ticket whose event was admitted or refused.
Fate FateOf(const Published& published) {
  if (published.shed > 0) return Fate::kShed;
  return published.queued > 0 ? Fate::kQueued : Fate::kDelivered;
}

// Whoever waits in Publish, if there is anything to wait for.
class Waiter final : public Ticket {
 public:
  void Wait(std::unique_lock<std::mutex>& lock) {
    if (outcome_) return;
    changed_.emplace();
    changed_->wait(lock, [this] { return outcome_.has_value(); });
  }
  [[nodiscard]] Published Outcome() { return *std::move(outcome_); }

 private:
  void OnSettled(Published published) override {
    outcome_ = std::move(published);
    if (changed_) changed_->notify_one();
  }

  std::optional<Published> outcome_;
  std::optional<std::condition_variable> changed_;
};

}  // namespace

struct Subscriber {
  Subscriber(SubscribeOptions options_in, Handler handler_in, std::uint32_t batch_max)
      : options(std::move(options_in)),
        handler(std::move(handler_in)),
        types(BitsOf(options.types)),
        mailbox(*this, options.queue_events_max, options.collects ? batch_max : 1) {
    farewell.subscriber = this;
  }

  [[nodiscard]] bool Wants(const Event& event) const {
    return !ended && (types & BitOf(event.type)) != 0 &&
           (!options.circle_id || options.circle_id == event.circle_id) &&
           (!options.source_agent_id || options.source_agent_id == event.source_agent_id);
  }
  [[nodiscard]] bool Blocks(const Event& event) const {
    return options.when_full == WhenFull::kBlock && Wants(event);
  }
  [[nodiscard]] std::int64_t KeyOf(const Event& event) const {
    constexpr std::int64_t kNoCircle = std::numeric_limits<std::int64_t>::min();
    return options.order == Order::kAll ? 0 : event.circle_id.value_or(kNoCircle);
  }
  [[nodiscard]] bool MayRun() const {
    return !ended && stats.stuck == 0 && stats.running < options.calls_max;
  }

  const SubscribeOptions options;
  const Handler handler;
  const std::uint64_t types;
  Mailbox mailbox;
  std::deque<Lane*> ready;
  bool lined = false;   // among those with a lane to run
  bool parked = false;  // publishers wait for room here; later ones do not overtake
  bool ended = false;
  std::optional<std::pair<Clock::Steady, std::uint64_t>> window;  // its end's alarm
  Lane farewell;                                                  // stands for the call of on_disconnect
  SubscriptionStats stats;
};

// --- calls ---------------------------------------------------------------------------------------

std::optional<std::string> Call::Run() const {
  const Subscriber& subscriber = *lane_->subscriber;
  const Frame frame{.bus = bus_, .subscriber = &subscriber, .outer = std::exchange(t_frame, &frame)};
  std::optional<std::string> failure;
  try {
    if (lane_ == &subscriber.farewell) {
      subscriber.options.on_disconnect();
    } else {
      subscriber.handler({.events = lane_->batch,
                          .missed = lane_->batch_missed,
                          .attempt = lane_->attempt,
                          .late = &lane_->late});
    }
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "something that is not an exception";
  }
  t_frame = frame.outer;
  return failure;
}

void Call::Done(std::optional<std::string> failure) const {
  if (!failure) lane_->batch.clear();  // not while publishers wait for the lock
  const std::unique_lock lock = Acquire(bus_->mutex_);
  lane_->failure = std::move(failure);
  if (bus_->Finish(*lane_)) bus_->MakeReady(*lane_);
  bus_->AfterCall();
}

bool Bus::Begin(Lane& lane, bool on_worker) {
  Subscriber& subscriber = *lane.subscriber;
  subscriber.mailbox.Take(lane);
  if (lane.taken == 0) {
    subscriber.mailbox.Rest(lane);
    return false;
  }
  lane.state = LaneState::kRunning;
  lane.on_worker = on_worker;
  ++lane.attempt;
  ++subscriber.stats.running;
  ++subscriber.stats.calls;
  if (lane.taken > 1) {
    ++stats_.batches;
    stats_.batched += lane.taken;
  }
  stats_.batch_max_seen = std::max(stats_.batch_max_seen, lane.taken);
  if (on_worker) {
    stats_.running_max_seen = std::max(stats_.running_max_seen, ++stats_.running);
    lane.alarm = Ring(clock_.Now() + subscriber.options.timeout, &subscriber, &lane);
  } else {
    ++in_publishers_;
  }
  return true;
}

// Whether the lane has more to do at once.
bool Bus::Finish(Lane& lane) {
  Subscriber& subscriber = *lane.subscriber;
  --subscriber.stats.running;
  --(lane.on_worker ? stats_.running : in_publishers_);
  if (&lane == &subscriber.farewell) return false;
  Silence(lane);
  if (lane.late.exchange(false)) --subscriber.stats.stuck;
  Line(subscriber);
  const std::uint32_t taken = lane.taken;
  for (std::uint32_t i = 0; i < taken; ++i)
    Settle(lane.items[i], lane.failure ? &Published::failed : &Published::delivered);
  if (lane.failure) {
    ++subscriber.stats.failures;
    if (subscriber.ended) {
      subscriber.stats.abandoned += taken;
    } else if (taken > 1 || lane.attempt < subscriber.options.attempts_max) {
      Retry(lane);
      return false;
    } else {
      Bury(lane);
    }
  } else {
    subscriber.stats.delivered += taken;
  }
  subscriber.mailbox.Finish(lane);
  if (lane.due > 0) return true;
  subscriber.mailbox.Rest(lane);
  return false;
}

// Later and later, and at random, so that what failed together does not come back together.
void Bus::Retry(Lane& lane) {
  Subscriber& subscriber = *lane.subscriber;
  const SubscribeOptions& options = subscriber.options;
  const bool together = lane.taken > 1;
  subscriber.mailbox.GiveBack(lane);
  if (closed_) {
    if (together) lane.attempt = 0;
    MakeReady(lane);
    return;
  }
  constexpr std::uint32_t kDoublingsMax = 20;
  const auto longest =
      std::min(options.backoff_max, options.backoff_min * (1 << std::min(lane.attempt - 1, kDoublingsMax)));
  const std::chrono::microseconds half = longest / 2;
  std::uniform_int_distribution<std::int64_t> jitter{0, half.count()};
  if (together) lane.attempt = 0;
  lane.state = LaneState::kBackingOff;
  lane.alarm = Ring(clock_.Now() + half + std::chrono::microseconds{jitter(random_)}, &subscriber, &lane);
}

void Bus::Bury(const Lane& lane) {
  Subscriber& subscriber = *lane.subscriber;
  ++subscriber.stats.dead;
  if (dead_letters_.size() >= options_.dead_letters_max) {
    ++stats_.dead_letters_evicted;
    if (dead_letters_.empty()) return;
    dead_letters_.pop_front();
  }
  dead_letters_.push_back({.event = lane.batch.front(),
                           .subscription = subscriber.options.name,
                           .error = *lane.failure,
                           .attempts = lane.attempt,
                           .time = clock_.WallNow()});
}

void Bus::AfterCall() {
  if (!parked_.empty()) AdmitParked();
  Pump();
  TellExecutor();
  std::erase_if(leaving_, [this](const auto& subscriber) {
    if (subscriber->stats.running > 0) return false;
    ended_.Add(subscriber->stats);
    return true;
  });
  changed_.notify_all();
}

// --- who runs next -------------------------------------------------------------------------------

void Bus::MakeReady(Lane& lane) {
  lane.state = LaneState::kReady;
  lane.subscriber->ready.push_back(&lane);
  Line(*lane.subscriber);
}

// One lane at a time, then the next subscriber's turn.
void Bus::Line(Subscriber& subscriber) {
  if (subscriber.lined || subscriber.ready.empty() || !subscriber.MayRun()) return;
  subscriber.lined = true;
  ready_.push_back(&subscriber);
}

void Bus::Pump() {
  while (!ready_.empty() && stats_.running < options_.calls_max) {
    Subscriber& subscriber = *ready_.front();
    ready_.pop_front();
    subscriber.lined = false;
    if (!subscriber.MayRun()) continue;
    Lane& lane = *subscriber.ready.front();
    subscriber.ready.pop_front();
    if (Begin(lane, true)) executor_.Execute({*this, lane});
    Line(subscriber);
  }
}

void Bus::FallDue(Subscriber& subscriber) {
  if (subscriber.window)
    alarms_.erase({subscriber.window->first, subscriber.window->second, &subscriber, nullptr});
  subscriber.window.reset();
  std::vector<Lane*> due;
  subscriber.mailbox.FallDue(due);
  for (Lane* const lane : due) {
    if (lane->state == LaneState::kResting) MakeReady(*lane);
  }
}

// --- publishing ----------------------------------------------------------------------------------

Bus::Bus(BusOptions options, const Clock& clock, Executor& executor)
    : options_(options),
      clock_(clock),
      executor_(executor),
      deduplicator_(options.deduplication),
      history_(options.history),
      random_(options.seed ? *options.seed : std::random_device{}()) {}

Bus::~Bus() {
  executor_.Forget(*this);
}

Published Bus::Publish(Event event, PublishOptions options) {
  Waiter waiter;
  RunHere(Enter(std::move(event), options, waiter));
  if (!waiter.Settled()) {
    std::unique_lock lock{mutex_};
    waiter.Wait(lock);
  }
  return waiter.Outcome();
}

void Bus::Publish(Event event, PublishOptions options, Ticket& ticket) {
  RunHere(Enter(std::move(event), options, ticket));
}

// The lanes this thread is to run.
Lane* Bus::Enter(Event event, PublishOptions options, Ticket& ticket) {
  if (options.delivery == Delivery::kSynchronous && Inside(*this)) options.delivery = Delivery::kQueued;
  const std::string key = options.same_by ? SamenessOf(event, *options.same_by) : std::string{};
  const Clock::Steady now = options.delivery == Delivery::kBatched ? clock_.NowRoughly() : clock_.Now();
  const bool duplicate = options.same_by && !deduplicator_.Admit(key, now);
  std::shared_ptr<Event> shared;
  if (!duplicate) {
    shared = std::make_shared<Event>(std::move(event));
    if (shared->time == Timestamp{}) shared->time = clock_.WallNow();
    if (shared->id == Uuid{}) shared->id = ids_.Next(shared->time);
  }

  // Who waits for no handler comes again at once, and must not fall asleep over a worker that is done.
  const std::unique_lock lock =
      options.delivery == Delivery::kSynchronous ? std::unique_lock{mutex_} : Acquire(mutex_);
  Lane* here = nullptr;
  if (duplicate) {
    ++stats_.duplicates;
    SettleTicket(ticket, Fate::kDuplicate);
  } else if (closed_) {
    if (options.same_by) deduplicator_.Forget(key);
    ++stats_.refused;
    SettleTicket(ticket, Fate::kShed);
  } else if (parked_.size() < options_.publishers_max && MustPark(*shared)) {
    Park(std::move(shared), options.delivery, ticket, now);
  } else {
    here = Admit(std::move(shared), options.delivery, ticket, now, true);
  }
  Pump();
  TellExecutor();
  return here;
}

bool Bus::MustPark(const Event& event) const {
  return std::ranges::any_of(subscribers_, [&](const auto& subscriber) {
    return subscriber->Blocks(event) && (subscriber->parked || subscriber->mailbox.Full());
  });
}

void Bus::Park(std::shared_ptr<Event> event, Delivery delivery, Ticket& ticket, Clock::Steady now) {
  auto patience = std::chrono::milliseconds::max();
  for (const auto& subscriber : subscribers_) {
    if (!subscriber->Blocks(*event)) continue;
    subscriber->parked = true;
    patience = std::min(patience, subscriber->options.block_max);
  }
  const Clock::Steady deadline = now + patience;
  (void)Ring(deadline, nullptr, nullptr);
  parked_.push_back(
      {.event = std::move(event), .delivery = delivery, .ticket = &ticket, .deadline = deadline});
}

// Those who find room now, and those who have waited long enough; the others stay in order.
void Bus::AdmitParked() {
  const Clock::Steady now = clock_.Now();
  for (const auto& subscriber : subscribers_) subscriber->parked = false;
  std::deque<Parked> waiting;
  waiting.swap(parked_);
  for (Parked& parked : waiting) {
    if (parked.deadline <= now || !MustPark(*parked.event)) {
      (void)Admit(std::move(parked.event), parked.delivery, *parked.ticket, now, false);
      continue;
    }
    for (const auto& subscriber : subscribers_) {
      if (subscriber->Blocks(*parked.event)) subscriber->parked = true;
    }
    parked_.push_back(std::move(parked));
  }
}

// With `here` the lanes the publisher's thread is to run are returned, begun.
Lane* Bus::Admit(std::shared_ptr<Event> event, Delivery delivery, Ticket& ticket, Clock::Steady now,
                 bool here) {
  ++sequence_;
  if (event->sequence == 0) event->sequence = sequence_;
  EventPointer published = std::move(event);
  history_.Add(published, now);
  ++stats_.published;
  Lane* first = nullptr;
  Lane** last = &first;
  for (const auto& subscriber : subscribers_) {
    if (!subscriber->Wants(*published)) continue;
    Lane* const lane = Offer(*subscriber, {.event = published, .queued_at = now}, delivery, ticket);
    if (lane == nullptr) continue;
    if (here && delivery == Delivery::kSynchronous && subscriber->options.runs == Runs::kInPublisher &&
        subscriber->MayRun() && Begin(*lane, false)) {
      lane->next = nullptr;
      *last = lane;
      last = &lane->next;
    } else {
      MakeReady(*lane);
    }
  }
  ticket.published_.event = std::move(published);
  ticket.admitted_ = true;
  CheckSettled(ticket);
  return first;
}

// The lane, if it rested and has something to do now.
Lane* Bus::Offer(Subscriber& to, Item item, Delivery delivery, Ticket& ticket) {
  ++to.stats.offered;
  Lane& lane = to.mailbox.LaneOf(to.KeyOf(*item.event));
  if (to.mailbox.Full() && !MakeRoom(to, lane)) {
    ++to.stats.dropped;
    ++ticket.published_.shed;
    Mailbox::Miss(lane);
    if (lane.state == LaneState::kResting) to.mailbox.Rest(lane);
    return nullptr;
  }
  const bool collect = to.options.collects || delivery == Delivery::kBatched;
  if (delivery == Delivery::kSynchronous && !collect) {
    item.ticket = &ticket;
    ++ticket.pending_;
  } else {
    ++ticket.published_.queued;
  }
  to.mailbox.Push(lane, std::move(item), collect);
  if (!collect) return lane.state == LaneState::kResting ? &lane : nullptr;
  if (to.mailbox.collected() >= options_.batch_events_max) {
    FallDue(to);
  } else if (!to.window) {
    to.window = Ring(clock_.Now() + options_.batch_window, &to, nullptr);
  }
  return nullptr;
}

bool Bus::MakeRoom(Subscriber& in, const Lane& newcomer) {
  if (in.options.when_full == WhenFull::kBlock) return false;
  if (in.options.when_full == WhenFull::kDisconnect) {
    Disconnect(in);
    return false;
  }
  std::optional<Item> dropped = in.mailbox.MakeRoom(newcomer, in.options.when_full);
  if (!dropped) return false;
  ++in.stats.dropped;
  Settle(*dropped, &Published::shed);
  return true;
}

void Bus::Disconnect(Subscriber& subscriber) {
  Abandon(subscriber);
  if (!subscriber.options.on_disconnect) return;
  subscriber.farewell.on_worker = true;
  ++subscriber.stats.running;
  ++stats_.running;
  executor_.Execute({*this, subscriber.farewell});
}

// Ends a subscription, but for the calls that run.
void Bus::Abandon(Subscriber& subscriber) {
  subscriber.ended = true;
  subscriber.ready.clear();
  std::erase(ready_, &subscriber);
  subscriber.lined = false;
  FallDue(subscriber);
  subscriber.ready.clear();
  subscriber.mailbox.ForEachLane([this](Lane& lane) {
    if (lane.state == LaneState::kRunning) return;
    Silence(lane);
    lane.state = LaneState::kResting;
  });
  std::vector<Item> items;
  subscriber.mailbox.Clear(items);
  subscriber.stats.abandoned += items.size();
  for (Item& item : items) Settle(item, &Published::shed);
}

void Bus::RunHere(Lane* lanes) {
  for (int round = 1; lanes != nullptr; ++round) {
    for (Lane* lane = lanes; lane != nullptr; lane = lane->next) lane->failure = Call{*this, *lane}.Run();
    std::scoped_lock lock{mutex_};
    Lane* again = nullptr;
    while (lanes != nullptr) {
      Lane& lane = *std::exchange(lanes, lanes->next);
      if (!Finish(lane)) continue;
      if (round < kRoundsHere && lane.subscriber->MayRun() && Begin(lane, false)) {
        lane.next = std::exchange(again, &lane);
      } else {
        MakeReady(lane);
      }
    }
    AfterCall();
    lanes = again;
  }
}

void Bus::Settle(Item& item, std::uint32_t Published::*as) {
  if (item.ticket == nullptr) return;
  Ticket& ticket = *std::exchange(item.ticket, nullptr);
  ++(ticket.published_.*as);
  --ticket.pending_;
  CheckSettled(ticket);
}

void Bus::CheckSettled(Ticket& ticket) {
  if (!ticket.admitted_ || ticket.pending_ > 0) return;
  SettleTicket(ticket, FateOf(ticket.published_));
}

void Bus::SettleTicket(Ticket& ticket, Fate fate) {
  ticket.published_.fate = fate;
  ticket.OnSettled(std::move(ticket.published_));
  ticket.settled_.store(true, std::memory_order_release);
}

// --- subscriptions -------------------------------------------------------------------------------

Subscription Bus::Subscribe(SubscribeOptions options, Handler handler) {
  auto subscriber =
      std::make_unique<Subscriber>(std::move(options), std::move(handler), options_.batch_events_max);
  std::scoped_lock lock{mutex_};
  subscribers_.push_back(std::move(subscriber));
  return {*this, *subscribers_.back()};
}

Subscription::~Subscription() {
  if (bus_ != nullptr) bus_->End(*subscriber_);
}

void Bus::End(Subscriber& subscriber) {
  std::unique_lock lock{mutex_};
  if (!subscriber.ended) Abandon(subscriber);
  AfterCall();
  const bool inside = Inside(subscriber);
  if (!inside) changed_.wait(lock, [&] { return subscriber.stats.running == 0; });
  const auto place = std::ranges::find(subscribers_, &subscriber, &std::unique_ptr<Subscriber>::get);
  if (inside) {
    leaving_.push_back(std::move(*place));
  } else {
    ended_.Add(subscriber.stats);
  }
  subscribers_.erase(place);
}

// --- time ----------------------------------------------------------------------------------------

void Bus::OnAlarm() {
  std::scoped_lock lock{mutex_};
  told_ = Clock::Steady::max();
  const Clock::Steady now = clock_.Now();
  while (!alarms_.empty() && std::get<0>(*alarms_.begin()) <= now) {
    const auto [at, number, subscriber, lane] = *alarms_.begin();
    alarms_.erase(alarms_.begin());
    if (lane != nullptr) {
      lane->alarm.reset();
      if (lane->state == LaneState::kBackingOff) {
        MakeReady(*lane);
      } else {
        NoteLate(*lane);
      }
    } else if (subscriber != nullptr) {
      subscriber->window.reset();
      FallDue(*subscriber);
    }
  }
  AfterCall();
}

// Nobody waits any more for a call that runs.
void Bus::NoteLate(Lane& lane) {
  lane.late = true;
  ++lane.subscriber->stats.stuck;
  ++lane.subscriber->stats.timeouts;
  for (std::uint32_t i = 0; i < lane.taken; ++i) Settle(lane.items[i], &Published::failed);
}

std::pair<Clock::Steady, std::uint64_t> Bus::Ring(Clock::Steady at, Subscriber* subscriber, Lane* lane) {
  const std::pair alarm{at, ++alarms_set_};
  alarms_.emplace(alarm.first, alarm.second, subscriber, lane);
  return alarm;
}

void Bus::Silence(Lane& lane) {
  if (!lane.alarm) return;
  alarms_.erase({lane.alarm->first, lane.alarm->second, lane.subscriber, &lane});
  lane.alarm.reset();
}

void Bus::TellExecutor() {
  if (alarms_.empty() || std::get<0>(*alarms_.begin()) >= told_) return;
  told_ = std::get<0>(*alarms_.begin());
  executor_.SetAlarm(*this, told_);
}

void Bus::Flush() {
  std::scoped_lock lock{mutex_};
  for (const auto& subscriber : subscribers_) FallDue(*subscriber);
  AfterCall();
}

void Bus::Close() {
  std::scoped_lock lock{mutex_};
  closed_ = true;
  for (const auto& subscriber : subscribers_) {
    FallDue(*subscriber);
    subscriber->mailbox.ForEachLane([this](Lane& lane) {
      if (lane.state != LaneState::kBackingOff) return;
      Silence(lane);
      MakeReady(lane);
    });
  }
  AfterCall();
}

bool Bus::Idle() const {
  return parked_.empty() && stats_.running == 0 && in_publishers_ == 0 &&
         std::ranges::all_of(subscribers_, [](const auto& s) { return s->mailbox.size() == 0; });
}

bool Bus::WaitUntilIdle(std::chrono::milliseconds patience) {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, patience, [this] { return Idle(); });
}

// --- what it knows -------------------------------------------------------------------------------

std::vector<DeadLetter> Bus::DeadLetters() const {
  std::scoped_lock lock{mutex_};
  return {dead_letters_.rbegin(), dead_letters_.rend()};
}

BusStats Bus::Stats() const {
  const Clock::Steady now = clock_.Now();
  std::scoped_lock lock{mutex_};
  BusStats stats = stats_;
  stats.totals = ended_;
  stats.calls_max = options_.calls_max;
  stats.publishers_waiting = static_cast<std::uint32_t>(parked_.size());
  stats.deduplication = deduplicator_.Stats();
  stats.history = history_.Stats();
  for (const auto& subscriber : subscribers_) {
    SubscriptionStats& one = stats.subscriptions.emplace_back(subscriber->stats);
    one.name = subscriber->options.name;
    one.queued = subscriber->mailbox.size();
    one.queued_max_seen = subscriber->mailbox.size_max_seen();
    one.queue_events_max = subscriber->options.queue_events_max;
    if (const auto oldest = subscriber->mailbox.OldestQueuedAt())
      one.lag = std::chrono::duration_cast<std::chrono::microseconds>(now - *oldest);
    stats.totals.Add(one);
  }
  return stats;
}

}  // namespace gathering::events
