#include "daemon/streams/feed.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace gathering::streams {
namespace {

constexpr std::chrono::seconds kBeginWithin{2};

events::HistoryOptions HistoryOptionsOf(const EventHistoryConfig& history) {
  return {.events_max = history.entries,
          .bytes_max = history.bytes,
          .age_max = std::chrono::duration_cast<std::chrono::seconds>(history.ttl)};
}

}  // namespace

Feed::Feed(const Config& config, const Clock& clock, events::ChangeListener& changes)
    : crew_(events::BusOptions{}.calls_max),
      bus_({.history = HistoryOptionsOf(config.caches.event_history)}, clock, crew_),
      hub_(bus_),
      streams_(config.streams),
      reader_(
          {.url = config.database.pool.url,
           .application_name = config.database.pool.application_name + " events",
           .poll_max = config.events.poll_max,
           .retention = config.events.retention},
          clock, [this](events::Event event) { bus_.Publish(std::move(event)); }, &changes) {}

Feed::~Feed() {
  reader_.Stop();
  bus_.Close();
}

void Feed::Reload(const Config& config) {
  bus_.SetHistory(HistoryOptionsOf(config.caches.event_history));
  reader_.SetRetention(config.events.retention);
  streams_.With([&](auto& streams) { streams = config.streams; });
}

void Feed::Start() {
  reader_.Start();
  if (!reader_.AwaitBegin(kBeginWithin))
    log::Warn("the log of events is not being read yet: a transaction that writes holds it up; streams wait");
}

std::optional<std::int64_t> Feed::Position() const {
  const auto read = reader_.Stats().position;
  if (!read) return std::nullopt;
  return std::max(*read, hub_.position());
}

cache::Snapshot Feed::Look() const {
  const events::HistoryStats history = bus_.Stats().history;
  cache::Snapshot seen;
  seen.name = "event_history";
  seen.policy = "fifo";
  seen.bounds = {.entries_max = history.events_max, .bytes_max = history.bytes_max};
  seen.entries = history.events;
  seen.bytes = history.bytes;
  seen.statistics.evicted_for_entries = history.evicted;
  seen.statistics.expired = history.expired;
  seen.statistics.refused = history.too_big;
  return seen;
}

cache::Bounds Feed::OwnBounds() const {
  const events::HistoryStats history = bus_.Stats().history;
  return {.entries_max = history.events_max, .bytes_max = history.bytes_max};
}

FeedStats Feed::Stats() const {
  return {.log = reader_.Stats(), .bus = bus_.Stats(), .hub = hub_.Stats()};
}

}  // namespace gathering::streams
