// Agents and the catalogue as clients of the API see them.
#include <catch2/catch.hpp>

#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/shared.h"

namespace gathering::test {
namespace {

using nlohmann::json;

struct World {
  FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
};

}  // namespace

TEST_CASE("an agent the dashboard makes shows up in the dashboard's list", "[agents]") {
  const World world;
  HttpClient client = world.daemon.Admin();
  const json models = client.Get("/models").Json();
  const json model = models["models"][0];

  const Answer own = client.Post("/agents", {{"persona",
                                              {{"name", "Ada"},
                                               {"role", "Architect"},
                                               {"base_prompt", "Think first."},
                                               {"traits", {"calm"}},
                                               {"specializations", {"sql"}},
                                               {"communication_style", "concise"},
                                               {"languages", {"en"}},
                                               {"motto", "m"}}},
                                             {"config", {{"model_id", model["id"]}, {"temperature", 1}}}});
  REQUIRE(own.status == 201);
  const json persona = client.Get("/personas").Json()["personas"][0];
  const Answer copied = client.Post(
      "/agents",
      {{"persona", {{"name", ""}}}, {"config", {{"persona_id", persona["id"]}, {"temperature", 0.5}}}});
  REQUIRE(copied.status == 201);

  const json rows = client.Get("/agents-db").Json();
  REQUIRE(rows["total"] == 2);
  CHECK(rows["agents"][0]["role"] == "Architect");
  CHECK(rows["agents"][1]["name"] == persona["display_name"]);
  const json record = client.Get("/agents-db/" + own.Json()["id"].dump()).Json();
  CHECK(record["model_id"] == model["id"]);
  CHECK(record["model_name"] == model["model_name"]);
  CHECK(record["system_prompt"] == "Think first.");

  CHECK(client.Delete("/agents/" + own.Json()["id"].dump()).status == 204);
  CHECK(client.Delete("/agents/" + own.Json()["id"].dump()).status == 404);
  CHECK(client.Get("/agents-db").Json()["total"] == 1);
}

TEST_CASE("an agent without a role is refused at its field", "[agents]") {
  HttpClient client = Shared<World>().daemon.Admin();
  const Answer answer = client.Post("/agents", {{"persona", {{"name", "X"}}}});
  CHECK(answer.status == 422);
  CHECK(answer.Json()["detail"] == json::array({{{"type", "missing"},
                                                 {"loc", {"body", "persona", "role"}},
                                                 {"msg", "Field required"},
                                                 {"input", {{"name", "X"}}}}}));
}

TEST_CASE("what cannot be done to the catalogue is refused with the right status", "[catalog]") {
  HttpClient client = Shared<World>().daemon.Admin();
  CHECK(client.Post("/providers", {{"name", "OpenAI"}}).status == 400);
  CHECK(client.Delete("/providers/1").status == 409);
  CHECK(client.Delete("/providers/9999").status == 204);
  CHECK(client.Post("/models", {{"provider_id", 1}, {"model_name", "claude-sonnet-4-20250514"}}).status ==
        409);
  CHECK(client.Post("/models", {{"provider_id", 9999}, {"model_name", "x"}}).status == 422);
  const json bad_date{{"provider_id", 1}, {"model_name", "x"}, {"release_date", "2026-02-30"}};
  CHECK(client.Post("/models", bad_date).status == 422);
  CHECK(client.Post("/personas", {{"display_name", "Architect"}, {"role", "x"}}).status == 409);
  CHECK(client.Delete("/personas/1").status == 400);
  CHECK(client.Get("/dashboard/circles/999/tasks").status == 404);
  CHECK(client.Get("/dashboard/circles/999/tasks?status=bogus").status == 422);
}

TEST_CASE("an agent's skills are set with a bare list", "[agents]") {
  HttpClient client = Shared<World>().daemon.Admin();
  const json agent = client.Post("/agents", {{"persona", {{"name", "Ada"}, {"role", "Architect"}}}}).Json();
  const std::string skills = "/agents/" + agent["id"].dump() + "/skills";
  const Answer set = client.Put(skills, json::array({"git", "code"}));
  REQUIRE(set.status == 200);
  CHECK(set.Json()["tools_count"] == 21);
  CHECK(client.Put(skills, {{"skills", {"git"}}}).status == 422);
  CHECK(client.Post(skills + "/nope").status == 400);
  CHECK(client.Delete(skills + "/git").Json()["skills"] == json::array({"code"}));
}

}  // namespace gathering::test
