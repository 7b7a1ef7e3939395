#include "core/providers/provider.h"

#include "core/base/limits.h"
#include "core/db/queries.h"

namespace gathering::providers {

ProviderList List(db::Tx& tx) {
  ProviderList list;
  list.providers = tx.All<Provider>(sql::kProviderList, kListRowsMax);
  list.total = static_cast<std::int64_t>(list.providers.size());
  return list;
}

std::vector<DashboardProvider> ListForDashboard(db::Tx& tx) {
  return tx.All<DashboardProvider>(sql::kProviderList, kListRowsMax);
}

std::optional<Provider> Find(db::Tx& tx, std::int64_t id) {
  return tx.Maybe<Provider>(sql::kProviderById, id);
}

std::optional<DashboardProvider> FindForDashboard(db::Tx& tx, std::int64_t id) {
  return tx.Maybe<DashboardProvider>(sql::kProviderById, id);
}

Provider Get(db::Tx& tx, std::int64_t id) {
  if (auto provider = Find(tx, id)) return *std::move(provider);
  throw Error{Code::kNotFound, "Provider not found"};
}

Provider Create(db::Tx& tx, const NewProvider& input) {
  auto created = tx.Maybe<Provider>(sql::kProviderCreate, input.name, input.api_base_url, input.is_local);
  if (!created) throw Error{Code::kRejected, "Provider with this name already exists"};
  return *std::move(created);
}

void Delete(db::Tx& tx, std::int64_t id) {
  try {
    tx.Run(sql::kProviderDelete, id);
  } catch (const Error& error) {
    if (error.code != Code::kRejected) throw;
    throw Error{Code::kConflict, "Provider still has models", error.cause};
  }
}

}  // namespace gathering::providers
