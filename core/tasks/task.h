#pragma once
// Tasks of a circle and how they move.
//
//   pending -> assigned -> in_review -> completed          (approved)
//                 |            |-> in_progress -> in_review   (sent back, at most kIterationsMax times)
//                 |            '-> failed                  (sent back once more)
//                 '-> completed                            (circles without review)
//
// assigned and in_progress go back to pending when the member leaves.  Every step
// is a row of the task's history and happens once, however many ask at a time.
// Within a circle tasks are numbered 1, 2, 3, …; the API calls the number the id.
//
// Functions throw kNotFound for an unknown circle or task, and kRejected when the
// task's status does not allow what is asked.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/timestamp.h"
#include "core/circles/circle.h"
#include "core/db/tx.h"
#include "core/schema/fields.h"

namespace gathering::tasks {

inline constexpr std::int64_t kTitleLengthMax = 500;  // characters, as below
inline constexpr std::int64_t kDescriptionLengthMax = 100'000;
inline constexpr std::int64_t kResultLengthMax = 500'000;
inline constexpr std::int64_t kFilesMax = 1'000;  // of one result
inline constexpr std::int64_t kFileLengthMax = 1'000;
inline constexpr std::int64_t kIterationsMax = 5;  // results refused before the task has failed

enum class TaskStatus : std::uint8_t { kPending, kAssigned, kInProgress, kInReview, kCompleted, kFailed };

struct NewTask {
  std::string title = {};
  std::string description = {};
  std::vector<std::string> required_competencies = {};
  std::int64_t priority = 5;                           // 1 (first) to 10
  std::optional<std::int64_t> assigned_agent_id = {};  // waits for this member when the circle is full
};

struct Task {
  std::int64_t id = 0;  // the number within the circle
  std::string title;
  std::string description;
  TaskStatus status = TaskStatus::kPending;
  std::int64_t priority = 5;
  std::optional<std::int64_t> assigned_agent_id;
  std::optional<std::string> assigned_agent_name;
  std::optional<std::int64_t> reviewer_id;
  std::optional<std::string> reviewer_name;
  Timestamp created_at;
  std::optional<Timestamp> started_at;    // when the member whose result came first got the task
  std::optional<Timestamp> completed_at;  // or failed
  std::optional<std::string> result;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id, {.doc = "Counts within the circle", .required = true});
    visit("title", self.title, {.required = true});
    visit("description", self.description, {.required = true});
    visit("status", self.status, {.required = true});
    visit("priority", self.priority, {.doc = "1 (first) to 10", .required = true});
    visit("assigned_agent_id", self.assigned_agent_id);
    visit("assigned_agent_name", self.assigned_agent_name);
    visit("reviewer_id", self.reviewer_id);
    visit("reviewer_name", self.reviewer_name);
    visit("created_at", self.created_at, {.required = true});
    visit("started_at", self.started_at);
    visit("completed_at", self.completed_at, {.doc = "When it was completed or failed"});
    visit("result", self.result);
  }
};

struct TaskList {
  std::vector<Task> tasks;
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    visit("tasks", self.tasks, {.required = true});
    visit("total", self.total, {.doc = "How many there are, listed or not", .required = true});
  }
};

struct TaskFilter {
  std::optional<TaskStatus> status = {};
  circles::Slice slice = {};
};

[[nodiscard]] TaskList List(db::Executor& db, std::string_view circle, const TaskFilter& filter);
[[nodiscard]] Task Get(db::Executor& db, std::string_view circle, std::int64_t number);

// Throws kRejected unless the circle runs and, if given, the assigned agent is an active member.
// The task is routed at once (core/tasks/routing.h).
Task Create(db::Tx& tx, std::string_view circle, const NewTask& task, std::string_view user);

// A task that is not to be routed, because it names neither an agent nor a competency, takes one statement.
[[nodiscard]] bool IsRouted(const NewTask& task);
Task CreateWaiting(db::Executor& db, std::string_view circle, const NewTask& task, std::string_view user);

struct Submission {
  std::string result = {};
  std::vector<std::string> files_modified = {};
};
// False when a file's name is empty or longer than kFileLengthMax.
[[nodiscard]] bool FilesFit(const std::vector<std::string>& files);
// From assigned or in_progress to in_review, or to completed when the circle wants no review.
Task Submit(db::Tx& tx, std::string_view circle, std::int64_t number, const Submission& submission,
            std::string_view user);

struct Review {
  std::int64_t reviewer_id = 0;  // an active member
  std::string comment = {};
};
// From in_review to completed.
void Approve(db::Tx& tx, std::string_view circle, std::int64_t number, const Review& review,
             std::string_view user);
// From in_review back to in_progress, or to failed after kIterationsMax refusals, or to pending
// when its member has left.
void Reject(db::Tx& tx, std::string_view circle, std::int64_t number, const Review& review,
            std::string_view user);

// "critical" 1, "high" 3, "medium" 5, "low" 8, other words 5; whole numbers are brought into 1..10.
// nullopt for JSON that is neither a word nor a whole number.
[[nodiscard]] std::optional<std::int64_t> ParsePriority(const schema::Json<>& value);

}  // namespace gathering::tasks

template <>
struct gathering::schema::Names<gathering::tasks::TaskStatus> {
  static constexpr std::string_view kTexts[] = {"pending",   "assigned",  "in_progress",
                                                "in_review", "completed", "failed"};
};
