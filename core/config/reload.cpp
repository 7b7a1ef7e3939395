#include "core/config/reload.h"

#include <fmt/format.h>

#include "core/config/keys.h"

namespace gathering::config {

ReloadPlan PlanReload(const LoadedConfig& now, const LoadedConfig& next) {
  if (!now.file.empty() && next.file.empty())
    throw ConfigError{fmt::format("file {}: it is gone; restart to do without it", now.file)};
  ReloadPlan plan{.config = now.config};
  for (const Key& key : Keys()) {
    const Value value = Get(key, next.config);
    if (value == Get(key, now.config)) continue;
    if (key.holds == Holds::kAfterRestart) {
      plan.for_restart.push_back(key.name);
      continue;
    }
    plan.changes.push_back({.key = key.name,
                            .before = ToToml(GetMasked(key, now.config)),
                            .after = ToToml(GetMasked(key, next.config))});
    // It comes from another Config, whose loading has checked it.
    static_cast<void>(Set(key, value, plan.config));
  }
  return plan;
}

}  // namespace gathering::config
