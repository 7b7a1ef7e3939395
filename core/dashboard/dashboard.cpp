#include "core/dashboard/dashboard.h"

#include "core/base/limits.h"
#include "core/db/queries.h"

namespace gathering::dashboard {
namespace {

void RequireCircle(db::Executor& db, std::int64_t id) {
  if (!FindCircle(db, id)) throw Error{Code::kNotFound, "Circle " + std::to_string(id) + " not found"};
}

}  // namespace

DashboardStats Stats(db::Executor& db) {
  return db.One<DashboardStats>(sql::kDashboardStats);
}

std::vector<DashboardCircle> Circles(db::Executor& db, std::optional<bool> is_active) {
  return db.All<DashboardCircle>(sql::kDashboardCircles, is_active, kListRowsMax);
}

std::optional<DashboardCircle> FindCircle(db::Executor& db, std::int64_t id) {
  return db.Maybe<DashboardCircle>(sql::kDashboardCircleById, id);
}

std::vector<DashboardMember> Members(db::Executor& db, std::int64_t circle_id) {
  auto members = db.All<DashboardMember>(sql::kDashboardMembers, circle_id, kListRowsMax);
  if (members.empty()) RequireCircle(db, circle_id);
  return members;
}

std::vector<DashboardTask> Tasks(db::Executor& db, std::int64_t circle_id,
                                 std::optional<tasks::TaskStatus> status) {
  auto tasks = db.All<DashboardTask>(sql::kDashboardTasks, circle_id, status, kListRowsMax);
  if (tasks.empty()) RequireCircle(db, circle_id);
  return tasks;
}

}  // namespace gathering::dashboard
