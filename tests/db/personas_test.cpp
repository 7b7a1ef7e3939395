// Personas on a real database.
#include <catch2/catch.hpp>

#include "tests/db/catalog_fixture.h"

namespace gathering::test {
namespace {

personas::NewPersona Tester() {
  personas::NewPersona input;
  input.display_name = "Test Persona";
  input.role = "Tester";
  input.traits = {"t1", "with \"quotes\", a comma and \\"};
  input.motto = "m";
  return input;
}

}  // namespace

TEST_CASE("personas that came with the schema can be changed but not deleted", "[personas]") {
  CatalogFixture f;
  const auto list = f.Read([](db::Tx& tx) { return personas::List(tx); });
  REQUIRE(list.total == 6);
  const auto id = list.personas[0].id;
  CHECK(list.personas[0].is_builtin);
  CHECK(list.personas[0].base_prompt.has_value());
  const auto changed = f.Write([&](db::Tx& tx) { return personas::Change(tx, id, {.motto = "new"}); });
  CHECK(changed.motto == "new");
  const Error error = f.Refused([&](db::Tx& tx) { personas::Delete(tx, id); });
  CHECK(error.code == Code::kRejected);
  CHECK(error.message == "Cannot delete builtin persona");
}

TEST_CASE("a persona needs no prompt, and is read back as it was made", "[personas]") {
  CatalogFixture f;
  const auto made = f.MakePersona(Tester());
  CHECK_FALSE(made.base_prompt.has_value());
  CHECK_FALSE(made.is_builtin);
  CHECK(made.communication_style == "balanced");
  CHECK(made.traits == Tester().traits);
  const auto found = f.Read([&](db::Tx& tx) { return personas::Get(tx, made.id); });
  CHECK(schema::ToJson(found) == schema::ToJson(made));
}

TEST_CASE("a persona's display name can be taken once", "[personas]") {
  CatalogFixture f;
  f.MakePersona(Tester());
  CHECK(f.Refused([](db::Tx& tx) { personas::Create(tx, Tester()); }).code == Code::kConflict);
  personas::NewPersona other = Tester();
  other.display_name = "Other";
  const auto made = f.MakePersona(other);
  const Error error =
      f.Refused([&](db::Tx& tx) { personas::Change(tx, made.id, {.display_name = "Test Persona"}); });
  CHECK(error.code == Code::kConflict);
  CHECK(error.message == "Persona with this display name already exists");
}

TEST_CASE("a persona's default model must exist", "[personas]") {
  CatalogFixture f;
  personas::NewPersona input = Tester();
  input.default_model_id = 9999;
  const Error made = f.Refused([&](db::Tx& tx) { personas::Create(tx, input); });
  CHECK(made.code == Code::kInvalid);
  REQUIRE(made.fields.size() == 1);
  CHECK(made.fields[0].location == std::vector<FieldStep>{"body", "default_model_id"});
  const auto persona = f.MakePersona(Tester());
  const Error changed =
      f.Refused([&](db::Tx& tx) { personas::Change(tx, persona.id, {.default_model_id = 9999}); });
  CHECK(changed.code == Code::kInvalid);
}

TEST_CASE("a persona shows the alias of its default model", "[personas]") {
  CatalogFixture f;
  personas::NewPersona input = Tester();
  input.default_model_id = 1;
  const auto made = f.MakePersona(input);
  CHECK(made.default_model_alias == "Opus 4.5");
  f.Write([](db::Tx& tx) { models::Delete(tx, 1); });
  const auto after = f.Read([&](db::Tx& tx) { return personas::Get(tx, made.id); });
  CHECK_FALSE(after.default_model_id.has_value());
}

TEST_CASE("null and absent leave a persona's field as it is", "[personas]") {
  CatalogFixture f;
  const auto before = f.MakePersona(Tester());
  const auto same = f.Write([&](db::Tx& tx) { return personas::Change(tx, before.id, {}); });
  CHECK(schema::ToJson(same) == schema::ToJson(before));
  const auto after = f.Write([&](db::Tx& tx) {
    return personas::Change(tx, before.id, {.role = "Lead", .traits = std::vector<std::string>{}});
  });
  CHECK(after.role == "Lead");
  CHECK(after.traits.empty());
  CHECK(after.motto == "m");
  CHECK(after.updated_at > before.updated_at);
}

TEST_CASE("a persona that does not exist is not found, but deleting it is fine", "[personas]") {
  CatalogFixture f;
  const Error got = f.Refused([](db::Tx& tx) { (void)personas::Get(tx, 9999); });
  CHECK(got.code == Code::kNotFound);
  CHECK(got.message == "Persona not found");
  CHECK(f.Refused([](db::Tx& tx) { personas::Change(tx, 9999, {.motto = "x"}); }).code == Code::kNotFound);
  CHECK_NOTHROW(f.Write([](db::Tx& tx) { personas::Delete(tx, 9999); }));
  const auto made = f.MakePersona(Tester());
  f.Write([&](db::Tx& tx) { personas::Delete(tx, made.id); });
  CHECK(f.Refused([&](db::Tx& tx) { (void)personas::Get(tx, made.id); }).code == Code::kNotFound);
}

}  // namespace gathering::test
