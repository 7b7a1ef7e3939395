#include "cmd/tree.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cmd/help.h"
#include "cmd/terminal.h"
#include "core/base/text.h"
#include "core/bench/workload.h"
#include "core/config/keys.h"
#include "core/events/event.h"

namespace gathering::cmd {
namespace {

constexpr const char* kGeneral = "General options";
constexpr const char* kHiddenGroup = "";  // CLI11's way to say hidden

OptionInfo DescribeOption(const CLI::Option& option) {
  OptionInfo info;
  info.positional = option.get_positional();
  const auto& names = option.get_lnames();
  info.name = info.positional || names.empty() ? option.get_single_name() : "--" + names.front();
  if (!option.get_snames().empty()) info.short_name = "-" + option.get_snames().front();
  if (option.get_type_size_max() != 0) info.value = option.get_type_name();
  info.help = option.get_description();
  info.required = option.get_required();
  info.repeated = option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  return info;
}

const Command* FindRow(std::string_view name) {
  for (const Command& row : Commands()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

CommandInfo DescribeApp(const CLI::App& app, const std::string& name) {
  CommandInfo info;
  info.name = name;
  info.help = app.get_description();
  if (name.find(' ') == std::string::npos) info.row = FindRow(name);
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group() != kHiddenGroup) info.options.push_back(DescribeOption(*option));
  }
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (sub->get_group() == kHiddenGroup) continue;
    info.commands.push_back(DescribeApp(*sub, name.empty() ? sub->get_name() : name + " " + sub->get_name()));
  }
  return info;
}

// The names somebody may have meant at this place: of the app and, as options fall through, of its parents.
std::vector<std::string> OptionNames(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    if (sub->get_group() != kHiddenGroup) names.push_back(sub->get_name());
  }
  return names;
}

std::string Suggest(std::string_view word, const std::vector<std::string>& names) {
  return DidYouMean(word, std::vector<std::string_view>{names.begin(), names.end()});
}

// Of "caches.agents.entries" the middle, once.
std::vector<std::string> CacheNames() {
  std::vector<std::string> names;
  for (const config::Key& key : config::Keys()) {
    const auto words = Split(key.name, '.');
    if (words.size() == 3 && words[0] == "caches" && (names.empty() || names.back() != words[1])) {
      names.push_back(words[1]);
    }
  }
  return names;
}

std::vector<std::string> ScenarioNames() {
  std::vector<std::string> names;
  for (const bench::Variant& variant : bench::Variants()) {
    if (names.empty() || !names.back().starts_with(variant.scenario)) names.emplace_back(variant.scenario);
    names.push_back(fmt::format("{}/{}", variant.scenario, variant.name));
  }
  return names;
}

std::vector<std::string> EventTypes() {
  const auto& texts = schema::Names<events::EventType>::kTexts;
  return {std::begin(texts), std::end(texts)};
}

}  // namespace

class Tree::Parser {
 public:
  explicit Parser(Environment environment) {
    context.environment = std::move(environment);
    root.set_help_flag("-h,--help", "Show this help")->group(kGeneral);
    root.set_version_flag("--version", "gathering " GATHERING_VERSION, "Show the version")->group(kGeneral);
    root.add_flag("-q,--quiet", quiet, "Say nothing but errors")->group(kGeneral);
    root.add_flag("-v,--verbose", verbose, "Say more: log lines of level debug too")->group(kGeneral);
    root.fallthrough()->require_subcommand(0, 1);
    for (const Command& row : Commands()) {
      CLI::App* app = root.add_subcommand(std::string{row.name}, std::string{row.help});
      if (row.shown == Shown::kHidden) app->group(kHiddenGroup);
      actions.push_back(row.declare(Syntax{*app}, context));
      apps.push_back(app);
    }
  }

  Exit Run(const std::vector<std::string>& arguments) {
    std::vector<std::string> reversed{arguments.rbegin(), arguments.rend()};
    try {
      root.parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
      Print(HelpText(Here()));
      return Exit::kOk;
    } catch (const CLI::CallForVersion&) {
      Print("gathering " GATHERING_VERSION "\n");
      return Exit::kOk;
    } catch (const CLI::ParseError& error) {
      throw UsageError{Explain(error)};
    }
    return Dispatch();
  }

  // The innermost subcommand that was named.
  const CLI::App* Innermost() const {
    const CLI::App* app = &root;
    while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
    return app;
  }

  std::string NameOf(const CLI::App* app) const {
    std::string name;
    for (; app != nullptr && app != &root; app = app->get_parent()) {
      name = app->get_name() + (name.empty() ? "" : " ") + name;
    }
    return name;
  }

  CommandInfo Here() const { return DescribeApp(*Innermost(), NameOf(Innermost())); }

  CLI::App root{"Multi-agent backend: one daemon and its tools", "gathering"};
  Context context;

 private:
  Exit Dispatch() {
    const CLI::App* app = Innermost();
    if (!app->get_subcommands(nullptr).empty()) {
      Tell(ShortHelpText(Here()));
      return Exit::kUsage;
    }
    if (quiet && verbose) throw UsageError{"--quiet and --verbose exclude each other; give one of them"};
    if (quiet) context.verbosity = Verbosity::kQuiet;
    if (verbose) context.verbosity = Verbosity::kVerbose;
    for (std::size_t i = 0; i < apps.size(); ++i) {
      if (apps[i]->parsed()) return actions[i]();
    }
    return Exit::kUsage;
  }

  std::string SeeHelp() const {
    const std::string name = NameOf(Innermost());
    return fmt::format("; see 'gathering{}{} --help'", name.empty() ? "" : " ", name);
  }

  std::string Explain(const CLI::ParseError& error) const {
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
      const auto left = root.remaining(true);
      if (!left.empty()) return ExplainExtra(left.front());
    }
    std::string what = error.what();
    if (const std::size_t missing = what.find(": 1 required"); missing != std::string::npos) {
      what = what.substr(0, missing) + " needs a value";
    }
    const bool says_what_to_do = what.find(';') != std::string::npos;
    return says_what_to_do ? what : what + SeeHelp();
  }

  std::string ExplainExtra(const std::string& extra) const {
    const CLI::App* app = Innermost();
    std::string what;
    std::string suggestion;
    if (extra.size() > 1 && extra.starts_with('-')) {
      const std::string name = extra.substr(0, extra.find('='));
      what = fmt::format("unknown option '{}'", name);
      suggestion = Suggest(name, OptionNames(app));
    } else if (const auto names = CommandNames(*app); !names.empty()) {
      what = fmt::format("unknown command '{}'", extra);
      suggestion = Suggest(extra, names);
    } else {
      what = fmt::format("unexpected argument '{}'", extra);
    }
    return what + (suggestion.empty() ? SeeHelp() : suggestion);
  }

  bool quiet = false;
  bool verbose = false;
  std::vector<CLI::App*> apps;  // as Commands()
  std::vector<Action> actions;
};

Tree::Tree(Environment environment) : parser_(std::make_unique<Parser>(std::move(environment))) {}

Tree::~Tree() = default;

Exit Tree::Run(const std::vector<std::string>& arguments) {
  try {
    return parser_->Run(arguments);
  } catch (const std::exception& error) {
    return ReportError(error);
  }
}

CommandInfo Tree::Describe() const {
  return DescribeApp(parser_->root, "");
}

std::vector<std::string> OptionInfo::Choices() const {
  if (value == "CACHE") return CacheNames();
  if (value == "SCENARIO") return ScenarioNames();
  if (value == "GLOB") return EventTypes();
  return value.find('|') == std::string::npos ? std::vector<std::string>{} : Split(value, '|');
}

std::string_view CommandInfo::LastWord() const {
  return std::string_view{name}.substr(name.rfind(' ') + 1);
}

const CommandInfo* Find(const CommandInfo& root, const std::vector<std::string>& words) {
  const CommandInfo* here = &root;
  for (const std::string& word : words) {
    const CommandInfo* next = nullptr;
    for (const CommandInfo& sub : here->commands) {
      if (sub.LastWord() == word) next = &sub;
    }
    if (next == nullptr) return nullptr;
    here = next;
  }
  return here;
}

}  // namespace gathering::cmd
