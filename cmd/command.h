#pragma once
// The command line's vocabulary: exit codes, the table of subcommands, and what
// every subcommand is given.
//
// A subcommand is one row in commands.cpp and one function that declares its
// options and returns what to do.  Help, completions and manual pages are walks
// over the same table; an option's type name says how to complete it: "FILE",
// "DIR", choices as "text|json", "CACHE", "SCENARIO" and "GLOB" by what there is of
// them, anything else not at all.
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/syntax.h"
#include "core/config/load.h"

namespace gathering::db {
enum class Standing : std::uint8_t;
}

namespace gathering::cmd {

// Everything the process can end with.  Scripts rely on these numbers.
enum class Exit : std::uint8_t {
  kOk = 0,
  kFailure = 1,
  kUsage = 2,          // the command line is wrong
  kDifference = 3,     // a difference was looked for and found: migrations pending, a benchmark too slow
  kVerification = 4,   // something is not what it was: a migration's checksum, the live schema
  kNewer = 5,          // the database is newer than this binary
  kUnavailable = 69,   // the database or another service is away
  kTryAgain = 75,      // a lock or a bound is busy
  kConfig = 78,        // the configuration cannot be used
  kInterrupted = 130,  // SIGINT
};

enum class Verbosity : std::uint8_t { kQuiet, kNormal, kVerbose };

struct ExitMeaning {
  Exit code;
  std::string_view meaning;
};
[[nodiscard]] std::span<const ExitMeaning> ExitMeanings();

// What a subcommand is given.  Its members are complete when its action runs, not before.
struct Context {
  Environment environment;
  std::vector<FlagValue> flags;  // of the configuration, in the order given
  std::string config_file;       // --config
  Verbosity verbosity = Verbosity::kNormal;

  // Flags, environment and file together; prints warnings.  Throws ConfigError.
  [[nodiscard]] LoadedConfig Load() const;
  // The same with all that is wrong; says nothing.
  [[nodiscard]] LoadAttempt TryLoad() const;
  // The same without printing them.
  [[nodiscard]] LoadedConfig Read() const;
  // One line of talk on stderr, "gathering: …"; silent with --quiet.
  void Say(std::string_view line) const;
};

using Action = std::function<Exit()>;

struct Example {
  std::string_view command;  // as typed, lines of at most kExampleColumns: a test runs it
  std::string_view effect;   // what it does, without a full stop
};
inline constexpr std::size_t kExampleColumns = 72;
[[nodiscard]] std::span<const Example> RootExamples();  // of `gathering` itself
[[nodiscard]] std::vector<std::string> LinesOf(std::string_view text);

// A word of the manual and what it means, without a full stop.
struct Term {
  std::string_view name;
  std::string_view meaning;
};

// A variable of the environment that is no configuration key.
struct Variable {
  std::string_view name;
  std::string_view meaning;
  std::string_view command = {};  // the subcommand that reads it; empty: all that read the configuration
};
[[nodiscard]] std::span<const Variable> Variables();

// Where a subcommand appears: in lists and with a manual page of its own, or nowhere.
enum class Shown : std::uint8_t { kPage, kHidden };

struct Command {
  std::string_view name;
  std::string_view help;   // one line for lists: a verb first, no full stop
  std::string_view about;  // paragraphs, separated by empty lines
  std::span<const Example> examples;
  // Declares options (and subcommands of its own), and returns what runs when the command was given.
  // The action owns the option values: `auto options = std::make_shared<Options>()`, captured by copy.
  Action (*declare)(Syntax syntax, Context& context);
  Shown shown = Shown::kPage;
  std::span<const ExitMeaning> exits = {};  // the codes it may end with; empty: all of ExitMeanings()
  std::span<const Term> files = {};         // besides the configuration file
  std::span<const Term> signals = {};
  std::string_view see = {};  // "gathering-migrate(1), jq(1)": more than gathering(1) and gathering.toml(5)
};

// Sorted by name.
[[nodiscard]] std::span<const Command> Commands();

// --- shared options -------------------------------------------------------------------------------

// The flags of the configuration: --config, --data-dir, --database-url, --log-level, --log-format, and with
// kDaemon also --listen; with kDataDir only --config and --data-dir.  For every subcommand that touches the
// database or the daemon.
enum class ConfigFlags : std::uint8_t { kDataDir, kDatabase, kDaemon };
void AddConfigFlags(Syntax syntax, Context& context, ConfigFlags which);

enum class Output : std::uint8_t { kText, kJson };
// --output text|json; JSON has "schema": 1 at its top.
void AddOutputFlag(Syntax syntax, Output& output);

// --- errors ---------------------------------------------------------------------------------------

// Wrong use that its syntax does not show; `what()` is "<what>; <what to do>".
class UsageError : public std::exception {
 public:
  explicit UsageError(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

// The one place where errors become exit codes: prints "gathering: …" on stderr.
[[nodiscard]] Exit ReportError(const std::exception& error);
[[nodiscard]] Exit ExitOf(db::Standing standing);

// --- subcommands with a file of their own ---------------------------------------------------------

struct ServeOptions {
  bool migrate = false;  // bring an external database's schema up to date first
};
[[nodiscard]] Exit Serve(const Context& context, const ServeOptions& options);  // serve.cpp

Action DeclareBenchDb(Syntax syntax, Context& context);       // bench_db.cpp
Action DeclareCacheStats(Syntax syntax, Context& context);    // cache_stats.cpp
Action DeclareMigrate(Syntax syntax, Context& context);       // migrate.cpp
Action DeclareConfig(Syntax syntax, Context& context);        // config.cpp
Action DeclareDoctor(Syntax syntax, Context& context);        // doctor.cpp
Action DeclareEmit(Syntax syntax, Context& context);          // emit.cpp
Action DeclareHelp(Syntax syntax, Context& context);          // help.cpp
Action DeclareReplayEvents(Syntax syntax, Context& context);  // replay_events.cpp
Action DeclareCompletion(Syntax syntax, Context& context);    // completion.cpp
Action DeclareVersion(Syntax syntax, Context& context);       // version.cpp

}  // namespace gathering::cmd
