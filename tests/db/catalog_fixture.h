#pragma once
// A fresh database with short words for what the tests of the catalogue do.
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "core/agents/agent.h"
#include "core/db/pool.h"
#include "core/models/model.h"
#include "core/personas/persona.h"
#include "core/providers/provider.h"
#include "core/schema/writer.h"
#include "core/skills/skill.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {

class CatalogFixture {
 public:
  template <class F>
  auto Read(F&& work) {
    return pool_.Read(std::forward<F>(work));
  }
  template <class F>
  auto Write(F&& work) {
    return pool_.Write(std::forward<F>(work));
  }
  // What `work` throws; fails the test when it throws nothing.
  Error Refused(const std::function<void(db::Tx&)>& work) {
    try {
      pool_.Write(work);
    } catch (const Error& error) {
      return error;
    }
    FAIL("nothing was refused");
    return Error{Code::kInternal, ""};
  }
  // Runs a statement as it is, for what no function does.
  void Sql(const std::string& text) {
    statements_.push_back("test_" + std::to_string(statements_.size()));
    const db::Query query{statements_.back(), text};
    Write([&](db::Tx& tx) { tx.Run(query); });
  }

  agents::AgentDetail MakeAgent(const agents::NewAgent& input) {
    return Write([&](db::Tx& tx) { return agents::Create(tx, input); });
  }
  agents::AgentDetail MakeAgent(std::string name, std::string role) {
    agents::NewAgent input;
    input.persona.name = std::move(name);
    input.persona.role = std::move(role);
    return MakeAgent(input);
  }
  agents::AgentDetail Agent(std::int64_t id) {
    return Read([&](db::Tx& tx) { return agents::Get(tx, id); });
  }
  agents::AgentReport Report(std::int64_t id) {
    return Read([&](db::Tx& tx) { return agents::Report(tx, id); });
  }
  personas::Persona MakePersona(const personas::NewPersona& input) {
    return Write([&](db::Tx& tx) { return personas::Create(tx, input); });
  }
  providers::Provider MakeProvider(std::string name) {
    return Write([&](db::Tx& tx) {
      return providers::Create(tx, {.name = std::move(name), .api_base_url = {}, .is_local = false});
    });
  }
  models::Model MakeModel(std::int64_t provider_id, std::string name) {
    models::NewModel input;
    input.provider_id = provider_id;
    input.model_name = std::move(name);
    return Write([&](db::Tx& tx) { return models::Create(tx, input); });
  }

 private:
  FreshDatabase database_;
  SystemClock clock_;
  std::deque<std::string> statements_;  // connections remember a statement by its name
  db::Pool pool_{{.url = database_.url(), .connections_max = 8}, clock_};
};

template <class T>
nlohmann::json ToTree(const T& value) {
  return nlohmann::json::parse(schema::ToJson(value));
}

}  // namespace gathering::test
