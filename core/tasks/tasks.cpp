#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/db/queries.h"
#include "core/tasks/routing.h"
#include "core/tasks/task.h"

namespace gathering::tasks {
namespace {

struct TaskRow : Task {
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    Task::Fields(self, visit);
    visit("total", self.total);
  }
};

// What the database adds to a new task.
struct Added {
  std::int64_t number = 0;
  Timestamp created_at;

  static void Fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("created_at", self.created_at);
  }
};

// What a change has to know about the task.
struct State {
  std::int64_t id = 0;
  TaskStatus status = TaskStatus::kPending;
  std::int64_t iteration = 1;
  std::optional<std::int64_t> assigned_agent_id;
  bool assignee_active = false;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("status", self.status);
    visit("iteration", self.iteration);
    visit("assigned_agent_id", self.assigned_agent_id);
    visit("assignee_active", self.assignee_active);
  }
};

struct Move {
  TaskStatus to;
  std::optional<std::string> result = {};
  std::optional<std::int64_t> reviewer_id = {};
  std::optional<std::int64_t> agent_id = {};  // who did it
  std::string_view user = {};
  std::string_view comment = {};
};

// What a step adds to its member's counts.
struct Tally {
  std::int64_t completed = 0;
  std::int64_t failed = 0;
  std::int64_t passed = 0;
  std::int64_t refused = 0;
};

Error NotFound(std::int64_t number) {
  return Error{Code::kNotFound, "Task " + std::to_string(number) + " not found"};
}

Error NotRunning() {
  return Error{Code::kRejected, "Circle must be running to create tasks"};
}

State StateOf(db::Tx& tx, const circles::LockedCircle& circle, std::int64_t number) {
  const auto state = tx.Maybe<State>(sql::kTaskState, circle.id, number);
  if (!state) throw NotFound(number);
  return *state;
}

void RequireMember(db::Tx& tx, const circles::LockedCircle& circle, std::int64_t agent_id) {
  if (tx.One<bool>(sql::kTaskMemberActive, circle.id, agent_id)) return;
  throw Error{Code::kRejected, "Agent " + std::to_string(agent_id) + " not in circle"};
}

void Apply(db::Tx& tx, const State& state, const Move& move) {
  const auto moved = tx.Run(sql::kTaskMove, state.id, state.status, move.to, move.result, move.reviewer_id,
                            move.agent_id, move.user, move.comment);
  if (moved.empty()) throw Error{Code::kConflict, "The task was changed meanwhile"};
}

void Count(db::Tx& tx, const circles::LockedCircle& circle, const State& state, const Tally& tally) {
  tx.Run(sql::kTaskTallyAssignee, circle.id, state.assigned_agent_id, tally.completed, tally.failed,
         tally.passed, tally.refused);
}

// The task under review, after everything that speaks against a review was checked.
State UnderReview(db::Tx& tx, const circles::LockedCircle& circle, std::int64_t number,
                  const Review& review) {
  const State state = StateOf(tx, circle, number);
  if (state.status != TaskStatus::kInReview) {
    throw Error{Code::kRejected, "Task " + std::to_string(number) + " is " +
                                     std::string{schema::ToText(state.status)} + ", not in_review"};
  }
  RequireMember(tx, circle, review.reviewer_id);
  return state;
}

}  // namespace

TaskList List(db::Executor& db, std::string_view circle, const TaskFilter& filter) {
  TaskList list;
  auto rows = db.All<TaskRow>(sql::kTaskList, circle, filter.status, filter.slice.limit, filter.slice.offset);
  if (rows.empty()) {
    list.total = db.One<std::int64_t>(sql::kTaskCount, circles::IdOf(db, circle), filter.status);
    return list;
  }
  list.total = rows.front().total;
  list.tasks.reserve(rows.size());
  for (auto& row : rows) list.tasks.push_back(std::move(row));
  return list;
}

Task Get(db::Executor& db, std::string_view circle, std::int64_t number) {
  auto task = db.Maybe<Task>(sql::kTaskGet, circle, number);
  if (task) return *std::move(task);
  circles::IdOf(db, circle);
  throw NotFound(number);
}

bool IsRouted(const NewTask& task) {
  return task.assigned_agent_id || !task.required_competencies.empty();
}

Task CreateWaiting(db::Executor& db, std::string_view circle, const NewTask& task, std::string_view user) {
  const auto added =
      db.Maybe<Added>(sql::kTaskAddWaiting, circle, task.title, task.description, task.priority, user);
  if (!added) {
    circles::IdOf(db, circle);
    throw NotRunning();
  }
  Task created;
  created.id = added->number;
  created.title = task.title;
  created.description = task.description;
  created.priority = task.priority;
  created.created_at = added->created_at;
  return created;
}

Task Create(db::Tx& tx, std::string_view circle, const NewTask& task, std::string_view user) {
  const circles::LockedCircle locked = circles::Lock(tx, circle);
  if (locked.status != circles::CircleStatus::kRunning) throw NotRunning();
  if (task.assigned_agent_id) RequireMember(tx, locked, *task.assigned_agent_id);
  const auto number =
      tx.One<std::int64_t>(sql::kTaskAdd, locked.id, task.title, task.description, task.priority,
                           task.required_competencies, task.assigned_agent_id, user);
  AssignPending(tx, locked.id, user);
  return Get(tx, circle, number);
}

Task Submit(db::Tx& tx, std::string_view circle, std::int64_t number, const Submission& submission,
            std::string_view user) {
  const circles::LockedCircle locked = circles::Lock(tx, circle);
  const State state = StateOf(tx, locked, number);
  if (state.status != TaskStatus::kAssigned && state.status != TaskStatus::kInProgress) {
    throw Error{Code::kRejected, "Task " + std::to_string(number) + " is " +
                                     std::string{schema::ToText(state.status)} +
                                     ", not assigned or in_progress"};
  }
  const TaskStatus to = locked.require_review ? TaskStatus::kInReview : TaskStatus::kCompleted;
  Apply(tx, state,
        {.to = to, .result = submission.result, .agent_id = state.assigned_agent_id, .user = user});
  tx.Run(sql::kTaskNoteActivity, locked.id, state.assigned_agent_id);
  tx.Run(sql::kTaskFilesSet, state.id, submission.files_modified);
  if (to == TaskStatus::kInReview) {
    if (!submission.files_modified.empty()) tx.Run(sql::kTaskConflictsNote, state.id);
  } else {
    tx.Run(sql::kTaskConflictsEnd, state.id);
    Count(tx, locked, state, {.completed = 1});
  }
  AssignPending(tx, locked.id, user);
  return Get(tx, circle, number);
}

void Approve(db::Tx& tx, std::string_view circle, std::int64_t number, const Review& review,
             std::string_view user) {
  const circles::LockedCircle locked = circles::Lock(tx, circle);
  const State state = UnderReview(tx, locked, number, review);
  Apply(tx, state,
        {.to = TaskStatus::kCompleted,
         .reviewer_id = review.reviewer_id,
         .agent_id = review.reviewer_id,
         .user = user,
         .comment = review.comment});
  tx.Run(sql::kTaskConflictsEnd, state.id);
  tx.Run(sql::kTaskTallyReviewer, locked.id, review.reviewer_id);
  Count(tx, locked, state, {.completed = 1, .passed = 1});
}

void Reject(db::Tx& tx, std::string_view circle, std::int64_t number, const Review& review,
            std::string_view user) {
  const circles::LockedCircle locked = circles::Lock(tx, circle);
  const State state = UnderReview(tx, locked, number, review);
  TaskStatus to = state.assignee_active ? TaskStatus::kInProgress : TaskStatus::kPending;
  if (state.iteration >= kIterationsMax) to = TaskStatus::kFailed;
  Apply(tx, state,
        {.to = to,
         .reviewer_id = review.reviewer_id,
         .agent_id = review.reviewer_id,
         .user = user,
         .comment = review.comment});
  tx.Run(sql::kTaskTallyReviewer, locked.id, review.reviewer_id);
  const bool failed = to == TaskStatus::kFailed;
  if (failed) tx.Run(sql::kTaskConflictsEnd, state.id);
  Count(tx, locked, state, {.failed = failed ? 1 : 0, .refused = 1});
  AssignPending(tx, locked.id, user);
}

bool FilesFit(const std::vector<std::string>& files) {
  return std::all_of(files.begin(), files.end(), [](const std::string& file) {
    return !file.empty() && circles::Characters(file) <= static_cast<std::size_t>(kFileLengthMax);
  });
}

std::optional<std::int64_t> ParsePriority(const schema::Json<>& value) {
  constexpr std::int64_t kFirst = 1;
  constexpr std::int64_t kLast = 10;
  constexpr std::int64_t kUsual = 5;
  const auto json = nlohmann::json::parse(value.text, nullptr, false);
  if (json.is_number_unsigned()) {
    return static_cast<std::int64_t>(std::clamp<std::uint64_t>(json.get<std::uint64_t>(), kFirst, kLast));
  }
  if (json.is_number_integer()) return std::clamp(json.get<std::int64_t>(), kFirst, kLast);
  if (!json.is_string()) return std::nullopt;
  const auto& word = json.get_ref<const std::string&>();
  if (word == "critical") return kFirst;
  if (word == "high") return 3;
  if (word == "low") return 8;
  return kUsual;
}

}  // namespace gathering::tasks
