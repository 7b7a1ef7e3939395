// Agents, their sessions and their skills on a real database.
#include <algorithm>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "core/circles/circle.h"
#include "core/tasks/task.h"
#include "tests/db/catalog_fixture.h"

namespace gathering::test {
namespace {

using nlohmann::json;

agents::NewAgent Ada() {
  agents::NewAgent input;
  input.persona.name = "Ada";
  input.persona.role = "Architect";
  input.persona.traits = {{"precise"}};
  input.persona.communication_style = "concise";
  input.persona.specializations = {{"python", "sql"}};
  input.persona.languages = {{"en"}};
  input.config.provider = "anthropic";
  input.config.model = "claude-sonnet-4-20250514";
  input.config.max_tokens = 512;
  input.config.temperature = 0.3;
  return input;
}

json Skills(const skills::AgentSkills& skills) {
  return ToTree(skills);
}

}  // namespace

TEST_CASE("an agent is read back as it was made", "[agents]") {
  CatalogFixture f;
  const auto made = f.MakeAgent(Ada());
  CHECK(schema::ToJson(f.Agent(made.id)) == schema::ToJson(made));
  const json tree = ToTree(made);
  CHECK(tree["status"] == "idle");
  CHECK(tree["competencies"] == json{"python", "sql"});
  CHECK(tree["current_task"] == "");
  CHECK(tree["created_at"].get<std::string>().ends_with("Z"));
  CHECK(tree["last_activity"] == tree["created_at"]);
  CHECK(tree["persona"]["communication_style"] == "concise");
  CHECK(tree["config"]["temperature"] == 0.3);
  CHECK(tree["config"]["max_tokens"] == 512);
  CHECK(tree["session"] == json{{"status", "active"},
                                {"working_files", json::array()},
                                {"pending_actions", json::array()},
                                {"message_count", 0},
                                {"needs_resume", false},
                                {"time_since", "quelques secondes"}});
  CHECK(tree["skills"] == json::array());
  CHECK(tree["tools_count"] == 0);
}

TEST_CASE("an agent needs only a name and a role", "[agents]") {
  CatalogFixture f;
  const json tree = ToTree(f.MakeAgent("Bob", "Developer"));
  CHECK(tree["provider"] == "anthropic");
  CHECK(tree["model"] == "claude-sonnet-4-20250514");
  CHECK(tree["config"]["max_tokens"] == 4096);
  CHECK(tree["config"]["temperature"] == 0.7);
  CHECK(tree["config"]["model_id"].is_number());
  CHECK(tree["persona"]["languages"] == json{"fr", "en"});
  CHECK(tree["persona"]["communication_style"] == "balanced");
}

TEST_CASE("every rule an agent's persona breaks is named at its field", "[agents]") {
  CatalogFixture f;
  agents::NewAgent input;
  input.persona.name = "";
  input.persona.motto = "onwards";
  const Error error = f.Refused([&](db::Tx& tx) { agents::Create(tx, input); });
  CHECK(error.code == Code::kInvalid);
  REQUIRE(error.fields.size() == 2);
  CHECK(error.fields[0].type == "string_too_short");
  CHECK(error.fields[0].location == std::vector<FieldStep>{"body", "persona", "name"});
  CHECK(error.fields[1].type == "missing");
  CHECK(error.fields[1].location == std::vector<FieldStep>{"body", "persona", "role"});
  CHECK(error.fields[1].input == R"({"name":"","motto":"onwards"})");
}

TEST_CASE("an agent may run on a model nobody has entered", "[agents]") {
  CatalogFixture f;
  agents::NewAgent input = Ada();
  input.config.provider = "nobody";
  input.config.model = "m2";
  const json tree = ToTree(f.MakeAgent(input));
  CHECK(tree["provider"] == "nobody");
  CHECK(tree["model"] == "m2");
  CHECK(tree["config"]["model_id"].is_null());
}

TEST_CASE("an agent made after a persona takes a copy of it", "[agents]") {
  CatalogFixture f;
  personas::NewPersona persona;
  persona.display_name = "Sophie";
  persona.role = "Engineer";
  persona.full_prompt = "the whole prompt";
  persona.specializations = {"rust"};
  persona.default_model_id = 5;
  const auto original = f.MakePersona(persona);
  agents::NewAgent input;
  input.persona.name = "";  // what the dashboard sends
  input.config.persona_id = original.id;
  const auto agent = f.MakeAgent(input);
  const json tree = ToTree(agent);
  CHECK(agent.name == "Sophie");
  CHECK(agent.role == "Engineer");
  CHECK(agent.model == "gpt-4o");
  CHECK(agent.competencies == std::vector<std::string>{"rust"});
  CHECK(tree["persona"]["base_prompt"] == "the whole prompt");
  CHECK(tree["persona"]["languages"] == json{"fr", "en"});

  f.Write([&](db::Tx& tx) { personas::Change(tx, original.id, {.role = "Somebody else"}); });
  CHECK(f.Agent(agent.id).role == "Engineer");
  f.Write([&](db::Tx& tx) { personas::Delete(tx, original.id); });
  CHECK(ToTree(f.Agent(agent.id))["config"]["persona_id"].is_null());
}

TEST_CASE("a model or persona an agent names by id must exist", "[agents]") {
  CatalogFixture f;
  agents::NewAgent input = Ada();
  input.config.model_id = 9999;
  const Error model = f.Refused([&](db::Tx& tx) { agents::Create(tx, input); });
  REQUIRE(model.fields.size() == 1);
  CHECK(model.fields[0].location == std::vector<FieldStep>{"body", "config", "model_id"});
  input = Ada();
  input.config.persona_id = 9999;
  const Error persona = f.Refused([&](db::Tx& tx) { agents::Create(tx, input); });
  REQUIRE(persona.fields.size() == 1);
  CHECK(persona.fields[0].location == std::vector<FieldStep>{"body", "config", "persona_id"});
  CHECK(f.Read([](db::Tx& tx) { return agents::List(tx); }).total == 0);
}

TEST_CASE("a changed configuration is replaced as a whole and leaves the persona", "[agents]") {
  CatalogFixture f;
  const auto before = f.MakeAgent(Ada());
  agents::AgentChange change;
  change.config.emplace();
  change.config->provider = "anthropic";
  change.config->model = "m2";
  const json tree = ToTree(f.Write([&](db::Tx& tx) { return agents::Change(tx, before.id, change); }));
  CHECK(tree["model"] == "m2");
  CHECK(tree["config"]["max_tokens"] == 4096);
  CHECK(tree["config"]["temperature"] == 0.7);
  CHECK(tree["persona"] == ToTree(before)["persona"]);
  CHECK(tree["competencies"] == json{"python", "sql"});
}

TEST_CASE("a changed persona is replaced as a whole and leaves the configuration", "[agents]") {
  CatalogFixture f;
  const auto before = f.MakeAgent(Ada());
  agents::AgentChange change;
  change.persona.emplace();
  change.persona->name = "Eve";
  change.persona->role = "Lead";
  const json tree = ToTree(f.Write([&](db::Tx& tx) { return agents::Change(tx, before.id, change); }));
  CHECK(tree["name"] == "Eve");
  CHECK(tree["persona"]["traits"] == json::array());
  CHECK(tree["competencies"] == json::array());
  CHECK(tree["config"]["max_tokens"] == 512);
}

TEST_CASE("an empty change answers the agent as it is", "[agents]") {
  CatalogFixture f;
  const auto before = f.MakeAgent(Ada());
  const auto after = f.Write([&](db::Tx& tx) { return agents::Change(tx, before.id, {}); });
  CHECK(schema::ToJson(after) == schema::ToJson(before));
}

TEST_CASE("an agent that does not exist is named wherever it is asked for", "[agents]") {
  CatalogFixture f;
  agents::AgentChange change;
  change.config.emplace();
  const std::vector<std::function<void(db::Tx&)>> calls = {
      [](db::Tx& tx) { (void)agents::Get(tx, 9999); },
      [](db::Tx& tx) { (void)agents::GetRecord(tx, 9999); },
      [](db::Tx& tx) { (void)agents::GetForDashboard(tx, 9999); },
      [](db::Tx& tx) { (void)agents::Report(tx, 9999); },
      [](db::Tx& tx) { agents::Change(tx, 9999, {}); },
      [&](db::Tx& tx) { agents::Change(tx, 9999, change); },
      [](db::Tx& tx) { agents::Delete(tx, {.agent_id = 9999, .user = "u"}); },
      [](db::Tx& tx) { agents::TrackFile(tx, 9999, {.file_path = "f"}); },
      [](db::Tx& tx) { agents::SetTask(tx, 9999, {.task_id = 1, .title = "t", .progress = ""}); },
      [](db::Tx& tx) { agents::ClearTask(tx, 9999); },
      [](db::Tx& tx) { (void)skills::Of(tx, 9999); },
      [](db::Tx& tx) { skills::Set(tx, 9999, {"git"}); },
      [](db::Tx& tx) { skills::Add(tx, 9999, "nope"); },
      [](db::Tx& tx) { skills::Remove(tx, 9999, "git"); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    INFO("call " << i);
    const Error error = f.Refused(calls[i]);
    CHECK(error.code == Code::kNotFound);
    CHECK(error.message == "Agent 9999 not found");
  }
}

TEST_CASE("the task an agent is at shows in its session until it is cleared", "[agents]") {
  CatalogFixture f;
  const auto agent = f.MakeAgent("Ada", "Architect");
  f.Write([&](db::Tx& tx) {
    agents::SetTask(tx, agent.id, {.task_id = 7, .title = "Ship it", .progress = "50%"});
  });
  CHECK(f.Agent(agent.id).current_task == "Ship it");
  const json report = ToTree(f.Report(agent.id));
  CHECK(report["session"]["current_task"] == json{{"id", 7}, {"title", "Ship it"}, {"progress", "50%"}});
  CHECK(report["session"]["last_activity"].get<std::string>().ends_with("+00:00"));
  CHECK(report["is_processing"] == false);
  CHECK(report["project"].is_null());
  CHECK(f.Agent(agent.id).last_activity > agent.last_activity);
  f.Write([&](db::Tx& tx) { agents::ClearTask(tx, agent.id); });
  CHECK(f.Agent(agent.id).current_task == "");
  CHECK(ToTree(f.Report(agent.id))["session"]["current_task"].is_null());
}

TEST_CASE("an agent's newest working files are kept, the newest last", "[agents]") {
  CatalogFixture f;
  const auto agent = f.MakeAgent("Ada", "Architect");
  const auto files = [&] { return ToTree(f.Report(agent.id))["session"]["working_files"]; };
  const auto track = [&](std::string path) {
    f.Write([&](db::Tx& tx) { agents::TrackFile(tx, agent.id, {.file_path = std::move(path)}); });
  };
  for (std::int64_t i = 1; i <= agents::kWorkingFilesMax; ++i) track("file " + std::to_string(i));
  REQUIRE(files().size() == static_cast<std::size_t>(agents::kWorkingFilesMax));
  track("file 1");
  REQUIRE(files().size() == static_cast<std::size_t>(agents::kWorkingFilesMax));
  CHECK(files().back() == "file 1");
  track("one more");
  REQUIRE(files().size() == static_cast<std::size_t>(agents::kWorkingFilesMax));
  CHECK(files().back() == "one more");
  CHECK(files().front() == "file 3");
}

TEST_CASE("files tracked at the same time do not exceed the bound", "[agents]") {
  CatalogFixture f;
  const auto agent = f.MakeAgent("Ada", "Architect");
  f.Sql(
      "INSERT INTO agent_working_files (agent_id, path) SELECT id, 'old ' || n FROM agents, "
      "generate_series(1, " +
      std::to_string(agents::kWorkingFilesMax) + ") AS n");
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&f, i, id = agent.id] {
      f.Write([&](db::Tx& tx) { agents::TrackFile(tx, id, {.file_path = "new " + std::to_string(i)}); });
    });
  }
  threads.clear();
  const json files = ToTree(f.Report(agent.id))["session"]["working_files"];
  CHECK(files.size() == static_cast<std::size_t>(agents::kWorkingFilesMax));
  CHECK(std::count_if(files.begin(), files.end(),
                      [](const json& file) { return file.get<std::string>().starts_with("new "); }) == 8);
}

TEST_CASE("a session left with a task waits to be resumed after an hour", "[agents]") {
  CatalogFixture f;
  const auto agent = f.MakeAgent("Ada", "Architect");
  f.Write([&](db::Tx& tx) { agents::SetTask(tx, agent.id, {.task_id = 1, .title = "t", .progress = ""}); });
  const auto after = [&](const std::string& interval) {
    f.Sql("UPDATE agents SET last_active_at = now() - interval '" + interval + "'");
    return ToTree(f.Report(agent.id))["session"];
  };
  CHECK(after("59 seconds")["time_since"] == "quelques secondes");
  CHECK(after("119 seconds")["time_since"] == "1 minute");
  CHECK(after("59 minutes")["needs_resume"] == false);
  CHECK(after("59 minutes")["time_since"] == "59 minutes");
  CHECK(after("61 minutes")["needs_resume"] == true);
  CHECK(after("61 minutes")["status"] == "idle");
  CHECK(after("61 minutes")["time_since"] == "1 heure");
  CHECK(after("23 hours")["time_since"] == "23 heures");
  CHECK(after("3 days")["time_since"] == "3 jours");
  f.Write([&](db::Tx& tx) { agents::ClearTask(tx, agent.id); });
  CHECK(after("3 days")["needs_resume"] == false);
}

TEST_CASE("an agent's skills keep the order they were given in", "[agents][skills]") {
  CatalogFixture f;
  const auto agent = f.MakeAgent("Ada", "Architect");
  const json none = Skills(f.Read([&](db::Tx& tx) { return skills::Of(tx, agent.id); }));
  CHECK(none["configured_skills"] == json::array());
  CHECK(none["skill_details"] == json::array());
  CHECK(none["available_skills"].size() == 27);
  CHECK(none["tools_count"] == 0);

  const json set = Skills(f.Write([&](db::Tx& tx) {
    return skills::Set(tx, agent.id, {"http", "docs", "http"});
  }));
  CHECK(set["configured_skills"] == json{"http", "docs"});
  CHECK(set["loaded_skills"] == json{"http", "docs"});
  CHECK(set["failed_skills"] == json::array());
  CHECK(set["tools_count"] == 15);
  CHECK(set["skill_details"][1]["name"] == "docs");

  const json added = ToTree(f.Write([&](db::Tx& tx) { return skills::Add(tx, agent.id, "git"); }));
  CHECK(added["status"] == "added");
  CHECK(added["skills"] == json{"http", "docs", "git"});
  CHECK(added["tools_count"] == 28);
  CHECK(ToTree(f.Write([&](db::Tx& tx) { return skills::Add(tx, agent.id, "git"); }))["status"] ==
        "already_exists");
  CHECK(f.Agent(agent.id).skills == std::vector<std::string>{"http", "docs", "git"});

  const json removed = ToTree(f.Write([&](db::Tx& tx) { return skills::Remove(tx, agent.id, "git"); }));
  CHECK(removed["status"] == "removed");
  CHECK(removed["skills"] == json{"http", "docs"});
  CHECK(ToTree(f.Write([&](db::Tx& tx) { return skills::Remove(tx, agent.id, "git"); }))["status"] ==
        "not_found");

  const json swapped = Skills(f.Write([&](db::Tx& tx) {
    return skills::Set(tx, agent.id, {"docs", "test", "http"});
  }));
  CHECK(swapped["configured_skills"] == json{"docs", "test", "http"});
  CHECK(Skills(f.Write([&](db::Tx& tx) { return skills::Set(tx, agent.id, {}); }))["configured_skills"] ==
        json::array());
}

TEST_CASE("a skill that does not exist is refused with those that do", "[agents][skills]") {
  CatalogFixture f;
  const auto agent = f.MakeAgent("Ada", "Architect");
  const Error added = f.Refused([&](db::Tx& tx) { skills::Add(tx, agent.id, "nope"); });
  CHECK(added.code == Code::kRejected);
  CHECK(added.message.starts_with("Invalid skill name: nope. Available: ['ai', 'analysis', 'calendar', "));
  CHECK(added.message.ends_with("'test', 'web']"));
  const Error set = f.Refused([&](db::Tx& tx) { skills::Set(tx, agent.id, {"git", "nope"}); });
  CHECK(set.code == Code::kRejected);
  CHECK(f.Agent(agent.id).skills.empty());
}

TEST_CASE("a skill switched off for everybody counts as failed", "[agents][skills]") {
  CatalogFixture f;
  const auto agent = f.MakeAgent("Ada", "Architect");
  f.Write([&](db::Tx& tx) { skills::Set(tx, agent.id, {"git", "test"}); });
  f.Sql("UPDATE skills SET is_enabled = false WHERE name = 'git'");
  const json now = Skills(f.Read([&](db::Tx& tx) { return skills::Of(tx, agent.id); }));
  CHECK(now["configured_skills"] == json{"git", "test"});
  CHECK(now["loaded_skills"] == json::array({"test"}));
  CHECK(now["failed_skills"] == json::array({"git"}));
  CHECK(now["available_skills"].size() == 26);
  CHECK(now["tools_count"] == 7);
}

TEST_CASE("the flat rows carry what an agent has achieved in all its circles", "[agents]") {
  CatalogFixture f;
  const auto ada = f.MakeAgent(Ada());
  const auto bob = f.MakeAgent("Bob", "Developer");
  for (const char* name : {"one", "two"}) {
    f.Write([&](db::Tx& tx) {
      circles::Create(tx, {.name = name}, "u");
      circles::AddMember(tx, name,
                         {.agent_id = ada.id,
                          .name = "Ada",
                          .provider = "p",
                          .model = "m",
                          .competencies = {},
                          .can_review = {}},
                         "u");
    });
  }
  f.Sql(
      "UPDATE circle_members SET tasks_completed = 2, reviews_done = 3, results_passed = 3, results_refused "
      "= 1");
  f.Write([&](db::Tx& tx) { circles::RemoveMember(tx, "two", {.agent_id = ada.id, .user = "u"}); });

  const json rows = ToTree(f.Read([](db::Tx& tx) { return agents::ListRows(tx); }));
  REQUIRE(rows["total"] == 2);
  const json& first = rows["agents"][0];
  CHECK(first["role"] == "Architect");
  CHECK(first["persona_role"] == "Architect");
  CHECK(first["model"] == "Sonnet 4");
  CHECK(first["tasks_completed"] == 4);
  CHECK(first["reviews_done"] == 6);
  CHECK(first["approval_rate"] == 0.75);
  CHECK(first["circle_count"] == 1);
  CHECK(first["last_active_at"].is_null());
  CHECK(rows["agents"][1]["approval_rate"] == 0.0);

  const json record = ToTree(f.Read([&](db::Tx& tx) { return agents::GetRecord(tx, ada.id); }));
  CHECK(record["model_name"] == "claude-sonnet-4-20250514");
  CHECK(record["model_alias"] == "Sonnet 4");
  CHECK(record["pricing_in"] == "3.0000");
  CHECK(record["context_window"] == 200000);
  CHECK(record["created_at"].get<std::string>().ends_with("+00:00"));
  CHECK(record["tasks_completed"] == 4);
  const json dashboard = ToTree(f.Read([&](db::Tx& tx) { return agents::GetForDashboard(tx, bob.id); }));
  CHECK(dashboard["created_at"].get<std::string>().ends_with("Z"));
}

TEST_CASE("a deleted agent leaves its circles, and its unfinished task goes to another", "[agents]") {
  CatalogFixture f;
  const auto ada = f.MakeAgent(Ada());
  const auto bob = f.MakeAgent("Bob", "Developer");
  f.Write([&](db::Tx& tx) {
    circles::Create(tx, {.name = "core"}, "u");
    circles::Start(tx, "core", "u");
    circles::AddMember(tx, "core",
                       {.agent_id = ada.id,
                        .name = "Ada",
                        .provider = "p",
                        .model = "m",
                        .competencies = {"sql"},
                        .can_review = {}},
                       "u");
    tasks::NewTask task;
    task.title = "Write it";
    task.required_competencies = {"sql"};
    tasks::Create(tx, "core", task, "u");
    circles::AddMember(tx, "core",
                       {.agent_id = bob.id,
                        .name = "Bob",
                        .provider = "p",
                        .model = "m",
                        .competencies = {"sql"},
                        .can_review = {}},
                       "u");
  });
  REQUIRE(f.Read([](db::Tx& tx) { return tasks::Get(tx, "core", 1); }).assigned_agent_id == ada.id);

  f.Write([&](db::Tx& tx) { agents::Delete(tx, {.agent_id = ada.id, .user = "u"}); });

  CHECK(f.Refused([&](db::Tx& tx) { (void)agents::Get(tx, ada.id); }).code == Code::kNotFound);
  CHECK(f.Read([](db::Tx& tx) { return circles::Get(tx, "core"); }).agent_count == 1);
  CHECK(f.Read([](db::Tx& tx) { return tasks::Get(tx, "core", 1); }).assigned_agent_id == bob.id);
  CHECK(f.Read([](db::Tx& tx) { return agents::List(tx); }).total == 1);
}

}  // namespace gathering::test
