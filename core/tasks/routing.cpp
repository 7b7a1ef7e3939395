#include "core/tasks/routing.h"

#include "core/db/queries.h"

namespace gathering::tasks {

void AssignPending(db::Tx& tx, std::int64_t circle_id, std::string_view user) {
  // Ends: each round takes one of the circle's at most max_concurrent_tasks places.
  while (!tx.Run(sql::kTaskAssignNext, circle_id, user).empty()) {
  }
}

void Release(db::Tx& tx, const Leaving& leaving) {
  tx.Run(sql::kTaskRelease, leaving.circle_id, leaving.agent_id, leaving.user);
}

}  // namespace gathering::tasks
