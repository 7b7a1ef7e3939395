#include "core/events/history.h"

#include <algorithm>
#include <utility>

namespace gathering::events {

bool HistoryFilter::Fits(const Event& event) const {
  return (types.empty() || std::ranges::find(types, event.type) != types.end()) &&
         (!source_agent_id || event.source_agent_id == source_agent_id) &&
         (!circle_id || event.circle_id == circle_id);
}

void History::Add(EventPointer event, Clock::Steady now) {
  const std::size_t bytes = event->Bytes();
  std::scoped_lock lock{mutex_};
  while (!kept_.empty() && Expired(kept_.front(), now)) {
    DropOldest();
    ++stats_.expired;
  }
  if (bytes > options_.bytes_max || options_.events_max == 0) {
    ++stats_.too_big;
    return;
  }
  while (kept_.size() >= options_.events_max || stats_.bytes + bytes > options_.bytes_max) {
    DropOldest();
    ++stats_.evicted;
  }
  kept_.push_back({.event = std::move(event), .bytes = bytes, .added_at = now});
  stats_.bytes += bytes;
}

void History::SetOptions(const HistoryOptions& options) {
  std::scoped_lock lock{mutex_};
  options_ = options;
  while (kept_.size() > options_.events_max || stats_.bytes > options_.bytes_max) {
    DropOldest();
    ++stats_.evicted;
  }
}

std::vector<EventPointer> History::Find(const HistoryFilter& filter, Clock::Steady now) const {
  std::vector<EventPointer> found;
  std::scoped_lock lock{mutex_};
  for (auto kept = kept_.rbegin(); kept != kept_.rend() && found.size() < filter.limit; ++kept) {
    if (Expired(*kept, now)) break;
    if (filter.Fits(*kept->event)) found.push_back(kept->event);
  }
  return found;
}

HistoryStats History::Stats() const {
  std::scoped_lock lock{mutex_};
  HistoryStats stats = stats_;
  stats.events = static_cast<std::uint32_t>(kept_.size());
  stats.events_max = options_.events_max;
  stats.bytes_max = options_.bytes_max;
  return stats;
}

void History::DropOldest() {
  stats_.bytes -= kept_.front().bytes;
  kept_.pop_front();
}

}  // namespace gathering::events
