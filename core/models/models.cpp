#include "core/models/model.h"

#include "core/base/limits.h"
#include "core/db/queries.h"
#include "core/providers/provider.h"

namespace gathering::models {

ModelList List(db::Executor& db, const ModelFilter& filter) {
  ModelList list;
  list.models = db.All<Model>(sql::kModelList, filter.provider_id, filter.include_deprecated, kListRowsMax);
  list.total = static_cast<std::int64_t>(list.models.size());
  return list;
}

std::vector<DashboardModel> ListForDashboard(db::Executor& db, const ModelFilter& filter) {
  return db.All<DashboardModel>(sql::kModelList, filter.provider_id, filter.include_deprecated, kListRowsMax);
}

std::optional<Model> Find(db::Executor& db, std::int64_t id) {
  return db.Maybe<Model>(sql::kModelById, id);
}

std::optional<DashboardModel> FindForDashboard(db::Executor& db, std::int64_t id) {
  return db.Maybe<DashboardModel>(sql::kModelById, id);
}

Model Get(db::Executor& db, std::int64_t id) {
  if (auto model = Find(db, id)) return *std::move(model);
  throw Error{Code::kNotFound, "Model not found"};
}

Model Create(db::Executor& db, const NewModel& input) {
  auto created = db.Maybe<Model>(sql::kModelCreate, input.provider_id, input.model_name, input.model_alias,
                                 input.pricing_in, input.pricing_out, input.pricing_cache_read,
                                 input.pricing_cache_write, input.extended_thinking, input.vision,
                                 input.function_calling, input.streaming, input.context_window,
                                 input.max_output, input.release_date, input.is_deprecated);
  if (created) return *std::move(created);
  if (providers::Find(db, input.provider_id)) {
    throw Error{Code::kConflict, "Model with this name already exists for this provider"};
  }
  const std::string id = std::to_string(input.provider_id);
  throw Error{std::vector{FieldError{.type = "value_error",
                                     .location = {"body", "provider_id"},
                                     .message = "Value error, provider " + id + " does not exist",
                                     .input = id,
                                     .context = {}}}};
}

Model Change(db::Executor& db, std::int64_t id, const ModelChange& input) {
  if (!input.model_alias && !input.pricing_in && !input.pricing_out && !input.is_deprecated)
    return Get(db, id);
  auto changed = db.Maybe<Model>(sql::kModelChange, id, input.model_alias, input.pricing_in,
                                 input.pricing_out, input.is_deprecated);
  if (!changed) throw Error{Code::kNotFound, "Model not found"};
  return *std::move(changed);
}

void Delete(db::Executor& db, std::int64_t id) {
  db.Run(sql::kModelDelete, id);
}

Error NoSuchModel(std::vector<FieldStep> location, std::int64_t id) {
  const std::string text = std::to_string(id);
  return Error{std::vector{FieldError{.type = "value_error",
                                      .location = std::move(location),
                                      .message = "Value error, model " + text + " does not exist",
                                      .input = text,
                                      .context = {}}}};
}

}  // namespace gathering::models
