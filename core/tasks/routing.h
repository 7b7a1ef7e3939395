#pragma once
// Who works on which task.
//
// A pending task goes to an active member when the circle runs and fewer than
// max_concurrent_tasks of its tasks are assigned or in progress:
//   - to the member it was made for, if it was made for one;
//   - else, in a circle that routes by itself, to the best of those who have at
//     least one of the required competencies.  Best is the highest
//         share of the competencies * 0.8 * 0.5 + (1 - workload / 5) * 0.3 + approval rate * 0.2
//     and of equals the lowest id; workload counts tasks assigned, in progress or
//     in review.
// Tasks go out by priority, then by age.  A result that is sent back returns to its
// member even when the circle is full: work begun is not taken away.
#include <cstdint>
#include <string_view>

#include "core/db/tx.h"

namespace gathering::tasks {

// Hands out what can be handed out.  The caller holds the circle's lock; it calls this after
// everything that frees a place or brings somebody who could do more.
void AssignPending(db::Tx& tx, std::int64_t circle_id, std::string_view user);

struct Leaving {
  std::int64_t circle_id = 0;
  std::int64_t agent_id = 0;
  std::string_view user = {};
};
// Makes the unfinished tasks of a member who left pending again, for anybody.
void Release(db::Tx& tx, const Leaving& leaving);

}  // namespace gathering::tasks
