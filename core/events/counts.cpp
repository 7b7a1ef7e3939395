#include "core/events/counts.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/db/queries.h"

namespace gathering::events {

Consumer Counter() {
  return {.name = "counts", .handle = [](db::Tx& tx, const Span& span) {
            tx.Run(sql::kEventCountsAdd, span.after, span.up_to);
          }};
}

std::vector<DayCount> ListCounts(db::Executor& db, const CountFilter& filter, const Date& from,
                                 const Date& to) {
  const std::int64_t days = DaysSinceEpoch(to) - DaysSinceEpoch(from) + 1;
  if (days < 1) throw Error{Code::kRejected, "from is after to"};
  if (days > kCountDaysMax)
    throw Error{Code::kRejected, fmt::format("at most {} days at a time", kCountDaysMax)};
  return db.All<DayCount>(sql::kEventCountsList, from, to, ToLikes(filter.types), filter.circle_id);
}

}  // namespace gathering::events
