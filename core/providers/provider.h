#pragma once
// Those who serve language models: a company's interface or a local server.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/timestamp.h"
#include "core/db/tx.h"
#include "core/schema/fields.h"

namespace gathering::providers {

// A provider as two ages of the API print it: they differ in the spelling of times only.
template <class Time>
struct ProviderOf {
  std::int64_t id = 0;
  std::string name;
  std::optional<std::string> api_base_url;
  bool is_local = false;
  Time created_at;
  std::optional<std::string> api_type;
  std::int64_t model_count = 0;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("name", self.name, {.doc = "Unique, in lower case"});
    visit("api_base_url", self.api_base_url);
    visit("is_local", self.is_local);
    visit("created_at", self.created_at);
    visit("api_type", self.api_type);
    visit("model_count", self.model_count, {.doc = "Models entered for it, deprecated ones included"});
  }
};
struct Provider : ProviderOf<OffsetTimestamp> {};
struct DashboardProvider : ProviderOf<Timestamp> {};

struct ProviderList {
  std::vector<Provider> providers;
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    visit("providers", self.providers);
    visit("total", self.total);
  }
};

struct NewProvider {
  std::string name;
  std::optional<std::string> api_base_url = {};
  bool is_local = false;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.doc = "Unique; stored in lower case", .min = 1, .max = 50, .required = true});
    visit("api_base_url", self.api_base_url, {.doc = "Where its interface is", .max = 255});
    visit("is_local", self.is_local, {.doc = "Runs on a machine of one's own"});
  }
};

[[nodiscard]] ProviderList List(db::Executor& db);
[[nodiscard]] std::vector<DashboardProvider> ListForDashboard(db::Executor& db);

// nullopt when there is none with this id.
[[nodiscard]] std::optional<Provider> Find(db::Executor& db, std::int64_t id);
[[nodiscard]] std::optional<DashboardProvider> FindForDashboard(db::Executor& db, std::int64_t id);

// Throws kNotFound.
[[nodiscard]] Provider Get(db::Executor& db, std::int64_t id);

// Throws kRejected when the name is taken.
Provider Create(db::Executor& db, const NewProvider& input);

// Deleting what is not there is fine; throws kConflict while models belong to it.
void Delete(db::Executor& db, std::int64_t id);

}  // namespace gathering::providers
