// /circles: circles, their members and their tasks.
#include "core/circles/circle.h"
#include "core/tasks/task.h"
#include "daemon/api/table.h"
#include "daemon/http/remembered.h"

namespace gathering::http {
namespace {

using circles::Slice;

struct CirclePath {
  std::string name;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.doc = "The circle's name", .required = true});
  }
};

struct MemberPath {
  std::string name;
  std::int64_t agent_id = 0;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.doc = "The circle's name", .required = true});
    visit("agent_id", self.agent_id, {.required = true});
  }
};

struct TaskPath {
  std::string name;
  std::int64_t task_id = 0;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.doc = "The circle's name", .required = true});
    visit("task_id", self.task_id, {.doc = "The task's number in its circle", .required = true});
  }
};

struct MemberQuery {
  std::int64_t agent_id = 0;
  std::string agent_name;
  std::string provider = "anthropic";
  std::string model = "claude-sonnet-4-20250514";
  std::string competencies;
  std::string can_review;

  static void Fields(auto& self, auto& visit) {
    visit("agent_id", self.agent_id, {.doc = "Need not be an agent of this system", .required = true});
    visit("agent_name", self.agent_name, {.min = 1, .max = 200, .required = true});
    visit("provider", self.provider, {.max = 50});
    visit("model", self.model, {.max = 100});
    visit("competencies", self.competencies, {.doc = "Separated by commas"});
    visit("can_review", self.can_review, {.doc = "Separated by commas"});
  }
};

struct TaskQuery {
  std::optional<tasks::TaskStatus> status_filter;
  Slice slice;

  static void Fields(auto& self, auto& visit) {
    visit("status_filter", self.status_filter, {.doc = "Only tasks of this status"});
    Slice::Fields(self.slice, visit);
  }
};

struct TaskCreate {
  std::string title;
  std::string description;
  std::vector<std::string> required_competencies;
  schema::Json<> priority{"5"};
  std::optional<std::int64_t> assigned_agent_id;

  static void Fields(auto& self, auto& visit) {
    visit("title", self.title, {.min = 1, .max = tasks::kTitleLengthMax, .required = true});
    visit("description", self.description, {.max = tasks::kDescriptionLengthMax});
    visit("required_competencies", self.required_competencies,
          {.doc = "The task goes to a member who has one of them", .max = circles::kCompetenciesMax});
    visit("priority", self.priority, {.doc = "1 (first) to 10, or critical, high, medium or low"});
    visit("assigned_agent_id", self.assigned_agent_id, {.doc = "A member of the circle"});
  }
};

struct TaskResult {
  std::string result;
  std::vector<std::string> files_modified;

  static void Fields(auto& self, auto& visit) {
    visit("result", self.result, {.max = tasks::kResultLengthMax, .required = true});
    visit("files_modified", self.files_modified,
          {.doc = "What open tasks of the circle both modify is a conflict", .max = tasks::kFilesMax});
  }
};

struct ApproveQuery {
  std::int64_t reviewer_id = 0;
  std::string comments;

  static void Fields(auto& self, auto& visit) {
    visit("reviewer_id", self.reviewer_id, {.doc = "A member of the circle", .required = true});
    visit("comments", self.comments, {.max = 10'000});
  }
};

struct RejectQuery {
  std::int64_t reviewer_id = 0;
  std::string reason;

  static void Fields(auto& self, auto& visit) {
    visit("reviewer_id", self.reviewer_id, {.doc = "A member of the circle", .required = true});
    visit("reason", self.reason, {.max = 10'000, .required = true});
  }
};

struct CircleChange {
  std::string status;

  static void Fields(auto& self, auto& visit) { visit("status", self.status, {.required = true}); }
};

struct MemberChange {
  std::string status;
  std::int64_t agent_id = 0;

  static void Fields(auto& self, auto& visit) {
    visit("status", self.status, {.required = true});
    visit("agent_id", self.agent_id, {.required = true});
  }
};

struct TaskReviewed {
  std::string status;
  std::int64_t task_id = 0;

  static void Fields(auto& self, auto& visit) {
    visit("status", self.status, {.required = true});
    visit("task_id", self.task_id, {.required = true});
  }
};

Error Invalid(std::string_view origin, std::string field, std::string message, std::string input) {
  return Error{std::vector<FieldError>{{.type = "value_error",
                                        .location = {std::string{origin}, std::move(field)},
                                        .message = "Value error, " + std::move(message),
                                        .input = std::move(input),
                                        .context = {}}}};
}

void RequireCompetencies(std::string_view origin, std::string field, const std::vector<std::string>& values) {
  if (circles::CompetenciesFit(values)) return;
  throw Invalid(origin, std::move(field),
                "at most " + std::to_string(circles::kCompetenciesMax) + " words of 1 to " +
                    std::to_string(circles::kCompetencyLengthMax) + " characters",
                schema::ToJson(values));
}

circles::CircleList List(Call& call, Query<Slice> query) {
  return circles::List(call.db(), query.value);
}

Created<circles::CircleDetail> Create(Call& call, Body<circles::NewCircle> body) {
  return {call.Write([&](db::Tx& tx) { return circles::Create(tx, body.value, call.principal().user_id); })};
}

Remembered<circles::CircleDetail> Get(Call& call, Path<CirclePath> path) {
  return Remember(call, Answers::Kind::kCircles, path->name,
                  [&] { return circles::Get(call.db(), path->name); });
}

void Delete(Call& call, Path<CirclePath> path) {
  circles::Delete(call.db(), path->name);
}

CircleChange Start(Call& call, Path<CirclePath> path) {
  const bool started =
      call.Write([&](db::Tx& tx) { return circles::Start(tx, path->name, call.principal().user_id); });
  return {started ? "started" : "already_running"};
}

CircleChange Stop(Call& call, Path<CirclePath> path) {
  const bool stopped = circles::Stop(call.db(), path->name);
  return {stopped ? "stopped" : "already_stopped"};
}

MemberChange AddMember(Call& call, Path<CirclePath> path, Query<MemberQuery> query) {
  const circles::NewMember member{.agent_id = query->agent_id,
                                  .name = query->agent_name,
                                  .provider = query->provider,
                                  .model = query->model,
                                  .competencies = circles::SplitCompetencies(query->competencies),
                                  .can_review = circles::SplitCompetencies(query->can_review)};
  RequireCompetencies("query", "competencies", member.competencies);
  RequireCompetencies("query", "can_review", member.can_review);
  call.Write([&](db::Tx& tx) { circles::AddMember(tx, path->name, member, call.principal().user_id); });
  return {"added", member.agent_id};
}

MemberChange RemoveMember(Call& call, Path<MemberPath> path) {
  call.Write([&](db::Tx& tx) {
    circles::RemoveMember(tx, path->name, {.agent_id = path->agent_id, .user = call.principal().user_id});
  });
  return {"removed", path->agent_id};
}

tasks::TaskList ListTasks(Call& call, Path<CirclePath> path, Query<TaskQuery> query) {
  const tasks::TaskFilter filter{.status = query->status_filter, .slice = query->slice};
  return tasks::List(call.db(), path->name, filter);
}

Created<tasks::Task> CreateTask(Call& call, Path<CirclePath> path, Body<TaskCreate> body) {
  const auto priority = tasks::ParsePriority(body->priority);
  if (!priority) {
    throw Invalid("body", "priority", "priority is a whole number or one of critical, high, medium and low",
                  body->priority.text);
  }
  RequireCompetencies("body", "required_competencies", body->required_competencies);
  const tasks::NewTask task{.title = body->title,
                            .description = body->description,
                            .required_competencies = body->required_competencies,
                            .priority = *priority,
                            .assigned_agent_id = body->assigned_agent_id};
  const std::string_view user = call.principal().user_id;
  if (!tasks::IsRouted(task)) return {tasks::CreateWaiting(call.db(), path->name, task, user)};
  return {call.Write([&](db::Tx& tx) { return tasks::Create(tx, path->name, task, user); })};
}

tasks::Task GetTask(Call& call, Path<TaskPath> path) {
  return tasks::Get(call.db(), path->name, path->task_id);
}

tasks::Task SubmitTask(Call& call, Path<TaskPath> path, Body<TaskResult> body) {
  if (!tasks::FilesFit(body->files_modified)) {
    throw Invalid("body", "files_modified",
                  "a file's name has 1 to " + std::to_string(tasks::kFileLengthMax) + " characters",
                  schema::ToJson(body->files_modified));
  }
  const tasks::Submission submission{.result = body->result, .files_modified = body->files_modified};
  return call.Write([&](db::Tx& tx) {
    return tasks::Submit(tx, path->name, path->task_id, submission, call.principal().user_id);
  });
}

TaskReviewed ApproveTask(Call& call, Path<TaskPath> path, Query<ApproveQuery> query) {
  const tasks::Review review{.reviewer_id = query->reviewer_id, .comment = query->comments};
  call.Write(
      [&](db::Tx& tx) { tasks::Approve(tx, path->name, path->task_id, review, call.principal().user_id); });
  return {"approved", path->task_id};
}

TaskReviewed RejectTask(Call& call, Path<TaskPath> path, Query<RejectQuery> query) {
  const tasks::Review review{.reviewer_id = query->reviewer_id, .comment = query->reason};
  call.Write(
      [&](db::Tx& tx) { tasks::Reject(tx, path->name, path->task_id, review, call.principal().user_id); });
  return {"rejected", path->task_id};
}

circles::ConflictList Conflicts(Call& call, Path<CirclePath> path, Query<Slice> query) {
  return circles::Conflicts(call.db(), path->name, query.value);
}

circles::CircleMetrics Metrics(Call& call, Path<CirclePath> path) {
  return circles::Metrics(call.db(), path->name);
}

constexpr Route kRoutes[] = {
    {"circles.list", Method::kGet, "/circles", Authority::kUser, Tier::kRead, Statements{2}, Handle<&List>,
     "Circles with their counts."},
    {"circles.create", Method::kPost, "/circles", Authority::kUser, Tier::kWrite, Statements{2},
     Handle<&Create>, "Create a circle; it is stopped at first."},
    {"circles.get", Method::kGet, "/circles/{name}", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Get>, "One circle with its members."},
    {"circles.delete", Method::kDelete, "/circles/{name}", Authority::kUser, Tier::kWrite, Statements{1},
     Handle<&Delete>, "Delete a circle; its name is free again."},
    {"circles.start", Method::kPost, "/circles/{name}/start", Authority::kUser, Tier::kWrite, kVaries,
     Handle<&Start>, "Start a circle; waiting tasks are handed out."},
    {"circles.stop", Method::kPost, "/circles/{name}/stop", Authority::kUser, Tier::kWrite, Statements{2},
     Handle<&Stop>, "Stop a circle; it takes no new tasks."},
    {"circles.agents.add", Method::kPost, "/circles/{name}/agents", Authority::kUser, Tier::kWrite, kVaries,
     Handle<&AddMember>, "Add a member."},
    {"circles.agents.remove", Method::kDelete, "/circles/{name}/agents/{agent_id}", Authority::kUser,
     Tier::kWrite, kVaries, Handle<&RemoveMember>, "Remove a member; its unfinished tasks go to others."},
    {"circles.tasks.list", Method::kGet, "/circles/{name}/tasks", Authority::kUser, Tier::kRead,
     Statements{3}, Handle<&ListTasks>, "Tasks of a circle, oldest first."},
    {"circles.tasks.create", Method::kPost, "/circles/{name}/tasks", Authority::kUser, Tier::kWrite, kVaries,
     Handle<&CreateTask>, "Create a task and hand it out by competency."},
    {"circles.tasks.get", Method::kGet, "/circles/{name}/tasks/{task_id}", Authority::kUser, Tier::kRead,
     Statements{2}, Handle<&GetTask>, "One task."},
    {"circles.tasks.submit", Method::kPost, "/circles/{name}/tasks/{task_id}/submit", Authority::kUser,
     Tier::kWrite, kVaries, Handle<&SubmitTask>, "Submit a task's result."},
    {"circles.tasks.approve", Method::kPost, "/circles/{name}/tasks/{task_id}/approve", Authority::kUser,
     Tier::kWrite, Statements{7}, Handle<&ApproveTask>, "Approve a result; the task is completed."},
    {"circles.tasks.reject", Method::kPost, "/circles/{name}/tasks/{task_id}/reject", Authority::kUser,
     Tier::kWrite, kVaries, Handle<&RejectTask>, "Send a result back, or fail the task after too many."},
    {"circles.conflicts", Method::kGet, "/circles/{name}/conflicts", Authority::kUser, Tier::kRead,
     Statements{3}, Handle<&Conflicts>, "Files that two open tasks modify."},
    {"circles.metrics", Method::kGet, "/circles/{name}/metrics", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Metrics>, "What the circle and its members have done."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> CircleRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
