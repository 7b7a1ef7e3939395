#pragma once
// The commands of the program as it tells of them itself: every --help, from the root down.
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace gathering::test {

struct CommandHelp {
  std::vector<std::string> words;     // {"migrate", "status"}; empty at the root
  std::string text;                   // what --help prints
  std::vector<std::string> commands;  // below it
  std::set<std::string> options;      // "--config", its parents' too
};

// Asked once, then remembered; the root comes first.
const std::vector<CommandHelp>& CommandTree();

// The command that these words begin with, as deep as they go.
const CommandHelp& FindCommand(const std::vector<std::string>& words);

// Whether any command has it.
bool IsOption(std::string_view name);

}  // namespace gathering::test
