// What the dashboard shows, on a real database.
#include <catch2/catch.hpp>

#include "core/dashboard/dashboard.h"
#include "tests/db/catalog_fixture.h"

namespace gathering::test {
namespace {

using nlohmann::json;

// A running circle "core" with one of our agents, one stranger, and one task for the agent.
std::int64_t MakeTeam(CatalogFixture& f) {
  const auto ada = f.MakeAgent("Ada", "Architect");
  f.Write([&](db::Tx& tx) {
    circles::Create(tx, {.name = "core"}, "somebody");
    circles::Start(tx, "core", "somebody");
    circles::AddMember(tx, "core",
                       {.agent_id = ada.id,
                        .name = "Ada",
                        .provider = "p",
                        .model = "m",
                        .competencies = {"sql"},
                        .can_review = {"code"}},
                       "u");
    circles::AddMember(tx, "core",
                       {.agent_id = 999,
                        .name = "Stranger",
                        .provider = "p",
                        .model = "m",
                        .competencies = {},
                        .can_review = {}},
                       "u");
    tasks::NewTask task;
    task.title = "Write it";
    task.priority = 3;
    task.required_competencies = {"sql"};
    tasks::Create(tx, "core", task, "somebody");
  });
  return f.Read([](db::Tx& tx) { return circles::IdOf(tx, "core"); });
}

}  // namespace

TEST_CASE("the dashboard's figures count what there is", "[dashboard]") {
  CatalogFixture f;
  MakeTeam(f);
  f.MakeAgent("Bob", "Developer");
  f.Sql("UPDATE agents SET status = 'busy' WHERE name = 'Bob'");
  f.Write([](db::Tx& tx) {
    circles::Create(tx, {.name = "gone"}, "u");
    circles::Delete(tx, "gone");
  });
  f.Sql("UPDATE circle_members SET tasks_completed = 2, reviews_done = 1");
  const json stats = ToTree(f.Read([](db::Tx& tx) { return dashboard::Stats(tx); }));
  CHECK(stats == json{{"agents", {{"total", 2}, {"active", 2}, {"busy", 1}, {"idle", 1}}},
                      {"providers", {{"total", 6}}},
                      {"models", {{"total", 18}}},
                      {"circles", {{"total", 2}, {"active", 1}, {"total_tasks", 1}}},
                      {"activity", {{"tasks_completed", 4}, {"reviews_done", 2}}},
                      {"demo_mode", false}});
}

TEST_CASE("the dashboard lists deleted circles unless it asks for the others", "[dashboard]") {
  CatalogFixture f;
  const std::int64_t id = MakeTeam(f);
  f.Write([](db::Tx& tx) {
    circles::Create(tx, {.name = "gone"}, "u");
    circles::Delete(tx, "gone");
  });
  const auto circles = [&](std::optional<bool> is_active) {
    return f.Read([&](db::Tx& tx) { return dashboard::Circles(tx, is_active); });
  };
  REQUIRE(circles({}).size() == 2);
  CHECK(circles({})[0].name == "gone");
  CHECK_FALSE(circles({})[0].is_active);
  REQUIRE(circles(true).size() == 1);
  CHECK(circles(true)[0].id == id);
  CHECK(circles(true)[0].member_count == 2);
  CHECK(circles(true)[0].task_count == 1);
  CHECK(circles(false)[0].name == "gone");
  CHECK(f.Read([&](db::Tx& tx) { return dashboard::FindCircle(tx, id); })->status == "running");
  CHECK_FALSE(f.Read([](db::Tx& tx) { return dashboard::FindCircle(tx, 999); }).has_value());
}

TEST_CASE("a circle's members show the role of those who are agents", "[dashboard]") {
  CatalogFixture f;
  const std::int64_t id = MakeTeam(f);
  const auto members = f.Read([&](db::Tx& tx) { return dashboard::Members(tx, id); });
  REQUIRE(members.size() == 2);
  CHECK(members[0].agent_name == "Ada");
  CHECK(members[0].agent_role == "Architect");
  CHECK(members[0].can_review == std::vector<std::string>{"code"});
  CHECK(members[1].agent_name == "Stranger");
  CHECK_FALSE(members[1].agent_role.has_value());
}

TEST_CASE("a circle's tasks are shown with words for their priority, by status if asked", "[dashboard]") {
  CatalogFixture f;
  const std::int64_t id = MakeTeam(f);
  const auto tasks = [&](std::optional<tasks::TaskStatus> status) {
    return f.Read([&](db::Tx& tx) { return dashboard::Tasks(tx, id, status); });
  };
  REQUIRE(tasks({}).size() == 1);
  CHECK(tasks({})[0].id == 1);
  CHECK(tasks({})[0].priority == "high");
  CHECK(tasks({})[0].assigned_agent_name == "Ada");
  CHECK(tasks({})[0].created_by_user_id == "somebody");
  CHECK(tasks(tasks::TaskStatus::kAssigned).size() == 1);
  CHECK(tasks(tasks::TaskStatus::kCompleted).empty());
}

TEST_CASE("members and tasks of a circle that does not exist are not found", "[dashboard]") {
  CatalogFixture f;
  for (const Error& error : {f.Refused([](db::Tx& tx) { (void)dashboard::Members(tx, 999); }),
                             f.Refused([](db::Tx& tx) { (void)dashboard::Tasks(tx, 999, {}); })}) {
    CHECK(error.code == Code::kNotFound);
    CHECK(error.message == "Circle 999 not found");
  }
}

}  // namespace gathering::test
