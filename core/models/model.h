#pragma once
// Language models and what they cost.
//
// Prices are US dollars for a million tokens.  They go in as numbers and come out as text with four
// decimals ("1.5000"), exactly as stored.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/timestamp.h"
#include "core/db/tx.h"
#include "core/schema/fields.h"

namespace gathering::models {

inline constexpr std::int64_t kPriceMax = 999'999;
inline constexpr std::int64_t kTokensMax = 1'000'000'000;

// A model as two ages of the API print it: they differ in the spelling of times only.
template <class Time>
struct ModelOf {
  std::int64_t id = 0;
  std::int64_t provider_id = 0;
  std::string model_name;
  std::optional<std::string> model_alias;
  std::optional<std::string> pricing_in;
  std::optional<std::string> pricing_out;
  std::optional<std::string> pricing_cache_read;
  std::optional<std::string> pricing_cache_write;
  bool extended_thinking = false;
  bool vision = false;
  bool function_calling = true;
  bool streaming = true;
  std::optional<std::int64_t> context_window;
  std::optional<std::int64_t> max_output;
  std::optional<Date> release_date;
  bool is_deprecated = false;
  Time created_at;
  Time updated_at;
  std::string provider_name;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("provider_id", self.provider_id);
    visit("model_name", self.model_name, {.doc = "What the provider calls it; unique for the provider"});
    visit("model_alias", self.model_alias, {.doc = "What people call it"});
    visit("pricing_in", self.pricing_in, {.doc = "US dollars for a million tokens read"});
    visit("pricing_out", self.pricing_out, {.doc = "US dollars for a million tokens written"});
    visit("pricing_cache_read", self.pricing_cache_read);
    visit("pricing_cache_write", self.pricing_cache_write);
    visit("extended_thinking", self.extended_thinking);
    visit("vision", self.vision);
    visit("function_calling", self.function_calling);
    visit("streaming", self.streaming);
    visit("context_window", self.context_window, {.doc = "Tokens"});
    visit("max_output", self.max_output, {.doc = "Tokens"});
    visit("release_date", self.release_date);
    visit("is_deprecated", self.is_deprecated);
    visit("created_at", self.created_at);
    visit("updated_at", self.updated_at);
    visit("provider_name", self.provider_name);
  }
};
struct Model : ModelOf<OffsetTimestamp> {};
struct DashboardModel : ModelOf<Timestamp> {};

struct ModelFilter {
  std::optional<std::int64_t> provider_id = {};
  bool include_deprecated = false;

  static void Fields(auto& self, auto& visit) {
    visit("provider_id", self.provider_id, {.doc = "Only models of this provider"});
    visit("include_deprecated", self.include_deprecated);
  }
};

struct ModelList {
  std::vector<Model> models;
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    visit("models", self.models);
    visit("total", self.total);
  }
};

struct NewModel {
  std::int64_t provider_id = 0;
  std::string model_name;
  std::optional<std::string> model_alias = {};
  std::optional<double> pricing_in = {};
  std::optional<double> pricing_out = {};
  std::optional<double> pricing_cache_read = {};
  std::optional<double> pricing_cache_write = {};
  bool extended_thinking = false;
  bool vision = false;
  bool function_calling = true;
  bool streaming = true;
  std::optional<std::int64_t> context_window = {};
  std::optional<std::int64_t> max_output = {};
  std::optional<Date> release_date = {};
  bool is_deprecated = false;

  static void Fields(auto& self, auto& visit) {
    visit("provider_id", self.provider_id, {.required = true});
    visit("model_name", self.model_name, {.min = 1, .max = 100, .required = true});
    visit("model_alias", self.model_alias, {.max = 50});
    visit("pricing_in", self.pricing_in,
          {.doc = "US dollars for a million tokens read", .min = 0, .max = kPriceMax});
    visit("pricing_out", self.pricing_out,
          {.doc = "US dollars for a million tokens written", .min = 0, .max = kPriceMax});
    visit("pricing_cache_read", self.pricing_cache_read, {.min = 0, .max = kPriceMax});
    visit("pricing_cache_write", self.pricing_cache_write, {.min = 0, .max = kPriceMax});
    visit("extended_thinking", self.extended_thinking);
    visit("vision", self.vision);
    visit("function_calling", self.function_calling);
    visit("streaming", self.streaming);
    visit("context_window", self.context_window, {.doc = "Tokens", .min = 1, .max = kTokensMax});
    visit("max_output", self.max_output, {.doc = "Tokens", .min = 1, .max = kTokensMax});
    visit("release_date", self.release_date);
    visit("is_deprecated", self.is_deprecated);
  }
};

// null and absent both leave a field as it is.
struct ModelChange {
  std::optional<std::string> model_alias = {};
  std::optional<double> pricing_in = {};
  std::optional<double> pricing_out = {};
  std::optional<bool> is_deprecated = {};

  static void Fields(auto& self, auto& visit) {
    visit("model_alias", self.model_alias, {.max = 50});
    visit("pricing_in", self.pricing_in, {.min = 0, .max = kPriceMax});
    visit("pricing_out", self.pricing_out, {.min = 0, .max = kPriceMax});
    visit("is_deprecated", self.is_deprecated);
  }
};

// Sorted by provider, then by name.
[[nodiscard]] ModelList List(db::Executor& db, const ModelFilter& filter);
[[nodiscard]] std::vector<DashboardModel> ListForDashboard(db::Executor& db, const ModelFilter& filter);

// nullopt when there is none with this id.
[[nodiscard]] std::optional<Model> Find(db::Executor& db, std::int64_t id);
[[nodiscard]] std::optional<DashboardModel> FindForDashboard(db::Executor& db, std::int64_t id);

// Throws kNotFound.
[[nodiscard]] Model Get(db::Executor& db, std::int64_t id);

// Throws kInvalid naming provider_id when there is no such provider, kConflict when the provider has
// a model of this name already.
Model Create(db::Executor& db, const NewModel& input);

// Throws kNotFound.  A change that changes nothing leaves updated_at alone.
Model Change(db::Executor& db, std::int64_t id, const ModelChange& input);

// Deleting what is not there is fine.  Agents and personas that used it keep its name.
void Delete(db::Executor& db, std::int64_t id);

// The error for a body that refers to a model that does not exist; `location` is the way to the field.
[[nodiscard]] Error NoSuchModel(std::vector<FieldStep> location, std::int64_t id);

}  // namespace gathering::models
