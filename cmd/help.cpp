#include "cmd/help.h"

#include <fmt/format.h>

#include "cmd/terminal.h"
#include "core/base/text.h"
#include "core/config/keys.h"

namespace gathering::cmd {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kNameColumns = 26;  // names up to here; longer ones get a line of their own

constexpr std::string_view kTopics[] = {"config", "environment", "exit-codes"};

std::string Indented(std::string_view text, std::size_t indent) {
  std::string block;
  for (const std::string& line : Wrapped(text, kColumns - indent)) {
    block += std::string(indent, ' ') + line + "\n";
  }
  return block;
}

// "  name      sentence", the sentence wrapped in its own column.
std::string Entry(const std::string& name, std::string_view sentence) {
  const std::string head = "  " + name;
  std::string entry = head;
  if (head.size() + 2 > kNameColumns) {
    entry += "\n" + std::string(kNameColumns, ' ');
  } else {
    entry += std::string(kNameColumns - head.size(), ' ');
  }
  bool first = true;
  for (const std::string& line : Wrapped(sentence, kColumns - kNameColumns)) {
    entry += (first ? "" : std::string(kNameColumns, ' ')) + line + "\n";
    first = false;
  }
  if (first) entry += "\n";
  return entry;
}

std::string OptionName(const OptionInfo& option) {
  if (option.positional) return option.name;
  std::string name = option.short_name.empty() ? option.name : option.short_name + ", " + option.name;
  return option.value.empty() ? name : name + " " + option.value;
}

std::string Examples(std::span<const Example> examples) {
  std::string text;
  for (const Example& example : examples) {
    for (const std::string& line : LinesOf(example.command)) text += "  " + line + "\n";
    text += Indented(example.effect, 6);
  }
  return text.empty() ? text : "Examples:\n" + text + "\n";
}

std::string Usage(const CommandInfo& info) {
  std::string usage = "Usage: gathering";
  if (!info.name.empty()) usage += " " + info.name;
  if (!info.commands.empty()) usage += " COMMAND";
  for (const OptionInfo& option : info.options) {
    if (option.positional) usage += option.required ? " " + option.name : " [" + option.name + "]";
  }
  return usage + " [OPTION]...\n";
}

std::string CommandList(const CommandInfo& info) {
  if (info.commands.empty()) return {};
  std::string text = "\nCommands:\n";
  for (const CommandInfo& sub : info.commands) text += Entry(std::string{sub.LastWord()}, sub.help);
  return text;
}

std::string OptionList(const CommandInfo& info) {
  std::string text;
  for (const OptionInfo& option : info.options) text += Entry(OptionName(option), option.help);
  return text.empty() ? text : "\nOptions:\n" + text;
}

}  // namespace

std::string HelpText(const CommandInfo& info) {
  const bool root = info.name.empty();
  std::string text = root ? "gathering: " + info.help + ".\n\n" : info.help + ".\n\n";
  text += Examples(root ? RootExamples()
                        : (info.row != nullptr ? info.row->examples : std::span<const Example>{}));
  text += Usage(info) + CommandList(info) + OptionList(info);
  if (root) text += "\nMore: 'gathering help' with a command, or with config, environment, exit-codes.\n";
  const std::size_t space = info.name.find(' ');
  if (space != std::string::npos) {
    text += fmt::format("\nThe options of 'gathering {}' apply too.\n", info.name.substr(0, space));
  }
  return text;
}

std::string ShortHelpText(const CommandInfo& info) {
  const std::string name = info.name.empty() ? "gathering" : "gathering " + info.name;
  return fmt::format("Usage: {} COMMAND [OPTION]...\n{}\nSee '{} --help'.\n", name, CommandList(info), name);
}

std::string ExitCodesText() {
  std::string text = "gathering ends with one of these codes:\n\n";
  for (const ExitMeaning& row : ExitMeanings()) {
    text += fmt::format("  {:>3}  {}\n", static_cast<int>(row.code), row.meaning);
  }
  return text;
}

std::string EnvironmentText() {
  std::string text = Indented(
      "Every configuration key has a variable: GATHERING_ and its name in capitals, dots as underscores. A "
      "variable wins over the file, a flag over both; an empty variable counts as unset. Lists are separated "
      "by "
      "commas.",
      0);
  text += "\n";
  for (const config::Key& key : config::Keys()) {
    text += "  " + config::EnvironmentName(key);
    if (!key.legacy.empty()) text += fmt::format(" or {}", key.legacy);
    text += "\n" + Indented(key.sentence, 6);
  }
  text +=
      "\nA key that may hold a secret is also read from the file that its variable with\n_FILE at the end "
      "names:\n\n";
  for (const config::Key& key : config::Keys()) {
    if (key.secrecy != config::Secrecy::kOpen) text += "  " + config::EnvironmentName(key) + "_FILE\n";
  }
  text += "\nNot keys:\n\n";
  for (const Variable& variable : Variables()) {
    text += Entry(std::string{variable.name}, variable.meaning);
  }
  return text;
}

std::string ConfigText() {
  std::string text = Indented(
      "Settings come from flags, then the environment, then the file of --config (default "
      "/etc/gathering/gathering.toml), then the defaults below. The file is TOML; 'gathering config print' "
      "shows "
      "the result, 'gathering help environment' the variables.",
      0);
  const Config defaults;
  for (const config::Key& key : config::Keys()) {
    text += fmt::format("\n{} = {}\n", key.name, config::ToToml(config::Get(key, defaults)));
    text += Indented(key.sentence, 4);
    text += Indented(
        fmt::format("Takes {}; a change takes {}.", config::Expected(key), config::ToText(key.holds)), 4);
  }
  return text;
}

namespace {

// For the first of the words that is none there.
std::string Suggestion(const CommandInfo& root, const std::vector<std::string>& words) {
  std::vector<std::string> found;
  std::vector<std::string_view> known{std::begin(kTopics), std::end(kTopics)};
  for (const std::string& word : words) {
    const CommandInfo* here = Find(root, found);
    for (const CommandInfo& sub : here->commands) known.push_back(sub.LastWord());
    found.push_back(word);
    if (Find(root, found) == nullptr) return DidYouMean(word, known);
    known.clear();
  }
  return {};
}

}  // namespace

Action DeclareHelp(Syntax syntax, Context&) {
  const auto words = std::make_shared<std::vector<std::string>>();
  std::string topics = fmt::format("{}", fmt::join(kTopics, "|"));
  for (const Command& row : Commands()) {
    if (row.shown != Shown::kHidden) topics += fmt::format("|{}", row.name);
  }
  syntax.Words("TOPIC", *words, topics, "A command, or one of config, environment, exit-codes");
  return [words]() -> Exit {
    const CommandInfo root = Tree{{}}.Describe();
    const std::string topic = words->empty() ? std::string{} : words->front();
    if (words->size() == 1 && topic == "exit-codes") {
      Print(ExitCodesText());
    } else if (words->size() == 1 && topic == "environment") {
      Print(EnvironmentText());
    } else if (words->size() == 1 && topic == "config") {
      Print(ConfigText());
    } else if (const CommandInfo* info = Find(root, *words)) {
      Print(HelpText(*info));
    } else {
      const std::string suggestion = Suggestion(root, *words);
      throw UsageError{fmt::format("no help about '{}'{}", fmt::join(*words, " "),
                                   suggestion.empty() ? "; see 'gathering help'" : suggestion)};
    }
    return Exit::kOk;
  };
}

}  // namespace gathering::cmd
