#pragma once
// What the dashboard shows of circles, and the figures of the whole system.
//
// The dashboard's routes print the catalogue's rows with its own spelling of
// times; those types live with their nouns.  Some fields here belong to an older
// client and say the same for every circle or task.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/timestamp.h"
#include "core/db/tx.h"
#include "core/schema/fields.h"
#include "core/tasks/task.h"

namespace gathering::dashboard {

struct AgentFigures {
  std::int64_t total = 0;
  std::int64_t active = 0;
  std::int64_t busy = 0;
  std::int64_t idle = 0;

  static void Fields(auto& self, auto& visit) {
    visit("total", self.total);
    visit("active", self.active);
    visit("busy", self.busy);
    visit("idle", self.idle);
  }
};

struct TotalFigure {
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) { visit("total", self.total); }
};

struct CircleFigures {
  std::int64_t total = 0;
  std::int64_t active = 0;
  std::int64_t total_tasks = 0;

  static void Fields(auto& self, auto& visit) {
    visit("total", self.total);
    visit("active", self.active, {.doc = "Not deleted"});
    visit("total_tasks", self.total_tasks);
  }
};

struct ActivityFigures {
  std::int64_t tasks_completed = 0;
  std::int64_t reviews_done = 0;

  static void Fields(auto& self, auto& visit) {
    visit("tasks_completed", self.tasks_completed);
    visit("reviews_done", self.reviews_done);
  }
};

struct DashboardStats {
  schema::Json<AgentFigures> agents;
  schema::Json<TotalFigure> providers;
  schema::Json<TotalFigure> models;
  schema::Json<CircleFigures> circles;
  schema::Json<ActivityFigures> activity;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("agents", self.agents);
    visit("providers", self.providers);
    visit("models", self.models);
    visit("circles", self.circles);
    visit("activity", self.activity);
    visit("demo_mode", self.demo_mode);
  }
};

struct EmptyObject {
  static void Fields(auto&, auto&) {}
};

struct DashboardCircle {
  std::int64_t id = 0;
  std::string name;
  std::string display_name;
  std::optional<std::string> description;
  std::optional<std::string> owner_id;
  schema::Json<EmptyObject> settings;
  bool require_review = true;
  std::int64_t min_reviewers = 1;
  bool auto_assign_reviewer = true;
  bool self_review_allowed = false;
  bool escalate_on_reject = true;
  schema::Json<EmptyObject> review_policy;
  bool auto_route = true;
  std::string status;
  bool is_active = true;
  Timestamp created_at;
  Timestamp updated_at;
  std::optional<Timestamp> started_at;
  std::optional<Timestamp> stopped_at;
  std::optional<std::int64_t> project_id;
  std::int64_t member_count = 0;
  std::int64_t task_count = 0;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("name", self.name);
    visit("display_name", self.display_name);
    visit("description", self.description);
    visit("owner_id", self.owner_id, {.doc = "Who made it"});
    visit("settings", self.settings);
    visit("require_review", self.require_review);
    visit("min_reviewers", self.min_reviewers);
    visit("auto_assign_reviewer", self.auto_assign_reviewer);
    visit("self_review_allowed", self.self_review_allowed);
    visit("escalate_on_reject", self.escalate_on_reject);
    visit("review_policy", self.review_policy);
    visit("auto_route", self.auto_route);
    visit("status", self.status);
    visit("is_active", self.is_active, {.doc = "Not deleted"});
    visit("created_at", self.created_at);
    visit("updated_at", self.updated_at);
    visit("started_at", self.started_at);
    visit("stopped_at", self.stopped_at);
    visit("project_id", self.project_id);
    visit("member_count", self.member_count, {.doc = "Active members"});
    visit("task_count", self.task_count);
  }
};

struct DashboardMember {
  std::int64_t id = 0;
  std::int64_t circle_id = 0;
  std::int64_t agent_id = 0;
  std::string role;
  schema::Json<EmptyObject> permissions;
  std::vector<std::string> competencies;
  std::vector<std::string> can_review;
  bool is_active = true;
  Timestamp joined_at;
  std::optional<Timestamp> left_at;
  std::string agent_name;
  std::optional<std::string> agent_role;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("circle_id", self.circle_id);
    visit("agent_id", self.agent_id);
    visit("role", self.role);
    visit("permissions", self.permissions);
    visit("competencies", self.competencies);
    visit("can_review", self.can_review);
    visit("is_active", self.is_active);
    visit("joined_at", self.joined_at);
    visit("left_at", self.left_at);
    visit("agent_name", self.agent_name);
    visit("agent_role", self.agent_role, {.doc = "null when the member is no agent of this system"});
  }
};

struct DashboardTask {
  std::int64_t id = 0;
  std::int64_t circle_id = 0;
  std::optional<std::int64_t> project_id;
  std::string title;
  std::string description;
  std::string task_type;
  std::string priority;
  tasks::TaskStatus status = tasks::TaskStatus::kPending;
  std::vector<std::string> required_competencies;
  bool requires_review = true;
  std::vector<std::string> review_types;
  schema::Json<EmptyObject> context;
  std::optional<std::string> result;
  std::vector<std::string> artifacts;
  std::vector<std::string> files_modified;
  std::optional<std::int64_t> assigned_agent_id;
  std::optional<std::int64_t> parent_task_id;
  std::optional<std::int64_t> conversation_id;
  std::optional<std::int64_t> created_by_agent_id;
  std::optional<std::string> created_by_user_id;
  Timestamp created_at;
  Timestamp updated_at;
  std::optional<Timestamp> started_at;
  std::optional<Timestamp> completed_at;
  std::optional<Timestamp> due_at;
  std::optional<std::string> assigned_agent_name;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id, {.doc = "The task's number in its circle"});
    visit("circle_id", self.circle_id);
    visit("project_id", self.project_id);
    visit("title", self.title);
    visit("description", self.description);
    visit("task_type", self.task_type);
    visit("priority", self.priority, {.doc = "critical, high, medium or low"});
    visit("status", self.status);
    visit("required_competencies", self.required_competencies);
    visit("requires_review", self.requires_review);
    visit("review_types", self.review_types);
    visit("context", self.context);
    visit("result", self.result);
    visit("artifacts", self.artifacts);
    visit("files_modified", self.files_modified);
    visit("assigned_agent_id", self.assigned_agent_id);
    visit("parent_task_id", self.parent_task_id);
    visit("conversation_id", self.conversation_id);
    visit("created_by_agent_id", self.created_by_agent_id);
    visit("created_by_user_id", self.created_by_user_id);
    visit("created_at", self.created_at);
    visit("updated_at", self.updated_at);
    visit("started_at", self.started_at);
    visit("completed_at", self.completed_at);
    visit("due_at", self.due_at);
    visit("assigned_agent_name", self.assigned_agent_name);
  }
};

[[nodiscard]] DashboardStats Stats(db::Executor& db);

// Newest first; deleted circles are among them unless `is_active` says otherwise.
[[nodiscard]] std::vector<DashboardCircle> Circles(db::Executor& db, std::optional<bool> is_active);

// nullopt when there is none with this id; a deleted circle is found.
[[nodiscard]] std::optional<DashboardCircle> FindCircle(db::Executor& db, std::int64_t id);

// Both throw kNotFound when there is no such circle.  Members who left are not listed.
[[nodiscard]] std::vector<DashboardMember> Members(db::Executor& db, std::int64_t circle_id);
[[nodiscard]] std::vector<DashboardTask> Tasks(db::Executor& db, std::int64_t circle_id,
                                               std::optional<tasks::TaskStatus> status);

}  // namespace gathering::dashboard
