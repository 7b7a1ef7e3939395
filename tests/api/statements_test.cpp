// No N+1: what a request asks of the database does not grow with the data.
#include <catch2/catch.hpp>

#include <map>
#include <set>

#include "daemon/api/table.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using http::Route;
using nlohmann::json;

// Every list and detail route that reads, with a path that has children to show.
const std::map<std::string, std::string>& Reads() {
  static const std::map<std::string, std::string> reads = {
      {"health.get", "/health"},
      {"health.caches", "/health/caches?all_instances=true"},
      {"auth.me", "/auth/me"},
      {"auth.blacklist_stats", "/auth/blacklist/stats"},
      {"agents.list", "/agents"},
      {"agents.get", "/agents/1"},
      {"agents.status", "/agents/1/status"},
      {"agents.skills.list", "/agents/1/skills"},
      {"agents_db.list", "/agents-db"},
      {"agents_db.get", "/agents-db/1"},
      {"circles.list", "/circles"},
      {"events.counts", "/events/counts?circle=crew"},
      {"events.list", "/events?circle=crew"},
      {"circles.get", "/circles/crew"},
      {"circles.tasks.list", "/circles/crew/tasks"},
      {"circles.tasks.get", "/circles/crew/tasks/1"},
      {"circles.conflicts", "/circles/crew/conflicts"},
      {"circles.metrics", "/circles/crew/metrics"},
      {"providers.list", "/providers"},
      {"providers.get", "/providers/1"},
      {"models.list", "/models"},
      {"models.get", "/models/1"},
      {"personas.list", "/personas"},
      {"personas.get", "/personas/1"},
      {"dashboard.agents", "/dashboard/agents"},
      {"dashboard.agent", "/dashboard/agents/1"},
      {"dashboard.providers", "/dashboard/providers"},
      {"dashboard.provider", "/dashboard/providers/1"},
      {"dashboard.models", "/dashboard/models"},
      {"dashboard.model", "/dashboard/models/1"},
      {"dashboard.stats", "/dashboard/stats"},
      {"dashboard.circles", "/dashboard/circles"},
      {"dashboard.circle", "/dashboard/circles/1"},
      {"dashboard.circle.members", "/dashboard/circles/1/members"},
      {"dashboard.circle.tasks", "/dashboard/circles/1/tasks"},
  };
  return reads;
}

// Adds children of every kind until there are `count`: agents with skills and files, circles, and in the
// first circle members, tasks with a history, and conflicts.
void GrowTo(db::Connection& database, int count) {
  const std::string upto = std::to_string(count);
  database.Script(
      "INSERT INTO agents (name, role, provider_name, model_name)"
      " SELECT 'agent-' || i, 'Developer', 'anthropic', 'claude' FROM generate_series("
      "  (SELECT count(*) FROM agents) + 1, " +
      upto +
      ") i;"
      "INSERT INTO agent_skills (agent_id, skill_id, position)"
      " SELECT 1, id, row_number() OVER (ORDER BY id) FROM skills LIMIT " +
      upto +
      " ON CONFLICT DO NOTHING;"
      "INSERT INTO agent_working_files (agent_id, path, touched_at)"
      " SELECT 1, 'file-' || i, now() FROM generate_series(1, least(" +
      upto +
      ", 50)) i ON CONFLICT DO NOTHING;"
      "INSERT INTO circles (name, status, started_at, created_by)"
      " SELECT CASE i WHEN 1 THEN 'crew' ELSE 'circle-' || i END, 'running', now(), 'test' FROM "
      "generate_series("
      "  (SELECT count(*) FROM circles) + 1, " +
      upto +
      ") i;"
      "INSERT INTO circle_members (circle_id, agent_id, agent_ref, name, provider, model)"
      " SELECT 1, i, i, 'agent-' || i, 'anthropic', 'claude' FROM generate_series(1, " +
      upto +
      ") i"
      " ON CONFLICT DO NOTHING;"
      "INSERT INTO tasks (circle_id, number, title, status, assigned_agent_id, assigned_at, created_by)"
      " SELECT 1, i, 'task ' || i, 'in_progress', 1 + (i % " +
      upto +
      "), now(), 'test' FROM generate_series("
      "  (SELECT count(*) FROM tasks) + 1, " +
      upto +
      " + 1) i;"
      "INSERT INTO task_history (task_id, to_status, changed_by) SELECT id, 'pending', 'test' FROM tasks;"
      "INSERT INTO conflicts (circle_id, first_task_id, second_task_id, path)"
      " SELECT 1, 1, 2, 'path-' || i FROM generate_series((SELECT count(*) FROM conflicts) + 1, " +
      upto +
      ") i;"
      "INSERT INTO providers (name) SELECT 'provider-' || i FROM generate_series("
      "  (SELECT count(*) FROM providers) + 1, " +
      upto +
      ") i;"
      "INSERT INTO models (provider_id, model_name) SELECT 1, 'model-' || i FROM generate_series("
      "  (SELECT count(*) FROM models) + 1, " +
      upto +
      ") i;"
      "INSERT INTO personas (display_name, role) SELECT 'persona-' || i, 'Developer' FROM generate_series("
      "  (SELECT count(*) FROM personas) + 1, " +
      upto + ") i");
}

struct Counted {
  std::int64_t requests = 0;
  double statements = 0;
};

std::map<std::string, Counted> CountedSoFar(HttpClient& admin) {
  std::map<std::string, Counted> counted;
  const json report = admin.Get("/health/database").Json();
  for (const json& route : report.at("routes")) {
    const std::int64_t requests = route.at("requests");
    const double each = route.at("db_queries_per_request");
    counted[route.at("route")] = {requests, each * static_cast<double>(requests)};
  }
  return counted;
}

}  // namespace

TEST_CASE("the number of statements is the same for 1, 20 and 200 children") {
  const FreshDatabase database;
  db::Connection sql{{.url = database.url()}};
  RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient admin = daemon.Admin();
  const Headers from_the_database = {{"Authorization", "Bearer " + daemon.AdminToken()},
                                     {"Cache-Control", "no-cache"}};
  std::map<std::string, std::vector<double>> statements;
  std::map<std::string, std::vector<std::size_t>> sizes;
  for (const int children : {1, 20, 200}) {
    GrowTo(sql, children);
    for (const auto& [id, path] : Reads()) {
      INFO(id);
      const auto before = CountedSoFar(admin);
      const Answer answer = admin.Send("GET", path, from_the_database);
      CHECK(answer.status == 200);
      const auto after = CountedSoFar(admin);
      const Counted was = before.contains(id) ? before.at(id) : Counted{};
      REQUIRE(after.at(id).requests == was.requests + 1);
      statements[id].push_back(after.at(id).statements - was.statements);
      sizes[id].push_back(answer.body.size());
    }
  }
  std::size_t grown = 0;
  for (const auto& [id, counts] : statements) {
    INFO(id);
    CHECK(counts[1] == Approx(counts[0]));
    CHECK(counts[2] == Approx(counts[0]));
    if (sizes.at(id).back() > 2 * sizes.at(id).front()) ++grown;
  }
  CHECK(grown >= 15);  // there really was more to show
  CHECK(statements.at("circles.get").back() == Approx(1));
  CHECK(statements.at("circles.list").back() <= Approx(2));
}

TEST_CASE("the sweep knows every route that reads the database") {
  std::set<std::string> unswept;
  for (const auto& table : http::RouteTables()) {
    for (const Route& route : table) {
      const bool reads = route.method == http::Method::kGet && route.statements.max != 0;
      if (reads && !Reads().contains(std::string{route.id})) unswept.emplace(route.id);
    }
  }
  // An answer that is remembered, and one without an end.
  CHECK(unswept == std::set<std::string>{"events.stream", "health.checks", "health.ready"});
}

TEST_CASE("no request of a working day needs more statements than its route may") {
  const FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient admin = daemon.Admin();
  const auto post = [&](const std::string& path, const json& body = nullptr) {
    const Answer answer = body.is_null() ? admin.Post(path) : admin.Post(path, body);
    INFO(path << ": " << answer.body);
    CHECK(answer.status < 300);
  };
  post("/agents", {{"persona", {{"name", "Ada"}, {"role", "Developer"}}}, {"config", {{"persona_id", 1}}}});
  const json change = {{"persona", {{"name", "Ada"}, {"role", "Lead"}}},
                       {"config", {{"model_id", 1}, {"persona_id", 1}}}};
  CHECK(admin.Patch("/agents/1", change).status == 200);
  post("/agents/1/session/track-file?file_path=a.cpp");
  post("/agents/1/session/set-task?task_id=1&title=t");
  admin.Delete("/agents/1/session/task");
  for (const char* path : {"/agents/1/skills/git", "/agents/1/skills/nonsense"}) admin.Post(path);
  post("/circles", {{"name", "crew"}});
  for (int i = 1; i <= 3; ++i) {
    post("/circles/crew/agents?agent_name=a&competencies=python&agent_id=" + std::to_string(i));
  }
  post("/circles/crew/start");
  post("/circles/crew/tasks", {{"title", "plain"}});
  for (int i = 0; i < 2; ++i) {
    post("/circles/crew/tasks", {{"title", "routed"}, {"required_competencies", {"python"}}});
    post("/circles/crew/tasks/" + std::to_string(i + 2) + "/submit",
         {{"result", "r"}, {"files_modified", {"f"}}});
  }
  post("/circles/crew/tasks/2/approve?reviewer_id=1");
  post("/circles/crew/tasks/3/reject?reviewer_id=1&reason=again");
  for (const char* path :
       {"/circles/crew/tasks?offset=100", "/circles/crew/conflicts?offset=100", "/circles?offset=9",
        "/circles/none/tasks", "/circles/none", "/circles/crew/tasks/99", "/agents/99"}) {
    admin.Get(path);
  }
  post("/circles/crew/stop");
  post("/circles/crew/stop");
  admin.Delete("/circles/crew/agents/1");
  admin.Delete("/circles/crew");
  admin.Delete("/agents/1");

  const json report = admin.Get("/health/database").Json();
  std::size_t called = 0;
  for (const json& route : report.at("routes")) {
    INFO(route.dump());
    CHECK(route.at("over_budget") == 0);
    ++called;
  }
  CHECK(called >= 18);
}

TEST_CASE("the operator sees pool, pipelines, statements and routes") {
  const FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url(), .environment = {{"GATHERING_HTTP_LOOPS", "2"}}}};
  HttpClient admin = daemon.Admin();
  for (int i = 0; i < 20; ++i) CHECK(admin.Get("/agents").status == 200);
  const json report = admin.Get("/health/database").Json();
  CHECK(report.at("pool").at("workers") >= 1);
  REQUIRE(report.at("pipelines").size() == 4);  // reads and writes of two loops
  std::int64_t statements = 0;
  for (const json& pipeline : report.at("pipelines")) {
    CHECK(pipeline.at("connected") == true);
    CHECK(pipeline.at("queued") == 0);
    statements += pipeline.at("statements").get<std::int64_t>();
  }
  CHECK(statements >= 20);
  bool listed = false;
  for (const json& statement : report.at("statements")) {
    if (statement.at("name") != "agent_list") continue;
    listed = true;
    CHECK(statement.at("count") == 20);
    CHECK(statement.at("failed") == 0);
    CHECK(statement.at("run_ms_max") > 0);
  }
  CHECK(listed);
}

}  // namespace gathering::test
