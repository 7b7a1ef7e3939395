#include "core/events/mailbox.h"

#include <algorithm>
#include <utility>

namespace gathering::events {

Mailbox::Mailbox(Subscriber& subscriber, std::uint32_t events_max, std::uint32_t batch_max)
    : subscriber_(subscriber), events_max_(std::max(1U, events_max)), batch_max_(std::max(1U, batch_max)) {}

Lane& Mailbox::LaneOf(std::int64_t key) {
  std::unique_ptr<Lane>& lane = lanes_[key];
  if (!lane) {
    lane = std::make_unique<Lane>();
    lane->subscriber = &subscriber_;
    lane->key = key;
  }
  return *lane;
}

void Mailbox::Push(Lane& lane, Item item, bool collect) {
  item.missed += std::exchange(lane.missed, 0);
  if (lane.items.empty()) ++filled_;
  lane.items.push_back(std::move(item));
  size_max_seen_ = std::max(size_max_seen_, ++size_);
  if (collect) {
    ++collected_;
    if (!std::exchange(lane.collecting, true)) collecting_.push_back(&lane);
  } else {
    const auto all = static_cast<std::uint32_t>(lane.items.size());
    collected_ -= all - 1 - lane.due;
    lane.due = all;
  }
}

std::optional<Item> Mailbox::MakeRoom(const Lane& newcomer, WhenFull policy) {
  const std::uint32_t sharers = filled_ + (newcomer.items.empty() ? 1 : 0);
  const std::uint32_t share = std::max(1U, events_max_ / sharers);
  const bool own = Waiting(newcomer) > 0 && newcomer.items.size() >= share;
  if (own && policy == WhenFull::kDropNewest) return std::nullopt;
  Lane* const victim = own ? lanes_.at(newcomer.key).get() : Fullest();
  if (victim == nullptr) return std::nullopt;
  if (policy == WhenFull::kDropOldest) return Drop(*victim, victim->taken);
  if (victim->items.size() <= newcomer.items.size() + 1) return std::nullopt;
  return Drop(*victim, victim->items.size() - 1);
}

void Mailbox::FallDue(std::vector<Lane*>& due) {
  for (Lane* const lane : collecting_) {
    lane->collecting = false;
    lane->due = static_cast<std::uint32_t>(lane->items.size());
    due.push_back(lane);
  }
  collecting_.clear();
  collected_ = 0;
}

void Mailbox::Take(Lane& lane) {
  if (lane.due == 0) return;
  const std::uint32_t most = lane.singly > 0 ? 1 : std::min(lane.due, batch_max_);
  lane.items.front().missed += std::exchange(missed_, 0);
  lane.batch_missed = lane.items.front().missed;
  while (lane.taken < most && (lane.taken == 0 || lane.items[lane.taken].missed == 0))
    lane.batch.push_back(std::move(lane.items[lane.taken++].event));
}

void Mailbox::Finish(Lane& lane) {
  const std::uint32_t done = std::exchange(lane.taken, 0);
  lane.batch.clear();
  lane.items.erase(lane.items.begin(), lane.items.begin() + done);
  lane.due -= done;
  lane.singly -= std::min(lane.singly, done);
  lane.attempt = 0;
  size_ -= done;
  if (lane.items.empty()) --filled_;
}

void Mailbox::GiveBack(Lane& lane) {
  lane.singly = std::max(lane.singly, lane.taken);
  for (std::uint32_t i = 0; i < lane.taken; ++i) lane.items[i].event = std::move(lane.batch[i]);
  lane.batch.clear();
  lane.taken = 0;
}

void Mailbox::Clear(std::vector<Item>& out) {
  for (auto& [key, lane] : lanes_) {
    while (Waiting(*lane) > 0) out.push_back(Drop(*lane, lane->items.size() - 1));
  }
}

void Mailbox::Rest(Lane& lane) {
  lane.state = LaneState::kResting;
  if (!lane.items.empty() || lane.collecting || lanes_.size() <= kLanesKept) return;
  missed_ += lane.missed;
  lanes_.erase(lane.key);
}

std::optional<Clock::Steady> Mailbox::OldestQueuedAt() const {
  std::optional<Clock::Steady> oldest;
  for (const auto& [key, lane] : lanes_) {
    if (Waiting(*lane) == 0) continue;
    const Clock::Steady queued_at = lane->items[lane->taken].queued_at;
    if (!oldest || queued_at < *oldest) oldest = queued_at;
  }
  return oldest;
}

// By what waits; null if everything is in the handlers' hands.
Lane* Mailbox::Fullest() {
  Lane* fullest = nullptr;
  for (const auto& [key, lane] : lanes_) {
    if (Waiting(*lane) > (fullest == nullptr ? 0 : Waiting(*fullest))) fullest = lane.get();
  }
  return fullest;
}

Item Mailbox::Drop(Lane& lane, std::size_t place) {
  const auto at = lane.items.begin() + static_cast<std::ptrdiff_t>(place);
  Item item = std::move(*at);
  const auto next = lane.items.erase(at);
  (next == lane.items.end() ? lane.missed : next->missed) += item.missed + 1;
  --size_;
  if (place < lane.due) {
    --lane.due;
  } else {
    --collected_;
  }
  if (place < lane.singly) --lane.singly;
  if (place == 0) lane.attempt = 0;
  if (lane.items.empty()) --filled_;
  return item;
}

}  // namespace gathering::events
