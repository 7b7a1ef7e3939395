#pragma once
// How often what happened, by day (UTC): kept by a durable consumer, so that each event counts once, and for
// longer than the log keeps the events themselves.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/timestamp.h"
#include "core/db/executor.h"
#include "core/events/consumers.h"
#include "core/events/log.h"

namespace gathering::events {

struct DayCount {
  Date day;
  std::string type;
  std::int64_t events = 0;

  static void Fields(auto& self, auto& visit) {
    visit("day", self.day, {.required = true});
    visit("type", self.type, {.required = true});
    visit("events", self.events, {.required = true});
  }
};

[[nodiscard]] Consumer Counter();

// What is not given fits everything.
struct CountFilter {
  std::vector<std::string> types = {};  // patterns: "task.*"
  std::optional<std::int64_t> circle_id = {};
};

inline constexpr std::int64_t kCountDaysMax = 366;

// Of the days from `from` to `to`, both included, in their order; nothing for what did not happen.  Throws
// kRejected when that is more than kCountDaysMax days, or fewer than one.
[[nodiscard]] std::vector<DayCount> ListCounts(db::Executor& db, const CountFilter& filter, const Date& from,
                                               const Date& to);

}  // namespace gathering::events
