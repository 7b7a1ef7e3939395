// Tasks on a real database: routing, review, conflicts, and many hands at once.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>

#include "core/base/guarded.h"
#include "core/tasks/task.h"
#include "tests/db/circle_fixture.h"

namespace gathering::test {
namespace {

using tasks::TaskStatus;

struct Step {
  std::optional<std::string> from_status;
  std::string to_status;
  std::optional<std::int64_t> agent_id;
  std::string changed_by;
  std::string comment;

  static void Fields(auto& self, auto& visit) {
    visit("from_status", self.from_status);
    visit("to_status", self.to_status);
    visit("agent_id", self.agent_id);
    visit("changed_by", self.changed_by);
    visit("comment", self.comment);
  }
};

constexpr db::Query kHistory{"test_history",
                             "SELECT h.from_status, h.to_status, h.agent_id, h.changed_by, h.comment "
                             "FROM task_history h JOIN tasks t ON t.id = h.task_id "
                             "WHERE t.number = $1::bigint ORDER BY h.id"};

// How many circles do not count what their tasks are.
constexpr db::Query kMiscounted{
    "test_miscounted",
    "SELECT count(*) FROM circles c CROSS JOIN LATERAL ("
    "SELECT count(*) FILTER (WHERE status = 'pending') AS pending,"
    " count(*) FILTER (WHERE status IN ('assigned', 'in_progress', 'in_review')) AS active,"
    " count(*) FILTER (WHERE status = 'completed') AS completed,"
    " count(*) FILTER (WHERE status = 'failed') AS failed FROM tasks WHERE circle_id = c.id) t "
    "WHERE (c.tasks_pending, c.tasks_active, c.tasks_completed, c.tasks_failed)"
    " <> (t.pending, t.active, t.completed, t.failed)"};

constexpr db::Query kWaiting{"test_waiting", "SELECT count(*) FROM pg_locks WHERE NOT granted"};

// "pending>assigned>…" of one task, the only circle's.
std::string History(CircleFixture& f, std::int64_t number) {
  std::string words;
  f.Read([&](db::Tx& tx) {
    for (const Step& step : tx.All<Step>(kHistory, number)) {
      words += (words.empty() ? "" : ">") + step.to_status;
      CHECK(step.changed_by == kUser);
    }
  });
  return words;
}

// Two members who can both do Python, one of whom also tests.
void Team(CircleFixture& f, const circles::NewCircle& circle) {
  f.RunningCircle(circle);
  f.Join(circle.name, {.agent_id = 1, .name = "Ada", .competencies = {"python", "testing"}});
  f.Join(circle.name, {.agent_id = 2, .name = "Bob", .competencies = {"python"}});
}

}  // namespace

TEST_CASE("tasks are made only while the circle runs", "[tasks]") {
  CircleFixture f;
  f.MakeCircle({.name = "core"});
  const Error error = f.Refused([](db::Tx& tx) { return tasks::Create(tx, "core", {.title = "t"}, kUser); });
  CHECK(error.code == Code::kRejected);
  CHECK(error.message == "Circle must be running to create tasks");
}

TEST_CASE("a task nobody is asked for waits, with its fields as given", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const auto task = f.MakeTask("core", {.title = "Write", .description = "d", .priority = 3});
  CHECK(task.id == 1);
  CHECK(task.title == "Write");
  CHECK(task.description == "d");
  CHECK(task.status == TaskStatus::kPending);
  CHECK(task.priority == 3);
  CHECK_FALSE(task.assigned_agent_id.has_value());
  CHECK_FALSE(task.result.has_value());
  CHECK(f.Refused([](db::Tx& tx) { return tasks::Get(tx, "core", 999); }).message == "Task 999 not found");
  CHECK(f.Refused([](db::Tx& tx) { return tasks::Get(tx, "core", 1LL << 40); }).code == Code::kNotFound);
}

TEST_CASE("a task goes to whoever has the most of what it needs", "[tasks]") {
  CircleFixture f;
  f.RunningCircle({.name = "core"});
  f.Join("core", {.agent_id = 1, .name = "Ada", .competencies = {"python"}});
  f.Join("core", {.agent_id = 2, .name = "Bob", .competencies = {"python", "sql"}});
  const auto task = f.MakeTask("core", {.title = "t", .required_competencies = {"sql", "python"}});
  CHECK(task.status == TaskStatus::kAssigned);
  CHECK(task.assigned_agent_id == 2);
  CHECK(task.assigned_agent_name == "Bob");
  CHECK(f.Members("core")[1]["status"] == "busy");
  CHECK(f.Members("core")[1]["current_task"] == "t");
  CHECK(f.Circle("core").active_tasks == 1);
}

TEST_CASE("of equals the lowest id gets the task, then whoever has less to do", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  CHECK(f.MakeTask("core", {.title = "1", .required_competencies = {"python"}}).assigned_agent_id == 1);
  CHECK(f.MakeTask("core", {.title = "2", .required_competencies = {"python"}}).assigned_agent_id == 2);
  CHECK(f.MakeTask("core", {.title = "3", .required_competencies = {"python"}}).assigned_agent_id == 1);
}

TEST_CASE("whose results are approved is preferred", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const auto task = f.MakeTask("core", {.title = "first", .assigned_agent_id = 2});
  f.Submit("core", task.id, {.result = "done"});
  f.Approve("core", task.id, 1);
  CHECK(f.MakeTask("core", {.title = "next", .required_competencies = {"python"}}).assigned_agent_id == 2);
}

TEST_CASE("a circle that does not route leaves the task to be asked for by name", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core", .auto_route = false});
  CHECK(f.MakeTask("core", {.title = "t", .required_competencies = {"python"}}).status ==
        TaskStatus::kPending);
  CHECK(f.MakeTask("core", {.title = "u", .assigned_agent_id = 2}).status == TaskStatus::kAssigned);
}

TEST_CASE("a task for a stranger is refused and leaves no gap in the numbers", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const Error error = f.Refused(
      [](db::Tx& tx) { return tasks::Create(tx, "core", {.title = "t", .assigned_agent_id = 7}, kUser); });
  CHECK(error.code == Code::kRejected);
  CHECK(error.message == "Agent 7 not in circle");
  CHECK(f.MakeTask("core", {.title = "t"}).id == 1);
}

TEST_CASE("no more tasks are at work than the circle allows, and the most urgent goes next", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core", .max_concurrent_tasks = 1});
  const auto first = f.MakeTask("core", {.title = "first", .assigned_agent_id = 1});
  const auto later =
      f.MakeTask("core", {.title = "later", .required_competencies = {"python"}, .priority = 5});
  const auto urgent = f.MakeTask("core", {.title = "urgent", .priority = 1, .assigned_agent_id = 2});
  CHECK(first.status == TaskStatus::kAssigned);
  CHECK(later.status == TaskStatus::kPending);
  CHECK(urgent.status == TaskStatus::kPending);
  CHECK(urgent.assigned_agent_id == 2);

  f.Submit("core", first.id, {.result = "done"});
  CHECK(f.Task("core", urgent.id).status == TaskStatus::kAssigned);
  CHECK(f.Task("core", later.id).status == TaskStatus::kPending);
  f.Submit("core", urgent.id, {.result = "done"});
  CHECK(f.Task("core", later.id).status == TaskStatus::kAssigned);
}

TEST_CASE("those who wait for a place in their circle are not looked at until there is one", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core", .max_concurrent_tasks = 1});
  const tasks::NewTask task{.title = "next", .required_competencies = {"python"}};
  for (int i = 0; i < 100; ++i) f.MakeTask("core", task);
  constexpr db::Query kAnalyze{"test_analyze", "ANALYZE tasks, circles"};
  constexpr db::Query kLookedAt{"test_looked_at",
                                "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'tasks'"};
  f.Write([&](db::Tx& tx) { tx.Run(kAnalyze); });
  f.Write([&](db::Tx& tx) {
    const auto before = tx.One<std::int64_t>(kLookedAt);  // by earlier transactions of this connection
    CHECK(tasks::Create(tx, "core", task, kUser).status == TaskStatus::kPending);
    CHECK(tx.One<std::int64_t>(kLookedAt) - before < 10);
  });
}

TEST_CASE("a stopped circle hands nothing out until it starts again", "[tasks]") {
  CircleFixture f;
  f.RunningCircle({.name = "core"});
  const auto task = f.MakeTask("core", {.title = "t", .required_competencies = {"python"}});
  f.Write([](db::Tx& tx) { circles::Stop(tx, "core"); });
  f.Join("core", {.agent_id = 1, .name = "Ada", .competencies = {"python"}});
  CHECK(f.Task("core", task.id).status == TaskStatus::kPending);
  f.Write([](db::Tx& tx) { circles::Start(tx, "core", kUser); });
  CHECK(f.Task("core", task.id).assigned_agent_id == 1);
}

TEST_CASE("a result is reviewed and then the task is completed", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const auto task = f.MakeTask("core", {.title = "t", .assigned_agent_id = 1});
  const auto submitted = f.Submit("core", task.id, {.result = "done", .files_modified = {"a.py"}});
  CHECK(submitted.status == TaskStatus::kInReview);
  CHECK(submitted.result == "done");
  CHECK(submitted.started_at.has_value());
  CHECK_FALSE(submitted.completed_at.has_value());

  f.Approve("core", task.id, 2);
  const auto done = f.Task("core", task.id);
  CHECK(done.status == TaskStatus::kCompleted);
  CHECK(done.reviewer_id == 2);
  CHECK(done.reviewer_name == "Bob");
  CHECK(done.completed_at.has_value());
  CHECK(History(f, task.id) == "pending>assigned>in_review>completed");

  const auto metrics = f.MemberMetrics("core");
  CHECK(metrics[0]["tasks_completed"] == 1);
  CHECK(metrics[0]["approval_rate"] == 1.0);
  CHECK(metrics[0]["current_workload"] == 0);
  CHECK(metrics[1]["tasks_completed"] == 0);
  CHECK(f.Metrics("core").completed_tasks == 1);
  CHECK(f.Circle("core").completed_tasks == 1);
}

TEST_CASE("without review a result completes the task", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "fast", .require_review = false});
  const auto task = f.MakeTask("fast", {.title = "t", .assigned_agent_id = 1});
  CHECK(f.Submit("fast", task.id, {.result = "done"}).status == TaskStatus::kCompleted);
  CHECK(f.MemberMetrics("fast")[0]["tasks_completed"] == 1);
  CHECK(f.MemberMetrics("fast")[0]["approval_rate"] == 0.0);
}

TEST_CASE("a result sent back comes again until the task has failed", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core", .max_concurrent_tasks = 1});
  const auto task = f.MakeTask("core", {.title = "t", .assigned_agent_id = 1});
  for (std::int64_t i = 1; i < tasks::kIterationsMax; ++i) {
    f.Submit("core", task.id, {.result = "try " + std::to_string(i)});
    f.Reject("core", task.id, 2);
    REQUIRE(f.Task("core", task.id).status == TaskStatus::kInProgress);
  }
  f.Submit("core", task.id, {.result = "last"});
  f.Reject("core", task.id, 2);
  const auto failed = f.Task("core", task.id);
  CHECK(failed.status == TaskStatus::kFailed);
  CHECK(failed.result == "last");
  CHECK(failed.completed_at.has_value());
  CHECK(f.MemberMetrics("core")[0]["tasks_failed"] == 1);
  CHECK(f.MemberMetrics("core")[0]["approval_rate"] == 0.0);
  CHECK(f.Circle("core").failed_tasks == 1);
}

TEST_CASE("what a task's status does not allow is refused in words", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const auto task = f.MakeTask("core", {.title = "t"});
  const Error submit =
      f.Refused([&](db::Tx& tx) { return tasks::Submit(tx, "core", task.id, {.result = "x"}, kUser); });
  CHECK(submit.code == Code::kRejected);
  CHECK(submit.message == "Task 1 is pending, not assigned or in_progress");
  const Error approve =
      f.Refused([&](db::Tx& tx) { return tasks::Approve(tx, "core", task.id, {.reviewer_id = 1}, kUser); });
  CHECK(approve.code == Code::kRejected);
  CHECK(approve.message == "Task 1 is pending, not in_review");
  CHECK(f.Refused([](db::Tx& tx) {
           return tasks::Reject(tx, "core", 999, {.reviewer_id = 1}, kUser);
         }).message == "Task 999 not found");
}

TEST_CASE("only a member reviews", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const auto task = f.MakeTask("core", {.title = "t", .assigned_agent_id = 1});
  f.Submit("core", task.id, {.result = "done"});
  const Error error =
      f.Refused([&](db::Tx& tx) { return tasks::Approve(tx, "core", task.id, {.reviewer_id = 9}, kUser); });
  CHECK(error.message == "Agent 9 not in circle");
  CHECK(f.Task("core", task.id).status == TaskStatus::kInReview);
}

TEST_CASE("two open tasks that modify one file are in conflict until one of them ends", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const auto a = f.MakeTask("core", {.title = "a", .assigned_agent_id = 1});
  const auto b = f.MakeTask("core", {.title = "b", .assigned_agent_id = 2});
  f.Submit("core", b.id, {.result = "done", .files_modified = {"x.py", "y.py"}});
  CHECK(f.Conflicts("core").total == 0);
  f.Submit("core", a.id, {.result = "done", .files_modified = {"y.py", "z.py"}});

  const circles::ConflictList list = f.Conflicts("core");
  REQUIRE(list.conflicts.size() == 1);
  CHECK(list.conflicts[0].file_path == "y.py");
  CHECK(list.conflicts[0].task_ids == std::vector<std::int64_t>{a.id, b.id});
  CHECK(list.conflicts[0].agent_ids == std::vector<std::int64_t>{1, 2});
  CHECK(f.Circle("core").conflicts == 1);

  SECTION("by approval") {
    f.Approve("core", a.id, 2);
    CHECK(f.Conflicts("core").total == 0);
    CHECK(f.Metrics("core").conflicts_resolved == 1);
  }
  SECTION("or by a new result that leaves the file alone") {
    f.Reject("core", a.id, 2);
    CHECK(f.Conflicts("core").total == 1);
    f.Submit("core", a.id, {.result = "again", .files_modified = {"z.py"}});
    CHECK(f.Conflicts("core").total == 0);
    CHECK(f.Circle("core").conflicts == 0);
  }
}

TEST_CASE("tasks can be listed by status and in slices", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  for (int i = 0; i < 3; ++i) f.MakeTask("core", {.title = "waits"});
  f.MakeTask("core", {.title = "assigned", .assigned_agent_id = 1});
  const auto list = [&](const tasks::TaskFilter& filter) {
    return f.Read([&](db::Tx& tx) { return tasks::List(tx, "core", filter); });
  };
  CHECK(list({}).total == 4);
  CHECK(list({.status = TaskStatus::kPending}).tasks.size() == 3);
  CHECK(list({.status = TaskStatus::kFailed}).total == 0);
  const auto slice = list({.slice = {.limit = 2, .offset = 1}});
  REQUIRE(slice.tasks.size() == 2);
  CHECK(slice.tasks[0].id == 2);
  CHECK(slice.total == 4);
  CHECK(list({.slice = {.limit = 2, .offset = 50}}).total == 4);
  CHECK(f.Refused([](db::Tx& tx) { return tasks::List(tx, "nope", {}); }).code == Code::kNotFound);
}

TEST_CASE("priorities are words or whole numbers", "[tasks]") {
  const auto parse = [](const char* json) { return tasks::ParsePriority({json}); };
  CHECK(parse("\"critical\"") == 1);
  CHECK(parse("\"high\"") == 3);
  CHECK(parse("\"medium\"") == 5);
  CHECK(parse("\"low\"") == 8);
  CHECK(parse("\"whatever\"") == 5);
  CHECK(parse("7") == 7);
  CHECK(parse("42") == 10);
  CHECK(parse("-3") == 1);
  CHECK(parse("18446744073709551615") == 10);
  for (const char* neither : {"[1]", "{}", "null", "true", "1.5"}) {
    INFO(neither);
    CHECK_FALSE(parse(neither).has_value());
  }
}

TEST_CASE("many who make tasks at once get numbers without gaps or repetition", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core", .max_concurrent_tasks = 7});
  constexpr int kMakers = 20;
  Guarded<std::vector<std::int64_t>> numbers;
  Together(kMakers, [&](int) {
    const auto task = f.MakeTask("core", {.title = "t", .required_competencies = {"python"}});
    numbers.With([&](auto& all) { all.push_back(task.id); });
  });
  auto all = numbers.With([](auto& found) { return found; });
  std::sort(all.begin(), all.end());
  std::vector<std::int64_t> expected(kMakers);
  std::iota(expected.begin(), expected.end(), 1);
  CHECK(all == expected);
  CHECK(f.Circle("core").active_tasks == 7);
  CHECK(f.Circle("core").pending_tasks == kMakers - 7);
}

TEST_CASE("of many reviewers at once exactly one decides", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const auto task = f.MakeTask("core", {.title = "t", .assigned_agent_id = 1});
  f.Submit("core", task.id, {.result = "done"});
  std::atomic<int> decided = 0;
  std::atomic<int> refused = 0;
  Together(8, [&](int i) {
    try {
      i % 2 == 0 ? f.Approve("core", task.id, 2) : f.Reject("core", task.id, 2);
      ++decided;
    } catch (const Error& error) {
      if (error.code == Code::kRejected) ++refused;
    }
  });
  CHECK(decided == 1);
  CHECK(refused == 7);
  const auto members = f.MemberMetrics("core");
  const bool approved = f.Task("core", task.id).status == TaskStatus::kCompleted;
  CHECK(members[0]["tasks_completed"] == (approved ? 1 : 0));
}

TEST_CASE("of two results for one task at once one is taken", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  const auto task = f.MakeTask("core", {.title = "t", .assigned_agent_id = 1});
  std::atomic<int> taken = 0;
  Together(4, [&](int i) {
    try {
      f.Submit("core", task.id, {.result = std::to_string(i)});
      ++taken;
    } catch (const Error&) {
      // refused: the task is under review already
    }
  });
  CHECK(taken == 1);
  CHECK(History(f, task.id) == "pending>assigned>in_review");
}

TEST_CASE("two tasks that submit the same file at once see each other", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  for (const int agent : {1, 2}) f.MakeTask("core", {.title = "t", .assigned_agent_id = agent});
  const tasks::Submission same{.result = "done", .files_modified = {"same.py"}};
  std::atomic<bool> second_done = false;
  std::jthread second;
  f.Write([&](db::Tx& tx) {
    tasks::Submit(tx, "core", 1, same, kUser);
    second = std::jthread{[&] {
      f.Submit("core", 2, same);
      second_done = true;
    }};
    // Commits only once the other one waits for this transaction (or did not have to).
    while (!second_done && tx.One<std::int64_t>(kWaiting) == 0) std::this_thread::yield();
  });
  second.join();
  CHECK(f.Conflicts("core").total == 1);
}

TEST_CASE("a task that nobody is to get is numbered among the others", "[tasks]") {
  CircleFixture f;
  Team(f, {.name = "core"});
  f.MakeTask("core", {.title = "first"});
  const tasks::NewTask plain{.title = "second", .description = "why", .priority = 2};
  CHECK_FALSE(tasks::IsRouted(plain));
  const auto made = f.Write([&](db::Tx& tx) { return tasks::CreateWaiting(tx, "core", plain, kUser); });
  CHECK(made.id == 2);
  // What is answered is what is stored.
  CHECK(schema::ToJson(made) == schema::ToJson(f.Task("core", 2)));
  CHECK(History(f, 2) == "pending");
  SECTION("in a circle that runs") {
    f.Write([](db::Tx& tx) { return circles::Stop(tx, "core"); });
    const auto make = [&](db::Tx& tx) { return tasks::CreateWaiting(tx, "core", plain, kUser); };
    CHECK(f.Refused(make).message == "Circle must be running to create tasks");
  }
  SECTION("in a circle that exists") {
    const auto make = [&](db::Tx& tx) { return tasks::CreateWaiting(tx, "nope", plain, kUser); };
    CHECK(f.Refused(make).code == Code::kNotFound);
  }
}

TEST_CASE("a circle's counts are those of its tasks, whatever happens to them", "[tasks]") {
  std::minstd_rand random{20261125};
  CircleFixture f;
  Team(f, {.name = "core", .max_concurrent_tasks = 3});
  const auto any = [&](std::int64_t below) { return static_cast<std::int64_t>(random() % below); };
  const auto attempt = [](auto&& step) {
    try {
      step();
      return 1;
    } catch (const Error&) {
      return 0;  // not in this state
    }
  };
  int done = 0;
  for (int i = 0; i < 300; ++i) {
    const std::int64_t number = any(30) + 1;
    const std::int64_t agent = any(2) + 1;
    switch (any(8)) {
      case 0:
        done += attempt([&] { f.MakeTask("core", {.title = "t", .required_competencies = {"python"}}); });
        break;
      case 1:
        done += attempt([&] {
          f.Write([](db::Tx& tx) { return tasks::CreateWaiting(tx, "core", {.title = "t"}, kUser); });
        });
        break;
      case 2:
      case 3:
        done += attempt([&] { f.Submit("core", number, {.result = "r"}); });
        break;
      case 4:
        done += attempt([&] { f.Approve("core", number, agent); });
        break;
      case 5:
        done += attempt([&] { f.Reject("core", number, agent); });
        break;
      case 6:
        done += attempt([&] { f.Leave("core", agent); });
        break;
      default:
        done +=
            attempt([&] { f.Join("core", {.agent_id = agent, .name = "x", .competencies = {"python"}}); });
        break;
    }
    REQUIRE(f.Read([](db::Tx& tx) { return tx.One<std::int64_t>(kMiscounted); }) == 0);
  }
  CHECK(done > 100);
}

}  // namespace gathering::test
