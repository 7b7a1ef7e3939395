#include "core/providers/provider.h"

#include "core/base/limits.h"
#include "core/db/queries.h"

namespace gathering::providers {

ProviderList List(db::Executor& db) {
  ProviderList list;
  list.providers = db.All<Provider>(sql::kProviderList, kListRowsMax);
  list.total = static_cast<std::int64_t>(list.providers.size());
  return list;
}

std::vector<DashboardProvider> ListForDashboard(db::Executor& db) {
  return db.All<DashboardProvider>(sql::kProviderList, kListRowsMax);
}

std::optional<Provider> Find(db::Executor& db, std::int64_t id) {
  return db.Maybe<Provider>(sql::kProviderById, id);
}

std::optional<DashboardProvider> FindForDashboard(db::Executor& db, std::int64_t id) {
  return db.Maybe<DashboardProvider>(sql::kProviderById, id);
}

Provider Get(db::Executor& db, std::int64_t id) {
  if (auto provider = Find(db, id)) return *std::move(provider);
  throw Error{Code::kNotFound, "Provider not found"};
}

Provider Create(db::Executor& db, const NewProvider& input) {
  auto created = db.Maybe<Provider>(sql::kProviderCreate, input.name, input.api_base_url, input.is_local);
  if (!created) throw Error{Code::kRejected, "Provider with this name already exists"};
  return *std::move(created);
}

void Delete(db::Executor& db, std::int64_t id) {
  try {
    db.Run(sql::kProviderDelete, id);
  } catch (const Error& error) {
    if (error.code != Code::kRejected) throw;
    throw Error{Code::kConflict, "Provider still has models", error.cause};
  }
}

}  // namespace gathering::providers
