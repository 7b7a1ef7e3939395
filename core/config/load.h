#pragma once
// Puts a Config together: flags over environment over file over defaults.
//
// Every problem is found before any is reported, one line each, with the place
// where the value stands.  Secrets come from the environment, from the file, from
// a file of their own (`<key>_file`, its last newline removed) or from systemd's
// $CREDENTIALS_DIRECTORY; never from flags.
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/config.h"

namespace gathering {

// The process's variables; an empty one counts as unset.
using Environment = std::map<std::string, std::string, std::less<>>;

struct FlagValue {
  std::string flag;  // "--listen", one of Keys(); a list flag may occur several times
  std::string value;
};

struct LoadOptions {
  std::vector<FlagValue> flags = {};
  Environment environment = {};
  std::string file = {};  // of --config: must exist; empty: `default_file` if that exists
  std::string default_file = "/etc/gathering/gathering.toml";
  bool root = false;  // of the process: decides the default of data_dir
};

// A complete configuration and where each value came from.
struct LoadedConfig {
  Config config;
  std::map<std::string, std::string, std::less<>>
      origins;                        // by key: "flag --listen", "file /etc/x.toml:12", …
  std::vector<std::string> warnings;  // one line each, without secrets
  std::string file;                   // the one that was read; empty: none
};

// What could be read, and all that is wrong with it.
struct LoadAttempt {
  LoadedConfig loaded;
  std::vector<std::string> problems;           // one line each
  std::set<std::string, std::less<>> refused;  // keys whose values cannot be used: what `loaded` has is none
  bool file_read = true;                       // false: there may be settings that nobody knows
};

// The configuration cannot be used.  Exit code 78.
class ConfigError : public std::exception {
 public:
  explicit ConfigError(std::vector<std::string> problems_in);
  explicit ConfigError(std::string problem);
  const char* what() const noexcept override { return text_.c_str(); }  // the problems, a line each

  std::vector<std::string> problems;

 private:
  std::string text_;
};

[[nodiscard]] LoadAttempt TryLoadConfig(const LoadOptions& options);

// Throws ConfigError.
[[nodiscard]] LoadedConfig LoadConfig(const LoadOptions& options);

// What only the daemon needs: an external database wants a shared auth.secret_key, and limits of single
// routes want routes that exist.  Throws ConfigError.
void RequireServable(const LoadedConfig& loaded, bool (*is_route)(std::string_view));

}  // namespace gathering
