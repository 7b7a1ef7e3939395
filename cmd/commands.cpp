#include <unistd.h>

#include <algorithm>
#include <functional>
#include <ranges>
#include <string>
#include <system_error>
#include <variant>

#include <fmt/format.h>

#include "cmd/command.h"
#include "cmd/terminal.h"
#include "core/base/error.h"
#include "core/bench/place.h"
#include "core/config/keys.h"
#include "core/db/connection.h"
#include "core/db/migrate.h"

namespace gathering::cmd {
namespace {

constexpr Example kRootExamples[] = {
    {"gathering serve", "serve the API on 127.0.0.1:8000, on a private PostgreSQL"},
    {"gathering migrate status", "show what the database has and lacks"},
    {"gathering config print --show-origin", "show every setting and where it comes from"},
};

constexpr Example kBenchDbExamples[] = {
    {"gathering bench-db", "everything, on the configured database, in about a minute and a half"},
    {"gathering bench-db --scenario point-read --clients 64 \\\n"
     "  --fail-if 'p99>20ms'",
     "a check for CI"},
    {"gathering bench-db --output json > before.json\n"
     "gathering bench-db --compare before.json",
     "what a change of the database's settings brought"},
    {"gathering bench-db --scenario mixed/pipeline --clients 64 --rate 2000", "latency at a given load"},
};

constexpr Example kCacheStatsExamples[] = {
    {"gathering cache-stats", "the caches of the daemon on this machine, once"},
    {"gathering cache-stats --watch", "every second, with hits a second"},
    {"gathering cache-stats --cache tokens", "whether another size would be better"},
    {"gathering cache-stats --check 'hit_ratio<0.6' --check 'tokens:fill>0.95'", "a Nagios plugin"},
    {"gathering cache-stats --url http://10.0.0.7:8000 --token-file token \\\n"
     "  --all-instances",
     "all daemons on the database of a remote one"},
};

constexpr Example kCompletionExamples[] = {
    {"source <(gathering completion bash)", "in this bash; in ~/.bashrc, in every one"},
    {"gathering completion zsh > ~/.zsh/completions/_gathering",
     "for one user of zsh, who has that in fpath"},
    {"gathering completion fish > ~/.config/fish/completions/gathering.fish", "for one user of fish"},
};

constexpr Example kConfigExamples[] = {
    {"gathering config print --show-origin", "every setting and where it comes from"},
    {"gathering config validate --config ./gathering.toml", "check a file before it is used"},
    {"gathering config try-limits --config new.toml access.log", "what other limits would have refused"},
    {"gathering config print --output json | jq '.keys[\"http.listen\"].value'", "one setting, for a script"},
};

constexpr Example kDoctorExamples[] = {
    {"gathering doctor", "before the first start, after an upgrade, or when something is wrong"},
    {"gathering doctor --strict", "for CI: warnings fail, too"},
    {"gathering doctor --output json |\n"
     "  jq -r '.checks[] | select(.verdict == \"failed\") | .name'",
     "what failed, for a script"},
};

constexpr Example kHelpExamples[] = {
    {"gathering help serve", "all about one command"},
    {"gathering help exit-codes", "what the exit codes mean"},
};

constexpr Example kMigrateExamples[] = {
    {"gathering migrate status", "what the database has and lacks"},
    {"gathering migrate up --dry-run", "run what is missing, roll it back, show the locks it took"},
    {"gathering migrate check && systemctl restart gathering", "go on only when the schema is current"},
};

constexpr Example kReplayEventsExamples[] = {
    {"gathering replay-events --output events.jsonl", "keep what happened, while the log still has it"},
    {"gathering replay-events --input events.jsonl --speed 10 --max-gap 2s",
     "bring it into a running system, ten times as fast as it was"},
    {"gathering replay-events", "the log into its own system: all deduplicated, nothing changes"},
    {"gathering replay-events --type 'task.*' --from 1000 --output - | jq .data", "look for something"},
    {"gathering replay-events --what-if 'window=50ms,500ms;dedup=1s,5s'",
     "what other settings would have made of it"},
};

constexpr Example kServeExamples[] = {
    {"gathering serve", "on 127.0.0.1:8000, with a private PostgreSQL in the data directory"},
    {"gathering serve --listen 0.0.0.0:8000 --listen unix:/run/gathering.sock", "on two addresses"},
    {"DATABASE_URL=postgresql://app@db/gathering SECRET_KEY=$(< key) \\\n"
     "  gathering serve",
     "on a PostgreSQL of your own, together with other daemons"},
};

constexpr Example kVersionExamples[] = {
    {"gathering version --output json", "with the compiler and the libraries"},
};

constexpr ExitMeaning kPlainExits[] = {
    {Exit::kOk, "done"},
    {Exit::kFailure, "failed; stderr says why"},
    {Exit::kUsage, "the command line is wrong"},
};

constexpr ExitMeaning kBenchDbExits[] = {
    {Exit::kOk, "done, and no --fail-if holds"},
    {Exit::kFailure, "failed; stderr says why"},
    {Exit::kUsage, "the command line is wrong"},
    {Exit::kDifference, "a --fail-if holds"},
    {Exit::kUnavailable, "the database is not available"},
    {Exit::kTryAgain, "another bench-db is running there, or the database is out of time"},
    {Exit::kConfig, "the configuration cannot be used"},
    {Exit::kInterrupted, "interrupted by SIGINT"},
};

constexpr ExitMeaning kCacheStatsExits[] = {
    {Exit::kOk, "done; with --check: no condition holds"},
    {Exit::kFailure, "failed; stderr says why; with --check: a condition with warn: holds"},
    {Exit::kUsage, "the command line is wrong; with --check: a condition without warn: holds"},
    {Exit::kDifference, "with --check: it cannot tell"},
    {Exit::kUnavailable, "no daemon answers"},
    {Exit::kTryAgain, "the daemon is out of time"},
    {Exit::kConfig, "the configuration cannot be used"},
    {Exit::kInterrupted, "interrupted by SIGINT"},
};

constexpr ExitMeaning kConfigExits[] = {
    {Exit::kOk, "done; validate: the configuration is valid"},
    {Exit::kFailure, "failed; stderr says why"},
    {Exit::kUsage, "the command line is wrong"},
    {Exit::kConfig, "the configuration cannot be used; stderr says why, a line for each problem"},
};

constexpr ExitMeaning kDoctorExits[] = {
    {Exit::kOk, "nothing failed"},
    {Exit::kFailure, "something failed; with --strict: or deserves a warning"},
    {Exit::kUsage, "the command line is wrong"},
    {Exit::kConfig, "the configuration cannot be used"},
};

constexpr ExitMeaning kMigrateExits[] = {
    {Exit::kOk, "done; check: the schema is at head"},
    {Exit::kFailure, "failed, or the answer was no; stderr says why"},
    {Exit::kUsage, "the command line is wrong"},
    {Exit::kDifference, "check: migrations are pending"},
    {Exit::kVerification, "an applied migration was edited; verify: the schema is not what they make"},
    {Exit::kNewer, "the database is newer than this program"},
    {Exit::kUnavailable, "the database is not available"},
    {Exit::kTryAgain, "another migration is running, or a lock was not to be had in time"},
    {Exit::kConfig, "the configuration cannot be used"},
    {Exit::kInterrupted, "interrupted by SIGINT, between two migrations"},
};

constexpr ExitMeaning kServeExits[] = {
    {Exit::kOk, "stopped by a signal"},
    {Exit::kFailure, "failed; stderr says why"},
    {Exit::kUsage, "the command line is wrong"},
    {Exit::kDifference, "migrations are pending; give --migrate"},
    {Exit::kVerification, "an applied migration is not what it was"},
    {Exit::kNewer, "the database is newer than this program"},
    {Exit::kUnavailable, "the database is not available"},
    {Exit::kTryAgain, "another program held the migrations' lock for too long"},
    {Exit::kConfig, "the configuration cannot be used"},
};

constexpr Term kCacheStatsFiles[] = {
    {"control.sock", "in the data directory: the socket on which the daemon is asked"},
};

constexpr Term kServeFiles[] = {
    {"control.sock",
     "in the data directory, unless http.control_socket says otherwise: who may open it is "
     "administrator"},
    {"secret_key", "in the data directory: signs tokens, made at the first start without auth.secret_key"},
    {"postgres/", "in the data directory: the private PostgreSQL's cluster"},
    {"postgres.log", "in the data directory: what the private PostgreSQL logs"},
    {"postgresql.local.conf", "in the data directory: settings of yours for the private PostgreSQL"},
};

constexpr Term kServeSignals[] = {
    {"SIGTERM, SIGINT",
     "stop in order; a second SIGTERM waits for no client, a second SIGINT ends it at once"},
    {"SIGHUP", "read the configuration again"},
    {"SIGUSR1", "write to the log what the daemon is at"},
};

constexpr Variable kVariables[] = {
    {"GATHERING_CONFIG", "the configuration file, as --config"},
    {"GATHERING_ENV", "production: refuses what is for development only"},
    {"GATHERING_TOKEN", "an administrator's token, for commands that are given --url", "cache-stats"},
    {"CREDENTIALS_DIRECTORY", "systemd's credentials: files named auth_secret_key, database_url and so on"},
    {"STATE_DIRECTORY", "systemd's state directory: the default of data_dir"},
    {"NOTIFY_SOCKET", "the service manager's socket, which is told of readiness, reloads and the stop",
     "serve"},
    {"WATCHDOG_USEC", "how often the service manager wants to hear that all event loops turn", "serve"},
    {"LISTEN_FDS", "listening sockets that the service manager passed; they replace http.listen", "serve"},
};

Action DeclareServe(Syntax syntax, Context& context) {
  auto options = std::make_shared<ServeOptions>();
  AddConfigFlags(syntax, context, ConfigFlags::kDaemon);
  syntax.Flag("--migrate", options->migrate, "Bring the schema of --database-url up to date first");
  return [options, &context] { return Serve(context, *options); };
}

constexpr Command kCommands[] = {
    {.name = "bench-db",
     .help = "Measure the database, the pool and the pipeline",
     .about =
         "Makes the schema gathering_bench in the configured database, measures in it, and removes it; it "
         "asks first when the database has tables of its own. Reads one agent, a circle with its members, "
         "and inserts tasks, each in several ways, so that what a way gains shows beside what it is "
         "compared with.\n\n"
         "Every result is measured in 20 rounds, all results in turn. With --rate operations begin by a "
         "schedule, latency counts from when they were due, and those that could not begin are counted as "
         "missed. Round trips are messages to the server and back for each operation: a transaction that "
         "reads has three. Wait is the time before the first statement is sent, for a connection or in a "
         "queue.\n\n"
         "--compare tells for each result whether it is faster or slower than in an earlier run, and how "
         "sure that is: a difference counts from 5 % and from a chance under 1 % that any of the results "
         "is called different by accident.\n\n"
         "--fail-if takes [SCENARIO[/VARIANT][@CLIENTS]:]METRIC OP VALUE, where METRIC is rate, mean, p50, "
         "p90, p99, p99.9, max, wait, execution, trips, errors or missed, and OP is >, >=, < or <=; or the "
         "word slower, together with --compare.",
     .examples = kBenchDbExamples,
     .declare = &DeclareBenchDb,
     .exits = kBenchDbExits},
    {.name = "cache-stats",
     .help = "Show the caches of the running daemon",
     .about =
         "Asks the running daemon what its caches hold, how often they answer, and why entries left, over "
         "its control socket (http.control_socket): whoever may open the file needs no token. With --url a "
         "daemon is asked anywhere, with an administrator's token from GATHERING_TOKEN or --token-file. When "
         "no daemon answers it ends with 69.\n\n"
         "Counts are since the start of the daemon; hits a second are those between two looks of --watch. On "
         "a terminal --watch redraws, elsewhere it prints one table after the other, each under its time; as "
         "JSON a look is a line, as CSV its rows. SIGINT ends it with 130.\n\n"
         "With --cache it tells what the hit ratio would be with half, the same, twice and four times the "
         "size, rehearsed by the daemon with a sample of the keys asked for. With --all-instances caches are "
         "sums over the daemons on the database, as they told it within the last 15 seconds; JSON has each "
         "of them, too.\n\n"
         "--check takes [warn:][CACHE:]METRIC OP VALUE, where METRIC is hit_ratio, entries, bytes, fill "
         "(entries of the most there may be), load_failures, evictions (for want of room) or refused, and OP "
         "is <, <=, > or >=. A hit ratio of nothing asked for meets no condition. It prints one line with "
         "performance data and ends as Nagios plugins do: 0 when no condition holds, 1 when one with warn: "
         "does, 2 when one without does, and 3, whatever the reason, when it cannot tell.",
     .examples = kCacheStatsExamples,
     .declare = &DeclareCacheStats,
     .exits = kCacheStatsExits,
     .files = kCacheStatsFiles},
    {.name = "completion",
     .help = "Print a shell's completion script",
     .about =
         "Prints a script that teaches bash, zsh or fish to complete the commands and options of gathering.",
     .examples = kCompletionExamples,
     .declare = &DeclareCompletion,
     .exits = kPlainExits},
    {.name = "config",
     .help = "Print or check the configuration",
     .about =
         "Reads flags, environment and file as every other command does, and shows the result instead of "
         "using it. Secrets are never printed.\n\n"
         "What print writes is TOML with one key a line, and can itself serve as a configuration file.",
     .examples = kConfigExamples,
     .declare = &DeclareConfig,
     .exits = kConfigExits},
    {.name = "doctor",
     .help = "Check everything the daemon needs",
     .about =
         "Checks the configuration, the database (how it can be reached, version, rights, schema, "
         "connections, clock, durability), Redis where it is configured, clock and limits of this "
         "machine, directories, and whether the addresses to listen on are free or served by a "
         "daemon. Each check is ok, a warning, failed or skipped, with what was found and what to do.\n\n"
         "It starts, makes and changes nothing and may run beside a daemon. Of the private PostgreSQL "
         "it sees programs, user and files, and asks the server only while a daemon runs it. It "
         "answers for the user it runs as: be the daemon's user to know what the daemon may do.\n\n"
         "Subjects are looked at side by side, each for --timeout at most: what does not answer by "
         "then has failed. It ends with 0 when nothing failed, with 1 when something did, and with 78 "
         "when the configuration cannot be used; checks that do not need what is wrong in it are made "
         "all the same.",
     .examples = kDoctorExamples,
     .declare = &DeclareDoctor,
     .exits = kDoctorExits},
    {.name = "emit",
     .help = "Write the files that are generated from the tables",
     .about = "Writes completions, manual pages or the example configuration into a directory.",
     .examples = {},
     .declare = &DeclareEmit,
     .shown = Shown::kHidden},
    {.name = "help",
     .help = "Explain a command or a topic",
     .about = "Explains one command, or one of the topics config, environment and exit-codes.",
     .examples = kHelpExamples,
     .declare = &DeclareHelp,
     .exits = kPlainExits},
    {.name = "migrate",
     .help = "Bring the database schema up to date, or look at it",
     .about =
         "Migrations are part of the program: numbered, with a checksum each, every one in a transaction of "
         "its own. Several runners at once are safe: one works, the others wait. An interrupted run stops "
         "between two migrations.",
     .examples = kMigrateExamples,
     .declare = &DeclareMigrate,
     .exits = kMigrateExits,
     .see = "gathering-serve(1)"},
    {.name = "replay-events",
     .help = "Replay past events, or try settings on them",
     .about =
         "Reads the log of the configured database, or with --input what --output wrote. The log is read up "
         "to what was newest when it began, in its order. Without --output, --dry-run or --what-if the "
         "events are brought into the log of the configured database, where every daemon's streams hear of "
         "them; sequence numbers are drawn anew. An event that is there already, by its id and time, is "
         "left as it is: done twice it changes nothing, and the log into its own system is all deduplicated. "
         "What is older than events.retention is forgotten again within the hour. What the daemons tell "
         "each other (token.revoked) is left out.\n\n"
         "Of an input an id counts once; a million of them are remembered. Lines that are no events are "
         "named on stderr, the first 20, and counted. With --speed, an event is due as long after the one "
         "before as it was then, and what is late is made up for.\n\n"
         "A file is written as FILE.partial and gets its name at the end; without --resume an interrupted "
         "run leaves none. With --resume nothing is lost or doubled, whenever it is killed, in the system "
         "and in files; what a pipe was given after the last batch it is given again. The resume file "
         "belongs to its input and its output.\n\n"
         "--what-if runs the daemon's own bus in virtual time, for every combination of window (how long a "
         "batch is collected), batch (how many events are one), dedup (how long a duplicate is suppressed) "
         "and queue (how many may wait), at most 100. One subscriber asks for batches by circle, up to "
         "eight of its calls run at the same time, and a publisher that finds no room waits a second "
         "before its event is shed. Duplicates are told by type, source, circle, project and the text of "
         "data, with sorted names. Delays go from the event's moment to the end of the call it is in, told "
         "within 1 %. The same events give the same table on any machine; they are kept in memory, a "
         "million at most.",
     .examples = kReplayEventsExamples,
     .declare = &DeclareReplayEvents},
    {.name = "serve",
     .help = "Run the daemon",
     .about =
         "Serves the API until SIGTERM or SIGINT; then readiness turns 503, requests in progress are "
         "finished, and it ends with 0. A second SIGTERM leaves at once and in order: requests still in "
         "progress are cut off, events, log and the private PostgreSQL are not. A second SIGINT ends the "
         "process where it is.\n\n"
         "SIGHUP reads the configuration again. If nothing is wrong with it, all changed keys that take "
         "effect at a reload do so together: rate_limits, bounds and lifetimes of caches, CORS origins, "
         "streams, the log's level and some more, as gathering.toml(5) says of each key. No connection is "
         "closed and no request is lost. The log names every changed key, and those that take a restart. "
         "If anything is wrong, nothing changes, and the log says what.\n\n"
         "SIGUSR1 writes to the log what the daemon is at, whatever log.level says and once a second at "
         "most: lines with the message \"state\" and the part as \"of\", about the process, connections, the "
         "twenty requests in progress that began first and what they wait for, the database's pool and "
         "pipelines, workers, events, streams, caches and rate limits. It is told while the daemon stops, "
         "too. Before it serves neither signal does anything.\n\n"
         "Without a database URL it runs a private PostgreSQL in the data directory, which it starts, "
         "migrates, watches and stops. On an external database it refuses a schema that is behind, unless "
         "--migrate is given, or ahead.",
     .examples = kServeExamples,
     .declare = &DeclareServe,
     .exits = kServeExits,
     .files = kServeFiles,
     .signals = kServeSignals,
     .see = "gathering-config(1), gathering-migrate(1), systemd.service(5), systemd.socket(5)"},
    {.name = "version",
     .help = "Print the version",
     .about = "Prints the version; as JSON with the compiler and the libraries it was built with.",
     .examples = kVersionExamples,
     .declare = &DeclareVersion,
     .exits = kPlainExits},
};

consteval bool SortedByName(std::span<const Command> commands) {
  return std::ranges::is_sorted(commands, std::less{}, &Command::name);
}
static_assert(SortedByName(kCommands));

constexpr ExitMeaning kExitMeanings[] = {
    {Exit::kOk, "done"},
    {Exit::kFailure, "failed; stderr says why"},
    {Exit::kUsage, "the command line is wrong"},
    {Exit::kDifference, "a difference: pending migrations, or a --fail-if holds"},
    {Exit::kVerification, "something is not what it was, such as a migration's checksum"},
    {Exit::kNewer, "the database is newer than this program"},
    {Exit::kUnavailable, "the database or another service is not available"},
    {Exit::kTryAgain, "busy or out of time; try again"},
    {Exit::kConfig, "the configuration cannot be used"},
    {Exit::kInterrupted, "interrupted by SIGINT"},
};

Exit ExitOf(Code code) {
  switch (code) {
    case Code::kUnavailable:
      return Exit::kUnavailable;
    case Code::kTimeout:
      return Exit::kTryAgain;
    case Code::kInvalid:
    case Code::kRejected:
    case Code::kUnauthenticated:
    case Code::kForbidden:
    case Code::kNotFound:
    case Code::kConflict:
    case Code::kInDoubt:
    case Code::kInternal:
      return Exit::kFailure;
  }
  return Exit::kFailure;
}

}  // namespace

Exit ExitOf(db::Standing standing) {
  switch (standing) {
    case db::Standing::kAtHead:
      return Exit::kOk;
    case db::Standing::kPending:
      return Exit::kDifference;
    case db::Standing::kChecksumDiffers:
      return Exit::kVerification;
    case db::Standing::kNewerThanBinary:
      return Exit::kNewer;
  }
  return Exit::kFailure;
}

std::span<const Command> Commands() {
  return kCommands;
}

std::vector<std::string> LinesOf(std::string_view text) {
  std::vector<std::string> lines;
  for (const auto line : std::views::split(text, '\n')) lines.emplace_back(line.begin(), line.end());
  return lines;
}

std::span<const Example> RootExamples() {
  return kRootExamples;
}

std::span<const Variable> Variables() {
  return kVariables;
}

std::span<const ExitMeaning> ExitMeanings() {
  return kExitMeanings;
}

LoadAttempt Context::TryLoad() const {
  LoadOptions options{
      .flags = flags, .environment = environment, .file = config_file, .root = ::geteuid() == 0};
  if (options.file.empty()) {
    const auto named = environment.find("GATHERING_CONFIG");
    if (named != environment.end()) options.file = named->second;
  }
  const bool level_given =
      std::ranges::any_of(flags, [](const FlagValue& given) { return given.flag == "--log-level"; });
  if (!level_given && verbosity != Verbosity::kNormal) {
    options.flags.push_back({"--log-level", verbosity == Verbosity::kVerbose ? "debug" : "error"});
  }
  return TryLoadConfig(options);
}

LoadedConfig Context::Read() const {
  LoadAttempt attempt = TryLoad();
  if (!attempt.problems.empty()) throw ConfigError{std::move(attempt.problems)};
  return std::move(attempt.loaded);
}

LoadedConfig Context::Load() const {
  LoadedConfig loaded = Read();
  for (const std::string& warning : loaded.warnings) Say("warning: " + warning);
  return loaded;
}

void Context::Say(std::string_view line) const {
  if (verbosity != Verbosity::kQuiet) Complain(line);
}

void AddOutputFlag(Syntax syntax, Output& output) {
  syntax.Choice(
      "--output",
      [&output](const std::string& given) { output = given == "json" ? Output::kJson : Output::kText; },
      {"text", "json"}, "How to print the result; JSON has \"schema\": 1");
}

void AddConfigFlags(Syntax syntax, Context& context, ConfigFlags which) {
  syntax.Text("--config", context.config_file, "FILE",
              "Configuration file; default /etc/gathering/gathering.toml if it exists [GATHERING_CONFIG]");
  for (const config::Key& key : config::Keys()) {
    if (key.flag.empty() || (key.flag == "--listen" && which != ConfigFlags::kDaemon)) continue;
    if (key.flag != "--data-dir" && which == ConfigFlags::kDataDir) continue;
    const auto* choice = std::get_if<config::Choice>(&key.member);
    const std::string flag{key.flag};
    const std::string help = fmt::format("{} [{}]", key.sentence.substr(0, key.sentence.size() - 1),
                                         key.legacy.empty() ? config::EnvironmentName(key) : key.legacy);
    syntax.Each(
        flag,
        [&context, flag](const std::string& value) {
          context.flags.push_back({flag, value});
        },
        choice != nullptr ? fmt::format("{}", fmt::join(choice->names, "|")) : std::string{key.word}, help,
        std::holds_alternative<config::List>(key.member));
  }
}

Exit ReportError(const std::exception& error) {
  if (const auto* config = dynamic_cast<const ConfigError*>(&error)) {
    for (const std::string& problem : config->problems) Complain(problem);
    return Exit::kConfig;
  }
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    Complain(known->MessageAndCause());
    if (const auto* wrong = dynamic_cast<const db::WrongStanding*>(&error))
      return ExitOf(wrong->check.standing);
    if (dynamic_cast<const db::LockBusy*>(&error) != nullptr) return Exit::kTryAgain;
    if (dynamic_cast<const bench::Busy*>(&error) != nullptr) return Exit::kTryAgain;
    if (dynamic_cast<const db::UnreadableUrl*>(&error) != nullptr) return Exit::kConfig;
    return ExitOf(known->code);
  }
  const auto* system = dynamic_cast<const std::system_error*>(&error);
  if (system != nullptr && system->code() == std::errc::resource_unavailable_try_again) {
    Complain("no thread can be started; raise the limit on threads (ulimit -u, or TasksMax of the unit)");
    return Exit::kFailure;
  }
  Complain(error.what());
  return dynamic_cast<const UsageError*>(&error) != nullptr ? Exit::kUsage : Exit::kFailure;
}

}  // namespace gathering::cmd
