#pragma once
// Circles: named teams of agents that share tasks.
//
// A circle is known by its name, which is free again once the circle is deleted.
// Its members carry the name, provider and model they were added with; they need
// not be agents of ours.  Tasks are made only while the circle runs.
//
// Every change of a circle's members or tasks holds the circle's lock, so that
// changes of one circle happen one after the other and routing sees true counts.
// Functions throw kNotFound "Circle 'x' not found" for a name no circle has.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/timestamp.h"
#include "core/db/tx.h"
#include "core/schema/fields.h"

namespace gathering::circles {

inline constexpr std::int64_t kListedMax = 1'000;          // rows of one answer
inline constexpr std::int64_t kMembersMax = 1'000;         // active ones, of one circle
inline constexpr std::int64_t kCompetenciesMax = 64;       // of one member or task
inline constexpr std::int64_t kCompetencyLengthMax = 100;  // characters

enum class CircleStatus : std::uint8_t { kStopped, kStarting, kRunning, kStopping };
enum class MemberStatus : std::uint8_t { kIdle, kBusy, kOffline };

// A slice of a list; without it the first kListedMax rows.
struct Slice {
  std::int64_t limit = kListedMax;
  std::int64_t offset = 0;

  static void Fields(auto& self, auto& visit) {
    visit("limit", self.limit, {.doc = "How many at most", .min = 1, .max = kListedMax});
    visit("offset", self.offset, {.doc = "How many to skip", .min = 0});
  }
};

struct NewCircle {
  std::string name = {};
  bool require_review = true;
  bool auto_route = true;
  std::int64_t max_concurrent_tasks = 5;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.doc = "Unique among the circles", .min = 1, .max = 100, .required = true});
    visit("require_review", self.require_review, {.doc = "A result waits for a reviewer"});
    visit("auto_route", self.auto_route, {.doc = "Tasks go to whoever has the competencies"});
    visit("max_concurrent_tasks", self.max_concurrent_tasks,
          {.doc = "So many tasks are assigned or in progress at once; the others wait as pending",
           .min = 1,
           .max = 1'000});
  }
};

struct Circle {
  std::string id;  // the name
  std::string name;
  CircleStatus status = CircleStatus::kStopped;
  std::int64_t agent_count = 0;
  std::int64_t task_count = 0;
  std::int64_t active_tasks = 0;  // assigned, in progress or in review
  bool require_review = true;
  bool auto_route = true;
  Timestamp created_at;
  std::optional<Timestamp> started_at;     // of the latest start
  std::optional<std::int64_t> project_id;  // no project can have a circle yet
  std::optional<std::string> project_name;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id, {.required = true});
    visit("name", self.name, {.required = true});
    visit("status", self.status, {.required = true});
    visit("agent_count", self.agent_count, {.doc = "Active members", .required = true});
    visit("task_count", self.task_count, {.required = true});
    visit("active_tasks", self.active_tasks,
          {.doc = "Tasks assigned, in progress or in review", .required = true});
    visit("require_review", self.require_review, {.required = true});
    visit("auto_route", self.auto_route, {.required = true});
    visit("created_at", self.created_at, {.required = true});
    visit("started_at", self.started_at, {.doc = "Of the latest start"});
    visit("project_id", self.project_id);
    visit("project_name", self.project_name);
  }
};

// A member as the circle's page shows it.
struct Member {
  std::int64_t id = 0;  // the agent's id
  std::string name;
  std::string role;
  std::string provider;
  std::string model;
  MemberStatus status = MemberStatus::kIdle;
  std::vector<std::string> competencies;
  std::vector<std::string> can_review;
  std::optional<std::string> current_task;  // the title of the most urgent task at hand
  Timestamp created_at;                     // when the member joined
  std::optional<Timestamp> last_activity;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id, {.required = true});
    visit("name", self.name, {.required = true});
    visit("role", self.role, {.required = true});
    visit("provider", self.provider, {.required = true});
    visit("model", self.model, {.required = true});
    visit("status", self.status, {.required = true});
    visit("competencies", self.competencies);
    visit("can_review", self.can_review);
    visit("current_task", self.current_task);
    visit("created_at", self.created_at, {.required = true});
    visit("last_activity", self.last_activity);
  }
};

struct CircleDetail : Circle {
  std::vector<Member> agents;
  std::int64_t pending_tasks = 0;
  std::int64_t completed_tasks = 0;
  std::int64_t failed_tasks = 0;
  std::int64_t conflicts = 0;  // open ones

  static void Fields(auto& self, auto& visit) {
    Circle::Fields(self, visit);
    visit("agents", self.agents, {.required = true});
    visit("pending_tasks", self.pending_tasks, {.required = true});
    visit("completed_tasks", self.completed_tasks, {.required = true});
    visit("failed_tasks", self.failed_tasks, {.required = true});
    visit("conflicts", self.conflicts, {.doc = "Conflicts still open", .required = true});
  }
};

struct CircleList {
  std::vector<Circle> circles;
  std::int64_t total = 0;  // that exist, not that are listed

  static void Fields(auto& self, auto& visit) {
    visit("circles", self.circles, {.required = true});
    visit("total", self.total, {.doc = "How many exist", .required = true});
  }
};

// A member to be added.
struct NewMember {
  std::int64_t agent_id = 0;
  std::string name = {};
  std::string provider = {};
  std::string model = {};
  std::vector<std::string> competencies = {};
  std::vector<std::string> can_review = {};
};

// Two open tasks whose results touch the same file.
struct Conflict {
  std::int64_t id = 0;
  std::string type;
  std::string file_path;
  std::vector<std::int64_t> task_ids;
  std::vector<std::int64_t> agent_ids;
  Timestamp created_at;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id, {.required = true});
    visit("type", self.type, {.required = true});
    visit("file_path", self.file_path, {.required = true});
    visit("task_ids", self.task_ids, {.required = true});
    visit("agent_ids", self.agent_ids, {.required = true});
    visit("created_at", self.created_at, {.required = true});
  }
};

struct ConflictList {
  std::vector<Conflict> conflicts;
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    visit("conflicts", self.conflicts, {.required = true});
    visit("total", self.total, {.doc = "How many are open", .required = true});
  }
};

// What an active member has achieved in this circle; the database writes it as JSON.
struct MemberMetrics {
  std::int64_t agent_id = 0;
  std::string agent_name;
  std::int64_t tasks_completed = 0;
  std::int64_t tasks_failed = 0;
  std::int64_t current_workload = 0;  // tasks assigned, in progress or in review
  double approval_rate = 0;           // of the reviewed results, 0 before the first
  double average_quality_score = 0;   // reviewers give no scores: 0

  static void Fields(auto& self, auto& visit) {
    visit("agent_id", self.agent_id, {.required = true});
    visit("agent_name", self.agent_name, {.required = true});
    visit("tasks_completed", self.tasks_completed, {.required = true});
    visit("tasks_failed", self.tasks_failed, {.required = true});
    visit("current_workload", self.current_workload, {.required = true});
    visit("approval_rate", self.approval_rate, {.required = true});
    visit("average_quality_score", self.average_quality_score, {.required = true});
  }
};

// The last four fields repeat what the dashboard knows under other names.
struct CircleMetrics {
  schema::Json<std::vector<MemberMetrics>> agents{"[]"};
  std::int64_t total_tasks = 0;
  std::int64_t pending_tasks = 0;
  std::int64_t active_tasks = 0;
  std::int64_t completed_tasks = 0;
  std::int64_t failed_tasks = 0;
  std::int64_t tasks_completed = 0;
  std::int64_t tasks_in_progress = 0;
  std::int64_t conflicts_resolved = 0;
  double uptime_seconds = 0;  // since the start; 0 while stopped

  static void Fields(auto& self, auto& visit) {
    visit("agents", self.agents, {.required = true});
    visit("total_tasks", self.total_tasks, {.required = true});
    visit("pending_tasks", self.pending_tasks, {.required = true});
    visit("active_tasks", self.active_tasks, {.required = true});
    visit("completed_tasks", self.completed_tasks, {.required = true});
    visit("failed_tasks", self.failed_tasks, {.required = true});
    visit("tasks_completed", self.tasks_completed, {.required = true});
    visit("tasks_in_progress", self.tasks_in_progress, {.required = true});
    visit("conflicts_resolved", self.conflicts_resolved, {.required = true});
    visit("uptime_seconds", self.uptime_seconds, {.required = true});
  }
};

// A circle whose lock this transaction holds.
struct LockedCircle {
  std::int64_t id = 0;
  CircleStatus status = CircleStatus::kStopped;
  bool require_review = true;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("status", self.status);
    visit("require_review", self.require_review);
  }
};
[[nodiscard]] LockedCircle Lock(db::Tx& tx, std::string_view name);

// The row of the circle of this name, unlocked.
std::int64_t IdOf(db::Executor& db, std::string_view name);
[[nodiscard]] Error NotFound(std::string_view name);

[[nodiscard]] CircleList List(db::Executor& db, const Slice& slice);
[[nodiscard]] CircleDetail Get(db::Executor& db, std::string_view name);

// `user` is the id of who asks, here and below.  Throws kConflict when the name is taken.
CircleDetail Create(db::Tx& tx, const NewCircle& circle, std::string_view user);
void Delete(db::Executor& db, std::string_view name);

// False when it was so already.  Starting hands out the tasks that waited.
bool Start(db::Tx& tx, std::string_view name, std::string_view user);
bool Stop(db::Executor& db, std::string_view name);

// Throws kConflict when the agent is an active member already.  One who left comes back with
// what is said now and with the old counts.  Waiting tasks may go to the new member at once.
void AddMember(db::Tx& tx, std::string_view circle, const NewMember& member, std::string_view user);

struct Departure {
  std::int64_t agent_id = 0;
  std::string_view user = {};
};
// Throws kNotFound when the agent is no active member.  Its unfinished tasks go to the others or
// wait; its results under review stay under review.
void RemoveMember(db::Tx& tx, std::string_view circle, const Departure& departure);

[[nodiscard]] ConflictList Conflicts(db::Executor& db, std::string_view circle, const Slice& slice);
[[nodiscard]] CircleMetrics Metrics(db::Executor& db, std::string_view circle);

// "python, architecture" as {"python", "architecture"}: trimmed, without empty ones and repetitions.
[[nodiscard]] std::vector<std::string> SplitCompetencies(std::string_view text);
// Unicode characters of a UTF-8 text.
[[nodiscard]] std::size_t Characters(std::string_view text);
// False when there are more than kCompetenciesMax or one is empty or longer than kCompetencyLengthMax.
[[nodiscard]] bool CompetenciesFit(const std::vector<std::string>& competencies);

}  // namespace gathering::circles

template <>
struct gathering::schema::Names<gathering::circles::CircleStatus> {
  static constexpr std::string_view kTexts[] = {"stopped", "starting", "running", "stopping"};
};
template <>
struct gathering::schema::Names<gathering::circles::MemberStatus> {
  static constexpr std::string_view kTexts[] = {"idle", "busy", "offline"};
};
