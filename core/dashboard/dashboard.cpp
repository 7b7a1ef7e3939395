#include "core/dashboard/dashboard.h"

#include "core/base/limits.h"
#include "core/db/queries.h"

namespace gathering::dashboard {
namespace {

void RequireCircle(db::Tx& tx, std::int64_t id) {
  if (!FindCircle(tx, id)) throw Error{Code::kNotFound, "Circle " + std::to_string(id) + " not found"};
}

}  // namespace

DashboardStats Stats(db::Tx& tx) {
  return tx.One<DashboardStats>(sql::kDashboardStats);
}

std::vector<DashboardCircle> Circles(db::Tx& tx, std::optional<bool> is_active) {
  return tx.All<DashboardCircle>(sql::kDashboardCircles, is_active, kListRowsMax);
}

std::optional<DashboardCircle> FindCircle(db::Tx& tx, std::int64_t id) {
  return tx.Maybe<DashboardCircle>(sql::kDashboardCircleById, id);
}

std::vector<DashboardMember> Members(db::Tx& tx, std::int64_t circle_id) {
  auto members = tx.All<DashboardMember>(sql::kDashboardMembers, circle_id, kListRowsMax);
  if (members.empty()) RequireCircle(tx, circle_id);
  return members;
}

std::vector<DashboardTask> Tasks(db::Tx& tx, std::int64_t circle_id,
                                 std::optional<tasks::TaskStatus> status) {
  auto tasks = tx.All<DashboardTask>(sql::kDashboardTasks, circle_id, status, kListRowsMax);
  if (tasks.empty()) RequireCircle(tx, circle_id);
  return tasks;
}

}  // namespace gathering::dashboard
