// Circles and their members on a real database.
#include <catch2/catch.hpp>

#include "core/circles/circle.h"
#include "core/tasks/task.h"
#include "tests/db/circle_fixture.h"

namespace gathering::test {
namespace {

using circles::CircleStatus;

}  // namespace

TEST_CASE("a new circle is stopped, empty and found under its name", "[circles]") {
  CircleFixture f;
  const circles::CircleDetail made = f.MakeCircle({.name = "core", .max_concurrent_tasks = 3});
  CHECK(made.id == "core");
  CHECK(made.status == CircleStatus::kStopped);
  CHECK(made.agent_count == 0);
  CHECK(made.agents.empty());
  CHECK_FALSE(made.started_at.has_value());

  const circles::CircleList list = f.Read([](db::Tx& tx) { return circles::List(tx, {}); });
  REQUIRE(list.circles.size() == 1);
  CHECK(list.total == 1);
  CHECK(list.circles[0].created_at == made.created_at);
}

TEST_CASE("a circle that does not exist is named in the refusal", "[circles]") {
  CircleFixture f;
  const Error error = f.Refused([](db::Tx& tx) { return circles::Get(tx, "nope"); });
  CHECK(error.code == Code::kNotFound);
  CHECK(error.message == "Circle 'nope' not found");
  CHECK(f.Refused([](db::Tx& tx) { return circles::Start(tx, "nope", kUser); }).code == Code::kNotFound);
  CHECK(f.Refused([](db::Tx& tx) { return circles::Stop(tx, "nope"); }).code == Code::kNotFound);
  CHECK(f.Refused([](db::Tx& tx) { return circles::Delete(tx, "nope"); }).code == Code::kNotFound);
  CHECK(f.Refused([](db::Tx& tx) { return circles::Metrics(tx, "nope"); }).code == Code::kNotFound);
  CHECK(f.Refused([](db::Tx& tx) { return circles::Conflicts(tx, "nope", {}); }).code == Code::kNotFound);
}

TEST_CASE("a name is taken once, also when many want it at the same time", "[circles]") {
  CircleFixture f;
  constexpr int kRivals = 8;
  std::atomic<int> made = 0;
  std::atomic<int> refused = 0;
  Together(kRivals, [&](int) {
    try {
      f.MakeCircle({.name = "core"});
      ++made;
    } catch (const Error& error) {
      if (error.code == Code::kConflict && error.message == "Circle 'core' already exists") ++refused;
    }
  });
  CHECK(made == 1);
  CHECK(refused == kRivals - 1);
}

TEST_CASE("the name of a deleted circle is free and its tasks stay with the old one", "[circles]") {
  CircleFixture f;
  f.RunningCircle({.name = "fast"});
  f.MakeTask("fast", {.title = "old"});
  f.Write([](db::Tx& tx) { circles::Delete(tx, "fast"); });
  CHECK(f.Refused([](db::Tx& tx) { return circles::Delete(tx, "fast"); }).code == Code::kNotFound);
  CHECK(f.Refused([](db::Tx& tx) { return tasks::Get(tx, "fast", 1); }).code == Code::kNotFound);

  const circles::CircleDetail again = f.MakeCircle({.name = "fast"});
  CHECK(again.task_count == 0);
  CHECK(again.status == CircleStatus::kStopped);
}

TEST_CASE("starting and stopping say when it was so already", "[circles]") {
  CircleFixture f;
  f.MakeCircle({.name = "core"});
  const auto start = [](db::Tx& tx) { return circles::Start(tx, "core", kUser); };
  const auto stop = [](db::Tx& tx) { return circles::Stop(tx, "core"); };
  CHECK(f.Write(start));
  CHECK_FALSE(f.Write(start));
  const circles::CircleDetail running = f.Circle("core");
  CHECK(running.status == CircleStatus::kRunning);
  CHECK(running.started_at.has_value());
  CHECK(f.Write(stop));
  CHECK_FALSE(f.Write(stop));
  CHECK(f.Circle("core").status == CircleStatus::kStopped);
}

TEST_CASE("a member keeps what it was added with, whether or not such an agent exists", "[circles]") {
  CircleFixture f;
  f.MakeCircle({.name = "core"});
  f.Join("core", {.agent_id = 99,
                  .name = "Zed",
                  .provider = "openai",
                  .model = "gpt-4o",
                  .competencies = {"python", "c++"},
                  .can_review = {"code"}});
  const auto agents = f.Members("core");
  REQUIRE(agents.size() == 1);
  CHECK(agents[0]["id"] == 99);
  CHECK(agents[0]["name"] == "Zed");
  CHECK(agents[0]["role"] == "gpt-4o");
  CHECK(agents[0]["status"] == "idle");
  CHECK(agents[0]["competencies"] == nlohmann::json({"python", "c++"}));
  CHECK(agents[0]["current_task"].is_null());
  CHECK(ParseTimestamp(agents[0]["created_at"].get<std::string>()).has_value());
  CHECK(agents[0]["created_at"].get<std::string>().back() == 'Z');
}

TEST_CASE("a member who leaves is no longer counted and may come back", "[circles]") {
  CircleFixture f;
  f.MakeCircle({.name = "core"});
  f.Join("core", {.agent_id = 1, .name = "Sophie"});
  f.Join("core", {.agent_id = 2, .name = "Olivia"});
  const Error twice =
      f.Refused([](db::Tx& tx) { return circles::AddMember(tx, "core", Named(2, "Olivia"), kUser); });
  CHECK(twice.code == Code::kConflict);
  CHECK(twice.message == "Agent 2 already in circle");

  f.Leave("core", 2);
  CHECK(f.Circle("core").agent_count == 1);
  const Error gone =
      f.Refused([](db::Tx& tx) { return circles::RemoveMember(tx, "core", {.agent_id = 2, .user = kUser}); });
  CHECK(gone.code == Code::kNotFound);
  CHECK(gone.message == "Agent 2 not in circle");

  f.Join("core", {.agent_id = 2, .name = "Olivia II"});
  CHECK(f.Circle("core").agent_count == 2);
  CHECK(f.Members("core")[1]["name"] == "Olivia II");
}

TEST_CASE("the tasks of a member who leaves go to the others or wait", "[circles]") {
  CircleFixture f;
  f.RunningCircle({.name = "core"});
  f.Join("core", {.agent_id = 1, .name = "Ada", .competencies = {"python", "sql"}});
  f.Join("core", {.agent_id = 2, .name = "Bob", .competencies = {"python"}});
  const auto shared = f.MakeTask("core", {.title = "shared", .required_competencies = {"python", "sql"}});
  const auto alone = f.MakeTask("core", {.title = "alone", .required_competencies = {"sql"}});
  const auto reviewed = f.MakeTask("core", {.title = "reviewed", .assigned_agent_id = 1});
  f.Submit("core", reviewed.id, {.result = "done"});
  REQUIRE(shared.assigned_agent_id == 1);
  REQUIRE(alone.assigned_agent_id == 1);

  f.Leave("core", 1);
  CHECK(f.Task("core", shared.id).assigned_agent_id == 2);
  CHECK(f.Task("core", alone.id).status == tasks::TaskStatus::kPending);
  CHECK_FALSE(f.Task("core", alone.id).assigned_agent_id.has_value());
  CHECK(f.Task("core", reviewed.id).status == tasks::TaskStatus::kInReview);

  SECTION("a refused result of somebody who left is for anybody") {
    f.Reject("core", reviewed.id, 2);
    CHECK(f.Task("core", reviewed.id).status == tasks::TaskStatus::kPending);
  }
  SECTION("and waits for somebody who can do it") {
    f.Join("core", {.agent_id = 3, .name = "Cleo", .competencies = {"sql"}});
    CHECK(f.Task("core", alone.id).assigned_agent_id == 3);
  }
}

TEST_CASE("lists can be read in slices and still say how many there are", "[circles]") {
  CircleFixture f;
  for (const char* name : {"a", "b", "c"}) f.MakeCircle({.name = name});
  const auto list = [&](const circles::Slice& slice) {
    return f.Read([&](db::Tx& tx) { return circles::List(tx, slice); });
  };
  const circles::CircleList second = list({.limit = 1, .offset = 1});
  REQUIRE(second.circles.size() == 1);
  CHECK(second.circles[0].name == "b");
  CHECK(second.total == 3);
  CHECK(list({.limit = 1, .offset = 9}).circles.empty());
  CHECK(list({.limit = 1, .offset = 9}).total == 3);
}

TEST_CASE("competencies in a query are split, trimmed and kept once", "[circles]") {
  CHECK(circles::SplitCompetencies("").empty());
  CHECK(circles::SplitCompetencies(" ,, ").empty());
  CHECK(circles::SplitCompetencies("python, architecture,python") ==
        std::vector<std::string>{"python", "architecture"});
  CHECK(circles::CompetenciesFit({"é"}));
  CHECK_FALSE(circles::CompetenciesFit({""}));
  CHECK(circles::CompetenciesFit({std::string(100, 'x')}));
  CHECK_FALSE(circles::CompetenciesFit({std::string(101, 'x')}));
  CHECK_FALSE(circles::CompetenciesFit(std::vector<std::string>(65, "x")));
}

}  // namespace gathering::test
