#include "core/config/load.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "core/base/text.h"
#include "core/config/check.h"
#include "core/config/keys.h"
#include "core/limits/policy.h"

namespace gathering {
namespace {

namespace fs = std::filesystem;
using config::Key;
using config::Secrecy;
using config::Value;

constexpr std::size_t kFileBytesMax = 1'048'576;
constexpr std::string_view kFileSuffix = "_file";
constexpr std::string_view kPrefix = "GATHERING_";
// Variables with our prefix that are not keys.
constexpr std::string_view kOtherVariables[] = {"GATHERING_CONFIG", "GATHERING_ENV", "GATHERING_TOKEN"};

// The value as a TOML node holds it; nothing when no key could take it.
std::optional<Value> FromNode(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  const auto* array = node.as_array();
  if (!array) return std::nullopt;
  std::vector<std::string> list;
  for (const auto& item : *array) {
    const auto* text = item.as_string();
    if (!text) return std::nullopt;
    list.push_back(text->get());
  }
  return list;
}

std::vector<std::string_view> KeyNames() {
  std::vector<std::string_view> names;
  for (const Key& key : config::Keys()) names.push_back(key.name);
  return names;
}

// One loading: the layers are applied from the weakest to the strongest, each over the last.
class Loading {
 public:
  explicit Loading(const LoadOptions& options) : options_(options) {}

  LoadAttempt Run() {
    for (const Key& key : config::Keys()) result_.origins[std::string{key.name}] = "default";
    ReadFile();
    ReadCredentials();
    ReadEnvironment();
    ReadFlags();
    ResolveDataDir();
    config::CheckConfig(attempt_, options_.environment);
    return std::move(attempt_);
  }

 private:
  std::string Variable(std::string_view name) const {
    const auto found = options_.environment.find(name);
    return found == options_.environment.end() ? std::string{} : found->second;
  }

  void Problem(std::string_view where, std::string_view what) {
    attempt_.problems.push_back(fmt::format("{}: {}", where, what));
  }
  void Refuse(const Key& key, std::string_view where, std::string_view what) {
    Problem(where, what);
    attempt_.refused.emplace(key.name);
  }

  // Records where a value came from, unless it was refused.
  void Settle(const Key& key, std::string origin, const std::optional<std::string>& problem) {
    if (problem) Refuse(key, origin, *problem);
    result_.origins[std::string{key.name}] = std::move(origin);
  }

  std::optional<std::string> Slurp(const std::string& path, std::string_view where) {
    std::error_code error;
    const bool directory = fs::is_directory(path, error);
    std::ifstream in{path, std::ios::binary};
    if (directory || !in) {
      const std::string why = directory ? "it is a directory" : std::generic_category().message(errno);
      Problem(where, fmt::format("cannot read {}: {}", path, why));
      return std::nullopt;
    }
    std::string text(kFileBytesMax + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() <= kFileBytesMax) return text;
    Problem(where, fmt::format("{} is over {} bytes", path, kFileBytesMax));
    return std::nullopt;
  }

  // A secret in a file of its own.
  void SetFromFile(const Key& key, const std::string& path, const std::string& origin) {
    auto text = Slurp(path, origin);
    if (!text) {
      attempt_.refused.emplace(key.name);
      return;
    }
    if (text->ends_with('\n')) text->pop_back();
    if (text->ends_with('\r')) text->pop_back();
    Settle(key, origin, config::SetText(key, *text, result_.config));
  }

  void WarnWhenOthersMayRead(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & S_IROTH) != 0) {
      result_.warnings.push_back(
          fmt::format("{} holds a secret that everybody may read; chmod o-r it", path));
    }
  }

  // --- file ---
  void ReadFile() {
    std::string path = options_.file;
    if (path.empty()) {
      std::error_code error;
      if (options_.default_file.empty() || !fs::exists(options_.default_file, error)) return;
      path = options_.default_file;
    }
    const auto text = Slurp(path, "file " + path);
    attempt_.file_read = text.has_value();
    if (!text) return;
    result_.file = path;
    try {
      const toml::table table = toml::parse(*text, path);
      ReadTable(table, "");
    } catch (const toml::parse_error& error) {
      attempt_.file_read = false;
      const auto& begin = error.source().begin;
      Problem(fmt::format("file {}:{}:{}", path, begin.line, begin.column), error.description());
    }
  }

  void ReadTable(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      const std::string path = prefix + std::string{name.str()};
      if (const auto* inner = node.as_table(); inner && !config::FindKey(path)) {
        ReadTable(*inner, path + ".");
      } else {
        ReadNode(path, node, table);
      }
    }
  }

  void ReadNode(const std::string& name, const toml::node& node, const toml::table& siblings) {
    const std::string origin = fmt::format("file {}:{}", result_.file, node.source().begin.line);
    if (const Key* key = config::FindKey(name)) {
      const auto value = FromNode(node);
      if (!value) return Refuse(*key, origin, fmt::format("{} must be {}", name, config::Expected(*key)));
      Settle(*key, origin, config::Set(*key, *value, result_.config));
      const bool secret =
          key->secrecy == Secrecy::kSecret ||
          (key->secrecy == Secrecy::kPassword && config::GetMasked(*key, result_.config) != *value);
      if (secret) WarnWhenOthersMayRead(result_.file);
      return;
    }
    const Key* key = FileKey(name);
    if (!key) {
      return Problem(origin, fmt::format("unknown key '{}'{}", name, DidYouMean(name, KeyNames())));
    }
    const auto* path = node.as_string();
    if (!path) return Problem(origin, fmt::format("{} must be the path of a file", name));
    if (siblings.contains(key->name.substr(key->name.rfind('.') + 1))) {
      return Refuse(*key, origin, fmt::format("{} and {} are both set; keep one", key->name, name));
    }
    WarnWhenOthersMayRead(path->get());
    SetFromFile(*key, path->get(), origin + " via " + path->get());
  }

  // The key whose value a file may hold, from "<key>_file".
  static const Key* FileKey(std::string_view name) {
    if (!name.ends_with(kFileSuffix)) return nullptr;
    const Key* key = config::FindKey(name.substr(0, name.size() - kFileSuffix.size()));
    return key && key->secrecy != Secrecy::kOpen ? key : nullptr;
  }

  // --- systemd credentials ---
  void ReadCredentials() {
    const std::string directory = Variable("CREDENTIALS_DIRECTORY");
    if (directory.empty()) return;
    for (const Key& key : config::Keys()) {
      if (key.secrecy == Secrecy::kOpen) continue;
      std::string name{key.name};
      std::replace(name.begin(), name.end(), '.', '_');
      const std::string path = directory + "/" + name;
      std::error_code error;
      if (fs::exists(path, error)) SetFromFile(key, path, "credential " + name);
    }
  }

  // --- environment ---
  void ReadEnvironment() {
    for (const Key& key : config::Keys()) {
      const std::string name = config::EnvironmentName(key);
      const bool both = !key.legacy.empty() && !Variable(key.legacy).empty() && !Variable(name).empty();
      if (both && Variable(key.legacy) != Variable(name)) {
        result_.warnings.push_back(fmt::format("{} and {} differ; {} is used", name, key.legacy, name));
      }
      if (!key.legacy.empty()) ReadVariable(key, std::string{key.legacy});
      ReadVariable(key, name);
    }
    WarnOfUnknownVariables();
  }

  void ReadVariable(const Key& key, const std::string& name) {
    const std::string text = Variable(name);
    const std::string file_name = name + "_FILE";
    const std::string path = key.secrecy == Secrecy::kOpen ? std::string{} : Variable(file_name);
    if (!text.empty() && !path.empty()) {
      return Refuse(key, "environment " + name, fmt::format("{} is set too; keep one", file_name));
    }
    if (!text.empty()) Settle(key, "environment " + name, config::SetText(key, text, result_.config));
    if (path.empty()) return;
    WarnWhenOthersMayRead(path);
    SetFromFile(key, path, "environment " + file_name);
  }

  void WarnOfUnknownVariables() {
    std::vector<std::string> known{std::begin(kOtherVariables), std::end(kOtherVariables)};
    for (const Key& key : config::Keys()) {
      known.push_back(config::EnvironmentName(key));
      if (key.secrecy != Secrecy::kOpen) known.push_back(known.back() + "_FILE");
    }
    const std::vector<std::string_view> names{known.begin(), known.end()};
    for (const auto& [name, value] : options_.environment) {
      if (!name.starts_with(kPrefix) || std::find(names.begin(), names.end(), name) != names.end()) continue;
      result_.warnings.push_back(fmt::format("environment {}: no such key{}", name, DidYouMean(name, names)));
    }
  }

  // --- flags ---
  void ReadFlags() {
    for (const Key& key : config::Keys()) {
      std::vector<std::string> values;
      for (const FlagValue& given : options_.flags) {
        if (!key.flag.empty() && given.flag == key.flag) values.push_back(given.value);
      }
      if (values.empty()) continue;
      const bool list = std::holds_alternative<config::List>(key.member);
      const auto problem = list ? config::Set(key, values, result_.config)
                                : config::SetText(key, values.back(), result_.config);
      Settle(key, fmt::format("flag {}", key.flag), problem);
    }
  }

  // --- data_dir ---
  std::string DefaultDataDir() const {
    if (const auto directories = Split(Variable("STATE_DIRECTORY"), ':'); !directories.empty()) {
      return directories.front();
    }
    if (options_.root) return "/var/lib/gathering";
    if (const std::string state = Variable("XDG_STATE_HOME"); state.starts_with('/'))
      return state + "/gathering";
    if (const std::string home = Variable("HOME"); !home.empty()) return home + "/.local/state/gathering";
    return {};
  }

  void ResolveDataDir() {
    std::string& directory = result_.config.data_dir;
    if (directory.empty()) directory = DefaultDataDir();
    if (directory.empty())
      return Refuse(*config::FindKey("data_dir"), "data_dir",
                    "there is no HOME to derive it from; give --data-dir");
    directory = fs::absolute(directory).lexically_normal().string();
    if (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  }

  const LoadOptions& options_;
  LoadAttempt attempt_;
  LoadedConfig& result_ = attempt_.loaded;
};

}  // namespace

ConfigError::ConfigError(std::vector<std::string> problems_in)
    : problems(std::move(problems_in)), text_(fmt::format("{}", fmt::join(problems, "\n"))) {}

ConfigError::ConfigError(std::string problem) : ConfigError(std::vector<std::string>{std::move(problem)}) {}

LoadAttempt TryLoadConfig(const LoadOptions& options) {
  return Loading{options}.Run();
}

LoadedConfig LoadConfig(const LoadOptions& options) {
  LoadAttempt attempt = TryLoadConfig(options);
  if (!attempt.problems.empty()) throw ConfigError{std::move(attempt.problems)};
  return std::move(attempt.loaded);
}

void RequireServable(const LoadedConfig& loaded, bool (*is_route)(std::string_view)) {
  const Config& c = loaded.config;
  std::vector<std::string> problems;
  if (!c.database.pool.url.empty() && c.auth.secret_key.empty() && !c.auth.disabled) {
    problems.emplace_back(
        "auth.secret_key is not set; every daemon on one database needs the same: put it into SECRET_KEY");
  }
  for (const std::string& name : limits::Policy{c.rate_limits}.NamedRoutes()) {
    if (!is_route(name)) {
      problems.push_back(fmt::format(
          "rate_limits: there is no route '{}'; the operation ids in /openapi.json are their names", name));
    }
  }
  if (!problems.empty()) throw ConfigError{std::move(problems)};
}

}  // namespace gathering
