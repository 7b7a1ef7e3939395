#include "tests/support/command_tree.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "tests/support/process.h"

namespace gathering::test {
namespace {

constexpr std::size_t kEntryIndent = 2;

CommandHelp Ask(std::vector<std::string> words) {
  CommandHelp help{.words = words, .text = {}, .commands = {}, .options = {}};
  words.emplace_back("--help");
  const ProcessResult result = Run(GATHERING_BINARY, {.arguments = words});
  if (result.code != 0) throw std::runtime_error("--help fails: " + result.err);
  help.text = result.out;
  std::istringstream lines{help.text};
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
    if (indent == 0) section = line;
    if (indent != kEntryIndent) continue;
    std::istringstream entry{line};
    std::string word;
    entry >> word;
    if (section == "Commands:") help.commands.push_back(word);
    if (section != "Options:") continue;
    if (word.ends_with(',')) entry >> word;  // "-q, --quiet"
    if (word.starts_with("--")) help.options.insert(word);
  }
  return help;
}

void Walk(const CommandHelp& help, std::vector<CommandHelp>& tree) {
  tree.push_back(help);
  for (const std::string& command : help.commands) {
    std::vector<std::string> words = help.words;
    words.push_back(command);
    CommandHelp below = Ask(std::move(words));
    below.options.insert(help.options.begin(), help.options.end());
    Walk(below, tree);
  }
}

}  // namespace

const std::vector<CommandHelp>& CommandTree() {
  static const std::vector<CommandHelp> kTree = [] {
    std::vector<CommandHelp> tree;
    Walk(Ask({}), tree);
    return tree;
  }();
  return kTree;
}

const CommandHelp& FindCommand(const std::vector<std::string>& words) {
  const CommandHelp* found = &CommandTree().front();
  for (const CommandHelp& help : CommandTree()) {
    const bool begins =
        help.words.size() <= words.size() && std::equal(help.words.begin(), help.words.end(), words.begin());
    if (begins && help.words.size() > found->words.size()) found = &help;
  }
  return *found;
}

bool IsOption(std::string_view name) {
  return std::ranges::any_of(
      CommandTree(), [&](const CommandHelp& help) { return help.options.contains(std::string{name}); });
}

}  // namespace gathering::test
