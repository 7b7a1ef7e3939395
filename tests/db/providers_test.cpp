// Providers on a real database.
#include <catch2/catch.hpp>

#include "tests/db/catalog_fixture.h"

namespace gathering::test {
namespace {

providers::ProviderList All(CatalogFixture& f) {
  return f.Read([](db::Tx& tx) { return providers::List(tx); });
}

}  // namespace

TEST_CASE("six providers with eighteen models come with the schema", "[providers]") {
  CatalogFixture f;
  const providers::ProviderList list = All(f);
  REQUIRE(list.total == 6);
  std::vector<std::string> names;
  std::int64_t models = 0;
  for (const auto& provider : list.providers) {
    names.push_back(provider.name);
    models += provider.model_count;
  }
  CHECK(names == std::vector<std::string>{"anthropic", "openai", "deepseek", "mistral", "google", "ollama"});
  CHECK(models == 18);
  CHECK(list.providers[5].is_local);
}

TEST_CASE("a provider's name is kept in lower case", "[providers]") {
  CatalogFixture f;
  const providers::Provider made = f.MakeProvider("AcmeAI");
  CHECK(made.name == "acmeai");
  CHECK(made.model_count == 0);
  const providers::Provider found = f.Read([&](db::Tx& tx) { return providers::Get(tx, made.id); });
  CHECK(schema::ToJson(found) == schema::ToJson(made));
  CHECK(ToTree(found)["created_at"].get<std::string>().ends_with("+00:00"));
}

TEST_CASE("a provider's name can be taken once, in whatever case", "[providers]") {
  CatalogFixture f;
  const Error error = f.Refused([](db::Tx& tx) { providers::Create(tx, {.name = "OpenAI"}); });
  CHECK(error.code == Code::kRejected);
  CHECK(error.message == "Provider with this name already exists");
  CHECK(All(f).total == 6);
}

TEST_CASE("a provider with models stays until they are gone", "[providers]") {
  CatalogFixture f;
  const auto provider = f.MakeProvider("acme");
  const auto model = f.MakeModel(provider.id, "acme-1");
  const Error error = f.Refused([&](db::Tx& tx) { providers::Delete(tx, provider.id); });
  CHECK(error.code == Code::kConflict);
  f.Write([&](db::Tx& tx) { models::Delete(tx, model.id); });
  f.Write([&](db::Tx& tx) { providers::Delete(tx, provider.id); });
  const Error gone = f.Refused([&](db::Tx& tx) { (void)providers::Get(tx, provider.id); });
  CHECK(gone.code == Code::kNotFound);
  CHECK(gone.message == "Provider not found");
}

TEST_CASE("deleting a provider that does not exist is fine", "[providers]") {
  CatalogFixture f;
  CHECK_NOTHROW(f.Write([](db::Tx& tx) { providers::Delete(tx, 9999); }));
  CHECK(All(f).total == 6);
}

}  // namespace gathering::test
