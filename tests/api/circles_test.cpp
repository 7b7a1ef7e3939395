// Circles, tasks and health as a client of the daemon sees them.
#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <csignal>
#include <memory>

#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using nlohmann::json;

// A running circle "core" of two members.
void Team(HttpClient& client, const json& circle = {{"name", "core"}}) {
  REQUIRE(client.Post("/circles", circle).status == 201);
  const std::string path = "/circles/" + circle.at("name").get<std::string>();
  for (const char* member : {"agent_id=1&agent_name=Ada&competencies=python%2C+testing&can_review=code",
                             "agent_id=99&agent_name=Bob&provider=openai&model=gpt-4o&competencies=python"}) {
    REQUIRE(client.Post(path + "/agents?" + member).status == 200);
  }
  REQUIRE(client.Post(path + "/start").Json() == json{{"status", "started"}});
}

std::string FirstDetail(const Answer& answer, const char* field) {
  return answer.Json().at("detail").at(0).at(field);
}

}  // namespace

TEST_CASE("a task goes its whole way through the API, and a restart changes nothing") {
  const FreshDatabase database;
  json before;
  {
    RunningDaemon daemon{{.database_url = database.url()}};
    HttpClient client = daemon.Admin();
    Team(client);
    const json body = {
        {"title", "Write parser"}, {"required_competencies", {"python"}}, {"priority", "high"}};
    const json made = client.Post("/circles/core/tasks", body).Json();
    CHECK(made.at("id") == 1);
    CHECK(made.at("priority") == 3);
    CHECK(made.at("status") == "assigned");
    CHECK(made.at("assigned_agent_name") == "Ada");

    const std::string task = "/circles/core/tasks/1";
    const json result = {{"result", "done"}, {"files_modified", {"a.py"}}};
    CHECK(client.Post(task + "/submit", result).Json().at("status") == "in_review");
    CHECK(client.Post(task + "/reject?reviewer_id=99&reason=tests").Json() ==
          json{{"status", "rejected"}, {"task_id", 1}});
    CHECK(client.Get(task).Json().at("status") == "in_progress");
    CHECK(client.Post(task + "/submit", result).status == 200);
    CHECK(client.Post(task + "/approve?reviewer_id=99&comments=good").Json() ==
          json{{"status", "approved"}, {"task_id", 1}});
    CHECK(client.Post(task + "/approve?reviewer_id=99").status == 400);
    before = client.Get("/circles/core").Json();
    CHECK(before.at("completed_tasks") == 1);
    CHECK(client.Get("/circles/core/metrics").Json().at("agents").at(0).at("approval_rate") == 0.5);
    daemon.Signal(SIGTERM);
    CHECK(daemon.Wait() == 0);
  }
  const RunningDaemon again{{.database_url = database.url()}};
  CHECK(again.Admin().Get("/circles/core").Json() == before);
}

TEST_CASE("what a circle refuses is said in words") {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient client = daemon.Admin();
  Team(client);
  const auto detail = [](const Answer& answer) { return answer.Json().at("detail").get<std::string>(); };

  SECTION("taken, unknown and left") {
    const Answer taken = client.Post("/circles", {{"name", "core"}});
    CHECK(taken.status == 409);
    CHECK(detail(taken) == "Circle 'core' already exists");
    const Answer unknown = client.Get("/circles/nope");
    CHECK(unknown.status == 404);
    CHECK(detail(unknown) == "Circle 'nope' not found");
    CHECK(client.Post("/circles/core/agents?agent_id=1&agent_name=Ada").status == 409);
    CHECK(client.Delete("/circles/core/agents/99").Json() == json{{"status", "removed"}, {"agent_id", 99}});
    CHECK(client.Delete("/circles/core/agents/99").status == 404);
    CHECK(client.Post("/circles/core/agents?agent_id=99&agent_name=Bob").status == 200);
    CHECK(client.Delete("/circles/core").status == 204);
    CHECK(client.Post("/circles", {{"name", "core"}}).status == 201);
  }
  SECTION("a stopped circle takes no tasks") {
    CHECK(client.Post("/circles/core/stop").Json() == json{{"status", "stopped"}});
    CHECK(client.Post("/circles/core/stop").Json() == json{{"status", "already_stopped"}});
    const Answer refused = client.Post("/circles/core/tasks", {{"title", "t"}});
    CHECK(refused.status == 400);
    CHECK(detail(refused) == "Circle must be running to create tasks");
  }
  SECTION("input that breaks its rules") {
    const Answer list = client.Post("/circles/core/tasks", {{"title", "x"}, {"priority", {1}}});
    CHECK(list.status == 422);
    CHECK(list.Json().at("detail").at(0).at("loc") == json({"body", "priority"}));
    const Answer status = client.Get("/circles/core/tasks?status_filter=bogus");
    CHECK(status.status == 422);
    CHECK(status.Json().at("detail").at(0).at("loc") == json({"query", "status_filter"}));
    CHECK(FirstDetail(client.Post("/circles/core/tasks/1/approve"), "type") == "missing");
    CHECK(client.Post("/circles/core/tasks", {{"title", "x"}, {"required_competencies", {""}}}).status ==
          422);
    CHECK(client.Get("/circles/core/tasks/99999999999").status == 404);
    CHECK(client.Get("/circles/core/tasks/99999999999999999999").status == 422);
  }
}

TEST_CASE("tasks are listed by status") {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient client = daemon.Admin();
  Team(client);
  client.Post("/circles/core/tasks", {{"title", "waits"}});
  client.Post("/circles/core/tasks", {{"title", "for Bob"}, {"assigned_agent_id", 99}});
  const json pending = client.Get("/circles/core/tasks?status_filter=pending").Json();
  CHECK(pending.at("total") == 1);
  CHECK(pending.at("tasks").at(0).at("title") == "waits");
  const json assigned = client.Get("/circles/core/tasks?status_filter=assigned").Json();
  CHECK(assigned.at("tasks").at(0).at("assigned_agent_id") == 99);
  CHECK(client.Get("/circles/core/tasks").Json().at("total") == 2);
}

TEST_CASE("health counts what there is and measures the machine") {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient client = daemon.Admin();
  Team(client);
  client.Post("/circles/core/tasks", {{"title", "for Bob"}, {"assigned_agent_id", 99}});
  const json health = daemon.Client().Get("/health").Json();
  CHECK(health.at("status") == "healthy");
  CHECK(health.at("circles_count") == 1);
  CHECK(health.at("active_tasks") == 1);
  CHECK(health.at("uptime_seconds") > 0);
  CHECK(daemon.Client().Get("/health/live").Json() == json{{"alive", true}});
  CHECK(daemon.Client().Get("/health/ready").Json() == json{{"ready", true}});

  const json system = client.Get("/health/system").Json();
  CHECK(system.at("cpu").at("count") > 0);
  CHECK(system.at("memory").at("percent").is_number());
  CHECK(system.at("disk").at("total_gb") > 0);
  CHECK(system.at("load_average").contains("1min"));
  const json checks = client.Get("/health/checks").Json();
  REQUIRE(checks.at("checks").size() == 6);
  CHECK(checks.at("checks").at(1).at("name") == "Database");
  CHECK(checks.at("checks").at(1).at("status") == "healthy");
}

TEST_CASE("readiness tells the truth about a database that is away, and liveness does not need it") {
  auto database = std::make_unique<FreshDatabase>();
  RunningDaemon daemon{{.database_url = database->url(), .data_dir = {}}};
  HttpClient client = daemon.Client();
  REQUIRE(client.Get("/health/ready").status == 200);
  database.reset();  // dropped under the daemon, its connections cut

  // The last good answer is remembered for a second.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  Answer ready = client.Get("/health/ready");
  while (ready.status == 200 && std::chrono::steady_clock::now() < deadline)
    ready = client.Get("/health/ready");
  CHECK(ready.status == 503);
  CHECK(ready.Json().at("ready") == false);
  CHECK(client.Get("/health/live").status == 200);
  const Answer health = client.Get("/health");
  CHECK(health.status == 200);
  CHECK(health.Json().at("status") == "unhealthy");
}

}  // namespace gathering::test
