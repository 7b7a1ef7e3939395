#include <algorithm>

#include "core/base/text.h"
#include "core/circles/circle.h"
#include "core/db/queries.h"
#include "core/tasks/routing.h"

namespace gathering::circles {
namespace {

template <class T>
struct Counted {
  T item;
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    T::Fields(self.item, visit);
    visit("total", self.total);
  }
};

// What each row of circle_detail begins with, and how it goes on.
struct DetailHead {
  std::string name;
  CircleStatus status = CircleStatus::kStopped;
  bool require_review = true;
  bool auto_route = true;
  Timestamp created_at;
  std::optional<Timestamp> started_at;
  std::int64_t tasks_pending = 0;
  std::int64_t tasks_active = 0;
  std::int64_t tasks_completed = 0;
  std::int64_t tasks_failed = 0;
  std::int64_t conflicts = 0;
  std::vector<std::int64_t> workers;  // of the tasks at hand, the most urgent first,
  std::vector<std::string> titles;    // and what each of these works at

  static constexpr std::size_t kColumns = 13;
  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("status", self.status);
    visit("require_review", self.require_review);
    visit("auto_route", self.auto_route);
    visit("created_at", self.created_at);
    visit("started_at", self.started_at);
    visit("tasks_pending", self.tasks_pending);
    visit("tasks_active", self.tasks_active);
    visit("tasks_completed", self.tasks_completed);
    visit("tasks_failed", self.tasks_failed);
    visit("conflicts", self.conflicts);
    visit("workers", self.workers);
    visit("titles", self.titles);
  }
};
struct DetailMember {
  std::optional<std::int64_t> agent_id;  // none: the circle has no members
  std::optional<std::string> agent_name;
  std::optional<std::string> provider;
  std::optional<std::string> model;
  std::optional<std::vector<std::string>> competencies;
  std::optional<std::vector<std::string>> can_review;
  std::optional<Timestamp> joined_at;
  std::optional<Timestamp> last_active_at;

  static void Fields(auto& self, auto& visit) {
    visit("agent_id", self.agent_id);
    visit("agent_name", self.agent_name);
    visit("provider", self.provider);
    visit("model", self.model);
    visit("competencies", self.competencies);
    visit("can_review", self.can_review);
    visit("joined_at", self.joined_at);
    visit("last_active_at", self.last_active_at);
  }
};

Member ToMember(DetailMember row, const DetailHead& circle) {
  const auto work = std::find(circle.workers.begin(), circle.workers.end(), *row.agent_id);
  const bool busy = work != circle.workers.end();
  Member member{.id = *row.agent_id,
                .name = *std::move(row.agent_name),
                .role = *row.model,
                .provider = *std::move(row.provider),
                .model = *std::move(row.model),
                .status = busy ? MemberStatus::kBusy : MemberStatus::kIdle,
                .competencies = *std::move(row.competencies),
                .can_review = *std::move(row.can_review),
                .current_task = {},
                .created_at = *row.joined_at,
                .last_activity = row.last_active_at};
  if (busy) member.current_task = circle.titles[static_cast<std::size_t>(work - circle.workers.begin())];
  return member;
}

// Moves the rows of one slice into `items`; false when it is empty, so that the total is not known.
template <class T>
bool Unpack(std::vector<Counted<T>> rows, std::vector<T>& items, std::int64_t& total) {
  items.reserve(rows.size());
  for (auto& row : rows) items.push_back(std::move(row.item));
  if (rows.empty()) return false;
  total = rows.front().total;
  return true;
}

}  // namespace

Error NotFound(std::string_view name) {
  return Error{Code::kNotFound, "Circle '" + std::string{name} + "' not found"};
}

LockedCircle Lock(db::Tx& tx, std::string_view name) {
  auto circle = tx.Maybe<LockedCircle>(sql::kCircleLock, name);
  if (!circle) throw NotFound(name);
  return *circle;
}

std::int64_t IdOf(db::Executor& db, std::string_view name) {
  const auto id = db.Maybe<std::int64_t>(sql::kCircleIdByName, name);
  if (!id) throw NotFound(name);
  return *id;
}

CircleList List(db::Executor& db, const Slice& slice) {
  CircleList list;
  auto rows = db.All<Counted<Circle>>(sql::kCircleList, slice.limit, slice.offset);
  const bool known = Unpack(std::move(rows), list.circles, list.total);
  if (!known && slice.offset > 0) list.total = db.One<std::int64_t>(sql::kCircleCount);
  return list;
}

CircleDetail Get(db::Executor& db, std::string_view name) {
  const db::Rows rows = db.Run(sql::kCircleDetail, name);
  if (rows.empty()) throw NotFound(name);
  const auto head = rows.As<DetailHead>(0);
  CircleDetail circle;
  circle.id = circle.name = head.name;
  circle.status = head.status;
  circle.task_count = head.tasks_pending + head.tasks_active + head.tasks_completed + head.tasks_failed;
  circle.active_tasks = head.tasks_active;
  circle.require_review = head.require_review;
  circle.auto_route = head.auto_route;
  circle.created_at = head.created_at;
  circle.started_at = head.started_at;
  circle.pending_tasks = head.tasks_pending;
  circle.completed_tasks = head.tasks_completed;
  circle.failed_tasks = head.tasks_failed;
  circle.conflicts = head.conflicts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto member = rows.As<DetailMember>(i, DetailHead::kColumns);
    if (member.agent_id) circle.agents.push_back(ToMember(std::move(member), head));
  }
  circle.agent_count = static_cast<std::int64_t>(circle.agents.size());
  return circle;
}

CircleDetail Create(db::Tx& tx, const NewCircle& circle, std::string_view user) {
  const auto id = tx.Maybe<std::int64_t>(sql::kCircleAdd, circle.name, circle.require_review,
                                         circle.auto_route, circle.max_concurrent_tasks, user);
  if (!id) throw Error{Code::kConflict, "Circle '" + circle.name + "' already exists"};
  return Get(tx, circle.name);
}

void Delete(db::Executor& db, std::string_view name) {
  if (db.Run(sql::kCircleDelete, name).empty()) throw NotFound(name);
}

bool Start(db::Tx& tx, std::string_view name, std::string_view user) {
  const auto id = tx.Maybe<std::int64_t>(sql::kCircleStart, name);
  if (!id) {
    IdOf(tx, name);
    return false;
  }
  tasks::AssignPending(tx, *id, user);
  return true;
}

bool Stop(db::Executor& db, std::string_view name) {
  if (db.Maybe<std::int64_t>(sql::kCircleStop, name)) return true;
  IdOf(db, name);
  return false;
}

void AddMember(db::Tx& tx, std::string_view circle, const NewMember& member, std::string_view user) {
  const LockedCircle locked = Lock(tx, circle);
  if (tx.One<std::int64_t>(sql::kCircleMemberCount, locked.id) >= kMembersMax) {
    throw Error{Code::kRejected,
                "The circle has " + std::to_string(kMembersMax) + " members, which is all it can"};
  }
  const bool added = !tx.Run(sql::kCircleMemberAdd, locked.id, member.agent_id, member.name, member.provider,
                             member.model, member.competencies, member.can_review)
                          .empty();
  if (!added) {
    throw Error{Code::kConflict, "Agent " + std::to_string(member.agent_id) + " already in circle"};
  }
  tasks::AssignPending(tx, locked.id, user);
}

void RemoveMember(db::Tx& tx, std::string_view circle, const Departure& departure) {
  const LockedCircle locked = Lock(tx, circle);
  if (tx.Run(sql::kCircleMemberRemove, locked.id, departure.agent_id).empty()) {
    throw Error{Code::kNotFound, "Agent " + std::to_string(departure.agent_id) + " not in circle"};
  }
  tasks::Release(tx, {.circle_id = locked.id, .agent_id = departure.agent_id, .user = departure.user});
  tasks::AssignPending(tx, locked.id, departure.user);
}

ConflictList Conflicts(db::Executor& db, std::string_view circle, const Slice& slice) {
  ConflictList list;
  auto rows = db.All<Counted<Conflict>>(sql::kCircleConflicts, circle, slice.limit, slice.offset);
  if (Unpack(std::move(rows), list.conflicts, list.total)) return list;
  const std::int64_t id = IdOf(db, circle);
  if (slice.offset > 0) list.total = db.One<std::int64_t>(sql::kCircleConflictCount, id);
  return list;
}

CircleMetrics Metrics(db::Executor& db, std::string_view circle) {
  auto metrics = db.Maybe<CircleMetrics>(sql::kCircleMetrics, circle);
  if (!metrics) throw NotFound(circle);
  return *std::move(metrics);
}

std::size_t Characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::vector<std::string> SplitCompetencies(std::string_view text) {
  std::vector<std::string> parts;
  for (std::string& part : Split(text, ',')) {
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(std::move(part));
  }
  return parts;
}

bool CompetenciesFit(const std::vector<std::string>& competencies) {
  return competencies.size() <= static_cast<std::size_t>(kCompetenciesMax) &&
         std::all_of(competencies.begin(), competencies.end(), [](const std::string& one) {
           return !one.empty() && Characters(one) <= static_cast<std::size_t>(kCompetencyLengthMax);
         });
}

}  // namespace gathering::circles
