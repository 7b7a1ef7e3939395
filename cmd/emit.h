#pragma once
// The files that are written from the tables: completions, manual pages, and the
// example configuration.  They are checked in; a test compares them.
#include <map>
#include <string>

#include "cmd/tree.h"

namespace gathering::cmd {

using Files = std::map<std::string, std::string>;  // by name

[[nodiscard]] Files ManualPages(const CommandInfo& root);
[[nodiscard]] Files Completions(const CommandInfo& root);  // "gathering.bash", "_gathering", "gathering.fish"
[[nodiscard]] std::string ExampleConfig();

}  // namespace gathering::cmd
