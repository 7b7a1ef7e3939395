// Models on a real database.
#include <catch2/catch.hpp>

#include "tests/db/catalog_fixture.h"

namespace gathering::test {
namespace {

models::ModelList All(CatalogFixture& f, const models::ModelFilter& filter) {
  return f.Read([&](db::Tx& tx) { return models::List(tx, filter); });
}

}  // namespace

TEST_CASE("prices go in as numbers and come out as text with four decimals", "[models]") {
  CatalogFixture f;
  const auto provider = f.MakeProvider("acme");
  models::NewModel input;
  input.provider_id = provider.id;
  input.model_name = "acme-1";
  input.model_alias = "Acme 1";
  input.pricing_in = 1.5;
  input.pricing_out = 2.25;
  input.context_window = 1000;
  input.release_date = Date{"2026-01-02"};
  const auto made = f.Write([&](db::Tx& tx) { return models::Create(tx, input); });
  CHECK(made.pricing_in == "1.5000");
  CHECK(made.pricing_out == "2.2500");
  CHECK_FALSE(made.pricing_cache_read.has_value());
  CHECK(made.provider_name == "acme");
  CHECK(made.release_date == Date{"2026-01-02"});
  CHECK(made.function_calling);
  const auto found = f.Read([&](db::Tx& tx) { return models::Get(tx, made.id); });
  CHECK(schema::ToJson(found) == schema::ToJson(made));
}

TEST_CASE("a provider has a model name once", "[models]") {
  CatalogFixture f;
  const auto acme = f.MakeProvider("acme");
  const auto other = f.MakeProvider("other");
  f.MakeModel(acme.id, "one");
  CHECK_NOTHROW(f.MakeModel(other.id, "one"));
  const Error error = f.Refused([&](db::Tx& tx) {
    models::NewModel again;
    again.provider_id = acme.id;
    again.model_name = "one";
    models::Create(tx, again);
  });
  CHECK(error.code == Code::kConflict);
}

TEST_CASE("a model of a provider that does not exist is refused at its field", "[models]") {
  CatalogFixture f;
  const Error error = f.Refused([](db::Tx& tx) {
    models::NewModel input;
    input.provider_id = 9999;
    input.model_name = "lost";
    models::Create(tx, input);
  });
  CHECK(error.code == Code::kInvalid);
  REQUIRE(error.fields.size() == 1);
  CHECK(error.fields[0].location == std::vector<FieldStep>{"body", "provider_id"});
  CHECK(error.fields[0].input == "9999");
}

TEST_CASE("deprecated models are listed only when asked for", "[models]") {
  CatalogFixture f;
  const auto acme = f.MakeProvider("acme");
  f.MakeModel(acme.id, "new");
  const auto old = f.MakeModel(acme.id, "old");
  f.Write([&](db::Tx& tx) { models::Change(tx, old.id, {.is_deprecated = true}); });
  CHECK(All(f, {.provider_id = acme.id}).total == 1);
  const auto all = All(f, {.provider_id = acme.id, .include_deprecated = true});
  REQUIRE(all.total == 2);
  CHECK(all.models[0].model_name == "new");
  CHECK(all.models[1].is_deprecated);
  CHECK(All(f, {}).total == 19);
}

TEST_CASE("a change touches only what it names", "[models]") {
  CatalogFixture f;
  const auto acme = f.MakeProvider("acme");
  const auto before = f.MakeModel(acme.id, "one");
  const auto same = f.Write([&](db::Tx& tx) { return models::Change(tx, before.id, {}); });
  CHECK(schema::ToJson(same) == schema::ToJson(before));
  const auto after = f.Write([&](db::Tx& tx) {
    return models::Change(tx, before.id, {.model_alias = "One", .pricing_in = 0.0001});
  });
  CHECK(after.model_alias == "One");
  CHECK(after.pricing_in == "0.0001");
  CHECK_FALSE(after.pricing_out.has_value());
  CHECK_FALSE(after.is_deprecated);
  CHECK(after.updated_at > before.updated_at);
  const Error error = f.Refused([](db::Tx& tx) { models::Change(tx, 9999, {.model_alias = "x"}); });
  CHECK(error.code == Code::kNotFound);
  CHECK(error.message == "Model not found");
}

TEST_CASE("a model can be deleted while agents run on it, and they keep its name", "[models]") {
  CatalogFixture f;
  const auto acme = f.MakeProvider("acme");
  const auto model = f.MakeModel(acme.id, "one");
  agents::NewAgent input;
  input.persona.name = "Ada";
  input.persona.role = "Architect";
  input.config.model_id = model.id;
  const auto agent = f.MakeAgent(input);
  REQUIRE(ToTree(agent)["config"]["model_id"] == model.id);
  f.Write([&](db::Tx& tx) { models::Delete(tx, model.id); });
  const auto after = f.Agent(agent.id);
  CHECK(after.provider == "acme");
  CHECK(after.model == "one");
  CHECK(ToTree(after)["config"]["model_id"].is_null());
  CHECK_NOTHROW(f.Write([&](db::Tx& tx) { models::Delete(tx, model.id); }));
}

}  // namespace gathering::test
