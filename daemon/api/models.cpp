// /models: what can be run, and what it costs.
#include "core/models/model.h"

#include "daemon/api/table.h"
#include "daemon/http/remembered.h"

namespace gathering::http {
namespace {

struct ModelPath {
  std::int64_t model_id = 0;

  static void Fields(auto& self, auto& visit) { visit("model_id", self.model_id, {.required = true}); }
};

Remembered<models::ModelList> List(Call& call, Query<models::ModelFilter> query) {
  const std::string key = std::string{kWholeList}.append(call.request().query);
  return Remember(call, Answers::Kind::kModels, key, [&] { return models::List(call.db(), query.value); });
}

Created<models::Model> Create(Call& call, Body<models::NewModel> body) {
  return {models::Create(call.db(), body.value)};
}

Remembered<models::Model> Get(Call& call, Path<ModelPath> path) {
  return Remember(call, Answers::Kind::kModels, path->model_id,
                  [&] { return models::Get(call.db(), path->model_id); });
}

models::Model Change(Call& call, Path<ModelPath> path, Body<models::ModelChange> body) {
  return models::Change(call.db(), path->model_id, body.value);
}

void Delete(Call& call, Path<ModelPath> path) {
  models::Delete(call.db(), path->model_id);
}

constexpr Route kRoutes[] = {
    {"models.list", Method::kGet, "/models", Authority::kUser, Tier::kRead, Statements{1}, Handle<&List>,
     "Models by provider and name, without deprecated ones unless asked."},
    {"models.create", Method::kPost, "/models", Authority::kUser, Tier::kWrite, Statements{2},
     Handle<&Create>, "Enter a model of a provider."},
    {"models.get", Method::kGet, "/models/{model_id}", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Get>, "One model."},
    {"models.change", Method::kPatch, "/models/{model_id}", Authority::kUser, Tier::kWrite, Statements{1},
     Handle<&Change>, "Change a model's alias, prices or deprecation."},
    {"models.delete", Method::kDelete, "/models/{model_id}", Authority::kUser, Tier::kWrite, Statements{1},
     Handle<&Delete>, "Delete a model; agents that run on it keep its name."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> ModelRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
