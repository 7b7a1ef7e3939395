#pragma once
// Help as text: examples first, at most 80 columns.
#include <string>

#include "cmd/tree.h"

namespace gathering::cmd {

// All about one command, or about the whole program when `info` is the root.
[[nodiscard]] std::string HelpText(const CommandInfo& info);

// What somebody sees who gave no command: how to go on, in a few lines.
[[nodiscard]] std::string ShortHelpText(const CommandInfo& info);

[[nodiscard]] std::string ExitCodesText();
[[nodiscard]] std::string EnvironmentText();
[[nodiscard]] std::string ConfigText();

}  // namespace gathering::cmd
