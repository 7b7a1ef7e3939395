// /providers: those who serve models.
#include "core/providers/provider.h"

#include "daemon/api/table.h"
#include "daemon/http/remembered.h"

namespace gathering::http {
namespace {

struct ProviderPath {
  std::int64_t provider_id = 0;

  static void Fields(auto& self, auto& visit) { visit("provider_id", self.provider_id, {.required = true}); }
};

Remembered<providers::ProviderList> List(Call& call) {
  return Remember(call, Answers::Kind::kProviders, kWholeList, [&] { return providers::List(call.db()); });
}

Created<providers::Provider> Create(Call& call, Body<providers::NewProvider> body) {
  return {providers::Create(call.db(), body.value)};
}

Remembered<providers::Provider> Get(Call& call, Path<ProviderPath> path) {
  return Remember(call, Answers::Kind::kProviders, path->provider_id,
                  [&] { return providers::Get(call.db(), path->provider_id); });
}

void Delete(Call& call, Path<ProviderPath> path) {
  providers::Delete(call.db(), path->provider_id);
}

constexpr Route kRoutes[] = {
    {"providers.list", Method::kGet, "/providers", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&List>, "All providers with the number of their models."},
    {"providers.create", Method::kPost, "/providers", Authority::kUser, Tier::kWrite, Statements{1},
     Handle<&Create>, "Enter a provider; its name is kept in lower case."},
    {"providers.get", Method::kGet, "/providers/{provider_id}", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Get>, "One provider."},
    {"providers.delete", Method::kDelete, "/providers/{provider_id}", Authority::kUser, Tier::kWrite,
     Statements{1}, Handle<&Delete>, "Delete a provider that has no models."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> ProviderRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
