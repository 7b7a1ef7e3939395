#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cmd/command.h"
#include "cmd/interrupt.h"
#include "cmd/terminal.h"
#include "cmd/tool_database.h"
#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/db/migrate.h"
#include "core/schema/writer.h"

namespace gathering::cmd {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kNumberMax = 9'999;  // of migrations: four digits in their names

struct MigrateOptions {
  Output output = Output::kText;
  milliseconds wait{0};
  milliseconds lock_wait{30'000};
  milliseconds lock_timeout{5'000};
  std::uint32_t number = 0;  // of `to` and `baseline`
  std::uint32_t count = 1;   // of `down`
  bool dry_run = false;
  bool yes = false;
};

// --- what JSON output looks like -------------------------------------------------------------------

struct StatusReport {
  std::int64_t schema = 1;
  std::vector<db::MigrationStatus> migrations;
  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("migrations", self.migrations);
  }
};

struct StepsReport {
  std::int64_t schema = 1;
  std::vector<db::MigrationStep> steps;
  bool interrupted = false;
  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("steps", self.steps);
    visit("interrupted", self.interrupted);
  }
};

struct DryRunReport {
  std::int64_t schema = 1;
  std::vector<db::DryRunFile> files;
  bool interrupted = false;
  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("files", self.files);
    visit("interrupted", self.interrupted);
  }
};

struct CheckReport {
  std::int64_t schema = 1;
  db::SchemaCheck check;
  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    db::SchemaCheck::Fields(self.check, visit);
  }
};

struct VerifyReport {
  std::int64_t schema = 1;
  std::vector<std::string> differences;
  bool interrupted = false;
  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("differences", self.differences);
    visit("interrupted", self.interrupted);
  }
};

struct ErrorReport {
  std::int64_t schema = 1;
  std::string error;
  std::string cause;
  std::int64_t exit = 0;
  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("error", self.error);
    visit("cause", self.cause);
    visit("exit", self.exit);
  }
};

template <class T>
void PrintJson(const T& report) {
  Print(schema::ToJson(report) + "\n");
}

// --- texts -----------------------------------------------------------------------------------------

std::string Title(std::int64_t number, std::string_view name) {
  return fmt::format("{:04}_{}", number, name);
}

std::string StatusText(const std::vector<db::MigrationStatus>& all) {
  std::size_t width = 0;
  for (const auto& one : all) width = std::max(width, Title(one.number, one.name).size());
  std::string text;
  for (const auto& one : all) {
    std::string line =
        fmt::format("{:<{}}  {:<10}", Title(one.number, one.name), width, schema::ToText(one.state));
    if (one.applied_at) line += fmt::format("  {}", ToText(*one.applied_at));
    if (one.duration_ms) line += fmt::format("  {} ms", *one.duration_ms);
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  }
  return text;
}

std::string_view Past(db::Direction direction) {
  switch (direction) {
    case db::Direction::kUp:
      return "applied";
    case db::Direction::kDown:
      return "taken back";
    case db::Direction::kBaseline:
      return "recorded";
  }
  return {};
}

// An SQL script whose comments tell what each statement did.
std::string DryRunText(const std::vector<db::DryRunFile>& files) {
  std::string text;
  for (const db::DryRunFile& file : files) {
    text += fmt::format("-- {}\n", Title(file.number, file.name));
    if (!file.runnable) text += "-- not run: it works outside of a transaction and could not be taken back\n";
    for (const db::DryRunStatement& statement : file.statements) {
      text += fmt::format("\n{};\n", statement.text);
      if (!file.runnable) continue;
      text += fmt::format("-- line {}, {} ms\n", statement.line, statement.duration_ms);
      for (const db::LockTaken& lock : statement.locks) {
        if (!lock.created_here) text += fmt::format("-- takes {} on {}\n", lock.mode, lock.relation);
      }
      for (const std::string& table : statement.rewritten)
        text += fmt::format("-- writes all of {} anew\n", table);
    }
    text += "\n";
  }
  return text;
}

// --- one run of the command ------------------------------------------------------------------------

class MigrateCommand {
 public:
  MigrateCommand(const Context& context, const MigrateOptions& options)
      : context_(context), options_(options) {}

  Exit Status() {
    const auto all = migrator().Status();
    if (json()) {
      PrintJson(StatusReport{.migrations = all});
    } else {
      Print(StatusText(all));
    }
    return Exit::kOk;
  }

  Exit Up() {
    if (options_.dry_run) return DryRun({});
    return Report(migrator().Up());
  }

  Exit To() {
    RequireNumber();
    if (options_.number >= migrator().Check().database) {
      if (options_.dry_run) return DryRun(options_.number);
      return Report(migrator().UpTo(options_.number));
    }
    if (options_.dry_run) throw UsageError{"--dry-run only goes up; leave it out to go down"};
    if (!MayTakeBack([&](const db::MigrationStatus& one) { return one.number > options_.number; }))
      return Declined();
    return Report(migrator().DownTo(options_.number));
  }

  Exit Down() {
    std::uint32_t left = options_.count;
    if (!MayTakeBack([&](const db::MigrationStatus&) { return left > 0 && left-- > 0; })) return Declined();
    return Report(migrator().Down(options_.count));
  }

  Exit Redo() {
    bool first = true;
    if (!MayTakeBack([&](const db::MigrationStatus&) { return std::exchange(first, false); }))
      return Declined();
    return Report(migrator().Redo());
  }

  Exit Baseline() {
    RequireNumber();
    if (!Agreed(
            fmt::format("Record migrations 1 to {} as applied, without running them?", options_.number))) {
      return Declined();
    }
    return Report(migrator().Baseline(options_.number));
  }

  Exit Check() {
    const db::SchemaCheck check = migrator().AwaitHead(options_.wait);
    if (json()) {
      PrintJson(CheckReport{.check = check});
    } else {
      Print(Describe(check) + "\n");
    }
    const bool cut_short = stop_asked && check.standing == db::Standing::kPending;
    return cut_short ? Exit::kInterrupted : ExitOf(check.standing);
  }

  Exit Verify() {
    const auto differences = migrator().Verify();
    if (json()) {
      PrintJson(VerifyReport{.differences = differences, .interrupted = stop_asked});
    } else {
      for (const std::string& line : differences) Print(line + "\n");
      if (differences.empty() && !stop_asked) context_.Say("the schema is what its migrations make");
    }
    if (stop_asked) return Exit::kInterrupted;
    return differences.empty() ? Exit::kOk : Exit::kVerification;
  }

 private:
  void RequireNumber() const {
    const std::size_t head = db::Migrations().size();
    if (options_.number > head) {
      throw UsageError{
          fmt::format("there is no migration {}; this program has 1 to {}", options_.number, head)};
    }
  }

  bool json() const { return options_.output == Output::kJson; }

  Exit DryRun(std::optional<std::uint32_t> number) {
    const auto files = migrator().DryRun(number);
    if (json()) {
      PrintJson(DryRunReport{.files = files, .interrupted = stop_asked});
    } else {
      Print(DryRunText(files));
    }
    context_.Say(files.empty() ? "nothing is pending" : "all of it was rolled back");
    return stop_asked ? Exit::kInterrupted : Exit::kOk;
  }

  Exit Report(const std::vector<db::MigrationStep>& steps) {
    if (json()) PrintJson(StepsReport{.steps = steps, .interrupted = stop_asked});
    for (const db::MigrationStep& step : steps) {
      if (!json() && step.direction == db::Direction::kBaseline)
        PrintStep(step.number, step.name, step.direction, {});
    }
    if (steps.empty() && !stop_asked) context_.Say("there was nothing to do");
    if (stop_asked) context_.Say("interrupted between two migrations; run it again to go on");
    return stop_asked ? Exit::kInterrupted : Exit::kOk;
  }

  static void PrintStep(std::int64_t number, std::string_view name, db::Direction direction,
                        std::optional<milliseconds> duration) {
    Print(fmt::format("{} {}", Title(number, name), Past(direction)) +
          (duration ? fmt::format(" in {} ms\n", duration->count()) : "\n"));
  }

  // Says what would be taken back, of the applied ones newest first those that `chosen` picks.
  bool MayTakeBack(const std::function<bool(const db::MigrationStatus&)>& chosen) {
    auto all = migrator().Status();
    std::reverse(all.begin(), all.end());
    std::vector<std::string> titles;
    for (const db::MigrationStatus& one : all) {
      if (one.state != db::MigrationState::kPending && chosen(one))
        titles.push_back(Title(one.number, one.name));
    }
    return titles.empty() ||
           Agreed(fmt::format("Take back {}, with the data in what they made?", fmt::join(titles, ", ")));
  }

  bool Agreed(const std::string& question) const {
    if (options_.yes) return true;
    const auto answer = Confirm(question);
    if (!answer) throw UsageError{"this asks before it changes anything, and nobody can answer; add --yes"};
    return *answer;
  }

  Exit Declined() const {
    context_.Say("nothing was changed");
    return Exit::kFailure;
  }

  // Connects nothing by itself; starts the embedded database where no other is configured.
  db::Migrator& migrator() {
    if (migrator_) return *migrator_;
    const db::PoolOptions& pool = database_.emplace(context_, clock_).config().database.pool;
    return migrator_.emplace(
        db::MigratorOptions{.url = pool.url,
                            .connect_timeout = pool.connect_timeout,
                            .database_wait = options_.wait,
                            .lock_wait = options_.lock_wait,
                            .lock_timeout = options_.lock_timeout,
                            .stop = &stop_asked,
                            .cancel = &cancel_asked,
                            .on_event = [this](const db::MigrationEvent& event) { OnEvent(event); }},
        clock_);
  }

  void OnEvent(const db::MigrationEvent& event) const {
    const bool verbose = context_.verbosity == Verbosity::kVerbose;
    switch (event.kind) {
      case db::MigrationEvent::Kind::kWaitingForDatabase:
        return context_.Say(fmt::format("waiting for the database: {}", FirstLine(event.text)));
      case db::MigrationEvent::Kind::kWaitingForLock:
        return context_.Say(fmt::format("waiting: another migration is running{}", event.text));
      case db::MigrationEvent::Kind::kBegin:
        return;
      case db::MigrationEvent::Kind::kStatement:
        if (!verbose) return;
        return context_.Say(fmt::format("{}: {} of {} statements after {} ms",
                                        Title(event.number, event.name), event.statement, event.statements,
                                        event.duration.count()));
      case db::MigrationEvent::Kind::kNotice:
        if (verbose) context_.Say(fmt::format("notice: {}", FirstLine(event.text)));
        return;
      case db::MigrationEvent::Kind::kDone:
        if (!json()) PrintStep(event.number, event.name, event.direction, event.duration);
        return;
    }
  }

  static std::string_view FirstLine(std::string_view text) { return text.substr(0, text.find('\n')); }

  const Context& context_;
  const MigrateOptions& options_;
  const SystemClock clock_;
  std::optional<ToolDatabase> database_;
  std::optional<db::Migrator> migrator_;
};

Exit ReportMigrateError(const std::exception& error) {
  const Exit exit = ReportError(error);
  return stop_asked && exit != Exit::kTryAgain ? Exit::kInterrupted : exit;
}

Exit Run(const Context& context, const MigrateOptions& options, Exit (MigrateCommand::*operation)()) {
  WatchInterrupts();
  try {
    MigrateCommand command{context, options};
    return (command.*operation)();
  } catch (const std::exception& error) {
    const Exit exit = ReportMigrateError(error);
    if (options.output == Output::kJson) {
      const auto* known = dynamic_cast<const Error*>(&error);
      PrintJson(ErrorReport{.error = error.what(),
                            .cause = known != nullptr ? known->cause : "",
                            .exit = static_cast<std::int64_t>(exit)});
    }
    return exit;
  }
}

// --- the command line ------------------------------------------------------------------------------

struct Operation {
  Syntax syntax;
  Exit (MigrateCommand::*run)();
};

std::vector<Operation> DeclareOperations(Syntax syntax, MigrateOptions& options) {
  std::vector<Operation> all;
  const auto add = [&](const char* name, const char* help, Exit (MigrateCommand::*run)()) {
    const Syntax sub = syntax.Subcommand(name, help);
    all.push_back({sub, run});
    return sub;
  };
  const auto add_dry_run = [&](Syntax sub) {
    sub.Flag("--dry-run", options.dry_run,
             "Run it in one transaction that is rolled back; print each statement and the locks it took");
  };
  const auto add_yes = [&](Syntax sub) { sub.Flag("-y,--yes", options.yes, "Do not ask"); };
  add("status", "Print every migration and whether it is applied", &MigrateCommand::Status);
  add_dry_run(add("up", "Apply what is pending", &MigrateCommand::Up));
  Syntax to = add("to", "Apply or take back until NUMBER is the newest", &MigrateCommand::To);
  to.Number("NUMBER", options.number, {0, kNumberMax}, "The migration to end at; 0 is before the first",
            Presence::kRequired);
  add_dry_run(to);
  add_yes(to);
  Syntax down =
      add("down", "Take back the newest migrations, with the data in what they made", &MigrateCommand::Down);
  down.Number("COUNT", options.count, {0, kNumberMax}, "How many; default 1");
  add_yes(down);
  add_yes(add("redo", "Take back the newest migration and apply it again", &MigrateCommand::Redo));
  add("check", "Exit 0 at head, 3 pending, 4 edited, 5 newer than this binary", &MigrateCommand::Check);
  add("verify", "Compare the live schema with what the migrations make", &MigrateCommand::Verify);
  Syntax baseline =
      add("baseline", "Record 1 to NUMBER as applied without running them", &MigrateCommand::Baseline);
  baseline.Number("NUMBER", options.number, {0, kNumberMax},
                  "The newest migration that the database already has", Presence::kRequired);
  add_yes(baseline);
  return all;
}

}  // namespace

Action DeclareMigrate(Syntax syntax, Context& context) {
  auto options = std::make_shared<MigrateOptions>();
  AddConfigFlags(syntax, context, ConfigFlags::kDatabase);
  AddOutputFlag(syntax, options->output);
  syntax.Duration("--wait", options->wait,
                  "Wait so long for a database that does not answer, and with check until it is at head");
  syntax.Duration("--lock-wait", options->lock_wait,
                  "Wait so long for another migration to end; default 30s");
  syntax.Duration("--lock-timeout", options->lock_timeout,
                  "Let each statement wait so long for a lock on a table; default 5s, 0s for ever");
  const auto operations = DeclareOperations(syntax, *options);
  return [options, operations, &context] {
    for (const Operation& operation : operations) {
      if (operation.syntax.given()) return Run(context, *options, operation.run);
    }
    return Exit::kUsage;
  };
}

}  // namespace gathering::cmd
