#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/terminal.h"
#include "cmd/try_limits.h"
#include "core/config/keys.h"
#include "daemon/api/table.h"

namespace gathering::cmd {
namespace {

constexpr std::size_t kOriginColumn = 60;

struct ConfigOptions {
  bool show_origin = false;
  Output output = Output::kText;
  std::string log_file;  // of try-limits
};

nlohmann::ordered_json ToJson(const config::Value& value) {
  return std::visit([](const auto& held) { return nlohmann::ordered_json(held); }, value);
}

std::string Dumped(const nlohmann::ordered_json& document) {
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// One TOML line for each key; what it prints is a configuration file.
std::string AsText(const LoadedConfig& loaded, const ConfigOptions& options) {
  std::string text;
  for (const config::Key& key : config::Keys()) {
    std::string line =
        fmt::format("{} = {}", key.name, config::ToToml(config::GetMasked(key, loaded.config)));
    if (options.show_origin)
      line = fmt::format("{:<{}} # {}", line, kOriginColumn, loaded.origins.find(key.name)->second);
    text += line + "\n";
  }
  return text;
}

std::string AsJson(const LoadedConfig& loaded, const ConfigOptions& options) {
  nlohmann::ordered_json document = {
      {"schema", 1}, {"file", nullptr}, {"keys", nlohmann::ordered_json::object()}};
  if (!loaded.file.empty()) document["file"] = loaded.file;
  for (const config::Key& key : config::Keys()) {
    auto& entry = document["keys"][std::string{key.name}];
    entry["value"] = ToJson(config::GetMasked(key, loaded.config));
    if (options.show_origin) entry["origin"] = loaded.origins.find(key.name)->second;
  }
  return Dumped(document);
}

Exit PrintConfig(const Context& context, const ConfigOptions& options) {
  const LoadedConfig loaded = context.Load();
  Print(options.output == Output::kJson ? AsJson(loaded, options) : AsText(loaded, options));
  return Exit::kOk;
}

Exit ValidateConfig(const Context& context, const ConfigOptions& options) {
  std::vector<std::string> problems;
  try {
    RequireServable(context.Load(), &http::IsRoute);
  } catch (const ConfigError& error) {
    problems = error.problems;
  }
  if (options.output == Output::kJson) {
    Print(Dumped({{"schema", 1}, {"valid", problems.empty()}, {"problems", problems}}));
  } else if (problems.empty()) {
    context.Say("the configuration is valid");
  }
  if (problems.empty()) return Exit::kOk;
  if (options.output == Output::kText) throw ConfigError{std::move(problems)};
  return Exit::kConfig;
}

}  // namespace

Action DeclareConfig(Syntax syntax, Context& context) {
  auto options = std::make_shared<ConfigOptions>();
  AddConfigFlags(syntax, context, ConfigFlags::kDaemon);
  AddOutputFlag(syntax, options->output);
  Syntax print = syntax.Subcommand("print", "Print every setting as TOML or JSON, secrets masked");
  print.Flag("--show-origin", options->show_origin, "Say where each value comes from");
  const Syntax validate =
      syntax.Subcommand("validate", "Check the configuration and say what is wrong with it");
  Syntax try_limits =
      syntax.Subcommand("try-limits", "Tell what rate_limits would have refused, by an access log in JSON");
  try_limits.Text("LOG", options->log_file, "FILE", "What the daemon wrote; - for standard input",
                  Presence::kRequired);
  return [options, validate, try_limits, &context] {
    if (try_limits.given()) return TryLimits(context, options->log_file, options->output);
    return validate.given() ? ValidateConfig(context, *options) : PrintConfig(context, *options);
  };
}

}  // namespace gathering::cmd
