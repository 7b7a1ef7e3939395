#pragma once
// What a configuration that was read again changes in a running daemon: the keys that say so
// (config::Holds), all of them at once.  Every other key keeps the value it has until a restart.
#include <string>
#include <string_view>
#include <vector>

#include "core/config/load.h"

namespace gathering::config {

struct KeyChange {
  std::string_view key;
  std::string before;  // as TOML, secrets masked
  std::string after;
};

struct ReloadPlan {
  Config config;                                   // what is in force when it is done
  std::vector<KeyChange> changes = {};             // from what is in force now, in the order of the manual
  std::vector<std::string_view> for_restart = {};  // keys whose new value is not in force then either
};

// `now` is in force, `next` was read and checked; both as they were loaded.  Throws ConfigError when the file
// that `now` came from is gone: it was not meant that everything is as if there had never been one.
[[nodiscard]] ReloadPlan PlanReload(const LoadedConfig& now, const LoadedConfig& next);

}  // namespace gathering::config
