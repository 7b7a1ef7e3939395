#pragma once
// The latest events, bounded by their number, their bytes and their age; whoever is oldest leaves first.
//
// Safe from any thread.  Find looks at every event it holds.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/events/event.h"

namespace gathering::events {

struct HistoryOptions {
  std::uint32_t events_max = 1'000;
  std::size_t bytes_max = 4 * 1024 * 1024;
  std::chrono::seconds age_max{3'600};
};

struct HistoryStats {
  std::uint32_t events = 0;
  std::uint32_t events_max = 0;
  std::size_t bytes = 0;
  std::size_t bytes_max = 0;
  std::uint64_t evicted = 0;  // for number or bytes
  std::uint64_t expired = 0;  // for age
  std::uint64_t too_big = 0;  // not kept: bigger than all of it
};

// What is not given fits everything.
struct HistoryFilter {
  std::vector<EventType> types = {};
  std::optional<std::int64_t> source_agent_id = {};
  std::optional<std::int64_t> circle_id = {};
  std::size_t limit = 100;

  [[nodiscard]] bool Fits(const Event& event) const;
};

class History {
 public:
  explicit History(HistoryOptions options) : options_(options) {}
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // `now` may be as rough as the clock's NowRoughly.
  void Add(EventPointer event, Clock::Steady now);

  // What is too much or too old by these leaves: at once, or with the next Add.
  void SetOptions(const HistoryOptions& options);

  // The newest first.
  [[nodiscard]] std::vector<EventPointer> Find(const HistoryFilter& filter, Clock::Steady now) const;

  [[nodiscard]] HistoryStats Stats() const;

 private:
  struct Kept {
    EventPointer event;
    std::size_t bytes = 0;
    Clock::Steady added_at{};
  };

  void DropOldest();
  [[nodiscard]] bool Expired(const Kept& kept, Clock::Steady now) const {
    return now - kept.added_at >= options_.age_max;
  }

  mutable std::mutex mutex_;  // guards everything below
  HistoryOptions options_;
  std::deque<Kept> kept_;  // oldest first
  HistoryStats stats_;
};

}  // namespace gathering::events
