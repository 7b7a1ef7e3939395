#pragma once
// The events that wait for one subscriber, in lanes: those of a lane are handled one after the other, lanes
// are independent.  Part of the bus, whose lock guards it; here is only who waits where and who makes room.
//
// Fairness: each lane may fill its share, the room divided by the lanes that hold something.  When all is
// full, room is made in the newcomer's lane if that has its share, otherwise in the fullest.  So whoever
// publishes a lot loses its own, and one that publishes little finds room.
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/events/event.h"
#include "core/events/subscription.h"

namespace gathering::events {

class Ticket;
struct Subscriber;

struct Item {
  EventPointer event;
  Clock::Steady queued_at{};
  Ticket* ticket = nullptr;  // of the publisher that wants to know; null: nobody does
  std::uint64_t missed = 0;  // dropped just before it
};

enum class LaneState : std::uint8_t {
  kResting,  // nothing due
  kReady,    // in line for a call
  kRunning,
  kBackingOff,  // until its alarm
};

struct Lane {
  Subscriber* subscriber = nullptr;
  std::int64_t key = 0;
  LaneState state = LaneState::kResting;
  std::deque<Item> items;  // the first `taken` are in the handler's hands
  std::uint32_t taken = 0;
  std::uint32_t due = 0;     // from the front, to be handled now; the others are collected
  std::uint32_t singly = 0;  // from the front, to go one by one, because together they failed
  std::uint64_t missed = 0;  // dropped after the last
  bool collecting = false;   // in the list of those that are
  std::optional<std::pair<Clock::Steady, std::uint64_t>> alarm;  // when, and its number

  // The call: written by the bus before and after it.
  bool on_worker = false;
  std::vector<EventPointer> batch;
  std::uint64_t batch_missed = 0;
  std::uint32_t attempt = 0;
  std::atomic<bool> late = false;
  std::optional<std::string> failure;
  Lane* next = nullptr;  // in the same publisher's hands
};

class Mailbox {
 public:
  Mailbox(Subscriber& subscriber, std::uint32_t events_max, std::uint32_t batch_max);
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t size_max_seen() const { return size_max_seen_; }
  [[nodiscard]] bool Full() const { return size_ >= events_max_; }
  [[nodiscard]] std::uint32_t collected() const { return collected_; }

  [[nodiscard]] Lane& LaneOf(std::int64_t key);

  // At the end of the lane; needs room.  Collected, or due now with everything before it.
  void Push(Lane& lane, Item item, bool collect);

  // Takes out the one that makes room for another in `newcomer`, by the policy; none if the newcomer is to
  // go.
  [[nodiscard]] std::optional<Item> MakeRoom(const Lane& newcomer, WhenFull policy);

  // The newcomer went; the next of its lane says so.
  static void Miss(Lane& lane) { ++lane.missed; }

  // Everything collected is due; the lanes it is in are appended.
  void FallDue(std::vector<Lane*>& due);

  // Puts the next that are due in the handler's hands (lane.batch); none if all of them went meanwhile.
  void Take(Lane& lane);

  // The handler is done with them: they are gone, or they wait again where they were, to go one by one.
  void Finish(Lane& lane);
  void GiveBack(Lane& lane);

  // Takes out everything no handler holds.
  void Clear(std::vector<Item>& out);

  // An empty lane nobody runs: it is forgotten if there are many.
  void Rest(Lane& lane);

  template <class F>
  void ForEachLane(F&& f) {
    for (auto& [key, lane] : lanes_) f(*lane);
  }

  [[nodiscard]] std::optional<Clock::Steady> OldestQueuedAt() const;

 private:
  static constexpr std::size_t kLanesKept = 64;  // resting, with the memory they have

  [[nodiscard]] static std::uint32_t Waiting(const Lane& lane) {
    return static_cast<std::uint32_t>(lane.items.size()) - lane.taken;
  }
  [[nodiscard]] Lane* Fullest();
  [[nodiscard]] Item Drop(Lane& lane, std::size_t place);

  Subscriber& subscriber_;  // of every lane
  const std::uint32_t events_max_;
  const std::uint32_t batch_max_;
  std::uint32_t size_ = 0;
  std::uint32_t size_max_seen_ = 0;
  std::uint32_t collected_ = 0;  // in all lanes, not due
  std::uint32_t filled_ = 0;     // lanes that hold something
  std::uint64_t missed_ = 0;     // of lanes that are forgotten
  std::vector<Lane*> collecting_;
  std::unordered_map<std::int64_t, std::unique_ptr<Lane>> lanes_;
};

}  // namespace gathering::events
