// A bus, its subscribers, its publishers and what goes wrong with them, all from one seed and in virtual
// time.  What must always hold is checked after every step, what must hold in the end over the whole story.
//
// GATHERING_SEEDS says how many seeds to try, GATHERING_SEED where to begin; a failure names its seed.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/events/bus.h"
#include "core/events/virtual_time.h"

namespace gathering::events {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr EventType kTypes[] = {EventType::kTaskCreated, EventType::kTaskFailed, EventType::kAgentStarted};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::int64_t Between(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>{least, most}(random_);
  }
  bool OneIn(std::int64_t n) { return Between(1, n) == 1; }
  milliseconds Millis(std::int64_t least, std::int64_t most) { return milliseconds{Between(least, most)}; }

 private:
  std::mt19937_64 random_;
};

// One call of a handler, as it was.
struct Told {
  Clock::Steady begun = {};
  Clock::Steady ended = {};
  std::vector<std::int64_t> sequences = {};
  std::uint64_t missed = 0;
  std::uint32_t attempt = 0;
  bool failed = false;
};

struct Member {
  SubscribeOptions options;
  Subscription subscription;
  std::map<std::int64_t, std::vector<Told>> lanes;  // by circle; all in one where the order is of all
  std::map<std::int64_t, int> done;                 // how often each event was handled without an error
  bool alive = true;
  std::int64_t begun_before_end = 0;  // calls, when its own handler ended it
  bool disconnected = false;
  std::optional<SubscriptionStats> last;

  [[nodiscard]] bool Wants(const Event& event) const {
    return (options.types.empty() || std::ranges::find(options.types, event.type) != options.types.end()) &&
           (!options.circle_id || options.circle_id == event.circle_id);
  }
  [[nodiscard]] std::int64_t LaneOf(const Event& event) const {
    return options.order == Order::kAll ? 0 : event.circle_id.value_or(-1);
  }
};

class Story;

struct Ask final : Ticket {
  explicit Ask(Story& story_in) : story(story_in) {}
  void OnSettled(Published published) override;

  Story& story;
  PublishOptions options;
  std::string same_by;
  bool expected_duplicate = false;
  std::optional<Published> outcome;
};

class Story {
 public:
  explicit Story(std::uint64_t seed)
      : dice_(seed), options_(RandomOptions(seed)), bus_(options_, time_, time_) {
    const std::int64_t members = dice_.Between(1, 5);
    for (std::int64_t i = 0; i < members; ++i) Join(i);
    std::int64_t left = dice_.Between(20, 120);
    Clock::Steady at = time_.Now();
    const std::int64_t hurry = dice_.OneIn(2) ? 500 : 20'000;
    for (; left > 0; --left) {
      at += microseconds{dice_.OneIn(3) ? 0 : dice_.Between(0, hurry)};
      time_.At(at, [this] { Publish(); });
      if (dice_.OneIn(40)) time_.At(at, [this] { bus_.Flush(); });
      if (dice_.OneIn(60)) time_.At(at, [this] { LeaveSomebody(); });
    }
    end_ = at + milliseconds{500};
  }

  // What does not hold; empty if all does.
  std::string Run() {
    time_.At(end_, [this] {
      time_.EndHanging();
      hanging_allowed_ = false;
      bus_.Close();
      closed_ = true;
    });
    int steps = 0;
    while (broken_.empty() && time_.Step()) {
      CheckBounds();
      Demand(++steps < 1'000'000, "it never ends");
    }
    if (broken_.empty()) CheckEnd();
    return broken_;
  }

  void OnSettled(Ask& ask, const Published& published) {
    Demand(!ask.outcome, "a ticket is settled twice");
    ask.outcome = published;
    if (published.fate == Fate::kDuplicate) {
      Demand(ask.expected_duplicate, "a distinct event passed for a duplicate");
      return;
    }
    Demand(!ask.expected_duplicate, "a duplicate came through");
    if (!published.event) return;
    const auto sequence = published.event->sequence;
    Demand(admitted_.emplace(sequence, published.event).second, "two events have one sequence");
    if (ask.options.delivery != Delivery::kSynchronous) return;
    std::uint32_t handled = 0;
    for (const auto& member : members_) {
      const auto lane = member->lanes.find(member->LaneOf(*published.event));
      if (lane == member->lanes.end()) continue;
      handled += std::ranges::any_of(lane->second, [&](const Told& told) {
        return std::ranges::find(told.sequences, sequence) != told.sequences.end();
      });
    }
    Demand(handled >= published.delivered + published.failed, "somebody has it of whom nobody knows");
  }

 private:
  void Demand(bool holds, std::string_view what) {
    if (!holds && broken_.empty()) broken_ = what;
  }

  BusOptions RandomOptions(std::uint64_t seed) {
    BusOptions options;
    options.batch_window = dice_.Millis(1, 60);
    options.batch_events_max = static_cast<std::uint32_t>(dice_.Between(1, 12));
    options.calls_max = static_cast<std::uint32_t>(dice_.Between(1, 6));
    options.publishers_max = static_cast<std::uint32_t>(dice_.Between(0, 6));
    options.dead_letters_max = static_cast<std::uint32_t>(dice_.Between(0, 5));
    options.deduplication.window = dice_.Millis(1, 40);
    options.history.events_max = 7;
    options.seed = seed;
    return options;
  }

  void Join(std::int64_t number) {
    auto& member = *members_.emplace_back(std::make_unique<Member>());
    SubscribeOptions& options = member.options;
    options.name = std::to_string(number);
    if (dice_.OneIn(3)) options.types = {kTypes[dice_.Between(0, 2)]};
    if (dice_.OneIn(6)) options.circle_id = dice_.Between(1, 3);
    if (dice_.OneIn(3)) options.order = Order::kAll;
    if (dice_.OneIn(3)) options.runs = Runs::kInPublisher;
    options.collects = dice_.OneIn(3);
    options.queue_events_max = static_cast<std::uint32_t>(dice_.OneIn(2) ? dice_.Between(1, 8) : 200);
    options.when_full = static_cast<WhenFull>(dice_.Between(0, 3));
    options.block_max = dice_.Millis(0, 100);
    options.on_disconnect = [&member] { member.disconnected = true; };
    options.calls_max = static_cast<std::uint32_t>(dice_.Between(1, 4));
    options.timeout = dice_.Millis(5, 60);
    options.attempts_max = static_cast<std::uint32_t>(dice_.Between(1, 4));
    options.backoff_min = dice_.Millis(1, 10);
    options.backoff_max = dice_.Millis(10, 40);
    member.subscription =
        bus_.Subscribe(options, [this, &member](const Batch& batch) { Handle(member, batch); });
  }

  void Publish() {
    Event event;
    event.type = kTypes[dice_.Between(0, 2)];
    if (!dice_.OneIn(5)) event.circle_id = dice_.OneIn(2) ? 1 : dice_.Between(2, 4);
    auto& ask = asks_.emplace_back(*this);
    ask.options.delivery = static_cast<Delivery>(dice_.Between(0, 2));
    if (dice_.OneIn(3)) {
      ask.same_by = std::to_string(dice_.Between(0, 3));
      ask.options.same_by = ask.same_by;
      ExpectDuplicate(ask, event);
    }
    bus_.Publish(std::move(event), ask.options, ask);
  }

  void ExpectDuplicate(Ask& ask, const Event& event) {
    const auto key = std::tuple{event.type, event.circle_id, ask.same_by};
    const auto last = came_.find(key);
    ask.expected_duplicate =
        last != came_.end() && time_.Now() - last->second < options_.deduplication.window;
    if (!ask.expected_duplicate && !closed_) came_[key] = time_.Now();
  }

  void Handle(Member& member, const Batch& batch) {
    Demand(member.alive || member.begun_before_end-- > 0, "a handler is called whose subscription is over");
    Demand(!batch.events.empty(), "a batch without events");
    Demand(batch.events.size() <= (member.options.collects ? options_.batch_events_max : 1),
           "a batch too big");
    Demand(batch.attempt <= member.options.attempts_max || batch.events.size() > 1, "an attempt too many");
    Told told{.begun = time_.Now(), .missed = batch.missed, .attempt = batch.attempt};
    for (const EventPointer& event : batch.events) {
      Demand(member.Wants(*event), "an event nobody asked for");
      Demand(member.LaneOf(*event) == member.LaneOf(*batch.events.front()), "a batch of two orders");
      told.sequences.push_back(event->sequence);
    }
    const bool hang = hanging_allowed_ && dice_.OneIn(150);
    const auto spent = dice_.OneIn(10) ? dice_.Millis(0, 90) : dice_.Millis(0, 3);
    // A handler in its publisher's thread takes no time here.
    const bool here = member.options.runs == Runs::kInPublisher;
    told.failed = dice_.OneIn(8);
    told.ended = hang ? std::max(end_, time_.Now()) : time_.Now() + spent;
    if (here) told.ended = time_.Now();
    for (const std::int64_t sequence : told.sequences) {
      if (!told.failed) ++member.done[sequence];
    }
    const bool failed = told.failed;
    member.lanes[member.LaneOf(*batch.events.front())].push_back(std::move(told));
    if (!here) {
      time_.Spend(spent);
      if (hang) time_.Hang();
    }
    if (dice_.OneIn(20) && asks_.size() < 300) Publish();
    if (!failed && dice_.OneIn(200) && member.alive) {
      member.begun_before_end = StatsOf(member).running - 1;
      Leave(member);
    }
    if (failed) throw std::runtime_error{"as the dice say"};
  }

  void LeaveSomebody() {
    Member& member =
        *members_[static_cast<std::size_t>(dice_.Between(0, static_cast<std::int64_t>(members_.size()) - 1))];
    if (member.alive && StatsOf(member).running == 0) Leave(member);
  }

  void Leave(Member& member) {
    if (!std::exchange(member.alive, false)) return;
    Subscription{std::move(member.subscription)};
  }

  [[nodiscard]] const Member& MemberOf(const SubscriptionStats& stats) const {
    return **std::ranges::find_if(members_,
                                  [&](const auto& member) { return member->options.name == stats.name; });
  }

  [[nodiscard]] SubscriptionStats StatsOf(const Member& member) const {
    for (const SubscriptionStats& stats : bus_.Stats().subscriptions) {
      if (stats.name == member.options.name) return stats;
    }
    return {};
  }

  void CheckBounds() {
    const BusStats stats = bus_.Stats();
    Demand(stats.running <= options_.calls_max + members_.size(), "too many calls at a time");
    Demand(stats.publishers_waiting <= options_.publishers_max, "too many publishers wait");
    Demand(bus_.DeadLetters().size() <= options_.dead_letters_max, "too many dead letters");
    Demand(stats.history.events <= 7, "too long a history");
    for (const SubscriptionStats& one : stats.subscriptions) {
      const Member& member = MemberOf(one);
      Demand(one.queued <= member.options.queue_events_max, "a queue beyond its bound");
      Demand(one.running <= member.options.calls_max + 1, "too many calls for a subscriber");
      Demand(one.offered == one.delivered + one.dead + one.dropped + one.abandoned + one.queued,
             "an event without a fate");
    }
  }

  void CheckEnd() {
    Demand(bus_.WaitUntilIdle(milliseconds{0}), "the bus does not come to rest");
    for (const Ask& ask : asks_) Demand(ask.outcome.has_value(), "a publisher never hears");
    for (const auto& member : members_) {
      for (const auto& [lane, calls] : member->lanes) CheckLane(*member, lane, calls);
      CheckNoneBeginsBesideOneStuck(*member);
      for (const auto& [sequence, times] : member->done) Demand(times == 1, "an event is handled twice");
    }
    const BusStats stats = bus_.Stats();
    Demand(stats.published == admitted_.size(), "the bus counts otherwise");
    Demand(stats.totals.queued == 0 && stats.totals.running == 0, "something is left");
    Demand(stats.totals.offered ==
               stats.totals.delivered + stats.totals.dead + stats.totals.dropped + stats.totals.abandoned,
           "an event is lost without a counter");
    for (const SubscriptionStats& one : stats.subscriptions) {
      const Member& member = MemberOf(one);
      Demand(one.delivered == member.done.size(), "what was handled is counted otherwise");
    }
  }

  // One after the other, in order, and what is missing between them is what they were told.
  void CheckLane(const Member& member, std::int64_t lane, const std::vector<Told>& calls) {
    std::vector<std::int64_t> all;
    for (const auto& [sequence, event] : admitted_) {
      if (member.Wants(*event) && member.LaneOf(*event) == lane) all.push_back(sequence);
    }
    const auto place = [&](std::int64_t sequence) {
      const auto found = std::ranges::lower_bound(all, sequence);
      Demand(found != all.end() && *found == sequence, "an event nobody published");
      return found - all.begin();
    };
    std::ptrdiff_t next = 0;
    const Told* before = nullptr;
    for (const Told& told : calls) {
      if (before != nullptr) Demand(told.begun >= before->ended, "two calls at a time");
      const bool again = before != nullptr && before->failed && before->sequences == told.sequences;
      Demand(told.attempt == (again ? before->attempt + 1 : 1), "an attempt that was counted otherwise");
      if (before != nullptr && before->failed && told.sequences.front() <= before->sequences.back())
        Demand(told.sequences.size() == 1, "what failed together comes together again");
      const std::ptrdiff_t first = place(told.sequences.front());
      for (std::size_t i = 0; i < told.sequences.size(); ++i)
        Demand(place(told.sequences[i]) == first + static_cast<std::ptrdiff_t>(i), "a gap within a batch");
      Demand(first >= next, "out of order");
      Demand(static_cast<std::uint64_t>(first - next) == told.missed, "a gap that was told otherwise");
      const auto size = static_cast<std::ptrdiff_t>(told.sequences.size());
      const bool over = !told.failed || (size == 1 && told.attempt == member.options.attempts_max);
      if (over) next = first + size;
      before = &told;
    }
  }

  void CheckNoneBeginsBesideOneStuck(const Member& member) {
    if (member.options.runs == Runs::kInPublisher) return;
    for (const auto& [lane, calls] : member.lanes) {
      for (const Told& told : calls) {
        const Clock::Steady stuck_at = told.begun + member.options.timeout;
        for (const auto& [other_lane, others] : member.lanes) {
          for (const Told& other : others)
            Demand(other.begun <= stuck_at || other.begun >= told.ended, "a call beside one that is stuck");
        }
      }
    }
  }

  Dice dice_;
  VirtualTime time_;
  const BusOptions options_;
  std::vector<std::unique_ptr<Member>> members_;  // outlive the bus' calls
  std::deque<Ask> asks_;
  std::map<std::int64_t, EventPointer> admitted_;
  std::map<std::tuple<EventType, std::optional<std::int64_t>, std::string>, Clock::Steady> came_;
  Clock::Steady end_;
  bool closed_ = false;
  std::string broken_;
  bool hanging_allowed_ = true;
  Bus bus_;

 public:
  ~Story() {
    for (auto& member : members_) member->subscription = {};
  }
  Story(const Story&) = delete;
  Story& operator=(const Story&) = delete;
};

void Ask::OnSettled(Published published) {
  story.OnSettled(*this, published);
}

std::uint64_t NumberFrom(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("whatever happens, a bus keeps its bounds, its order and its books", "[events]") {
  const std::uint64_t first = NumberFrom("GATHERING_SEED", 1);
  const std::uint64_t seeds = NumberFrom("GATHERING_SEEDS", 1'000);
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    auto story = std::make_unique<Story>(seed);
    const std::string broken = story->Run();
    if (broken.empty()) continue;
    (void)story.release();  // its calls may never end
    FAIL("seed " << seed << ": " << broken);
  }
}

}  // namespace gathering::events
