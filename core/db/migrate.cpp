#include "core/db/migrate.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "core/db/migrate_run.h"

namespace gathering::db {
namespace {

using Ledger = std::vector<LedgerRow>;
using Known = std::span<const Migration>;

constexpr std::chrono::milliseconds kLedgerPause{250};

std::chrono::milliseconds TimeLeft(const Clock& clock, Clock::Steady deadline) {
  using std::chrono::milliseconds;
  return std::max(std::chrono::duration_cast<milliseconds>(deadline - clock.Now()), milliseconds{0});
}

const LedgerRow* Find(const Ledger& ledger, std::int64_t number) {
  const auto row =
      std::find_if(ledger.begin(), ledger.end(), [&](const LedgerRow& r) { return r.number == number; });
  return row != ledger.end() ? &*row : nullptr;
}

const Migration* Find(Known known, std::int64_t number) {
  const auto file =
      std::find_if(known.begin(), known.end(), [&](const Migration& m) { return m.number == number; });
  return file != known.end() ? &*file : nullptr;
}

std::int64_t HeadOf(Known known) {
  return known.empty() ? 0 : known.back().number;
}

MigrationState StateOf(const Migration* file, const LedgerRow* row) {
  if (row == nullptr) return MigrationState::kPending;
  if (file == nullptr) return MigrationState::kUnknown;
  if (row->state == "incomplete") return MigrationState::kIncomplete;
  if (row->state == "reverting") return MigrationState::kReverting;
  return row->sha256 == file->sha256 ? MigrationState::kApplied : MigrationState::kChanged;
}

std::vector<MigrationStatus> Compare(Known known, const Ledger& ledger) {
  std::map<std::int64_t, MigrationStatus> by_number;
  for (const Migration& file : known) {
    MigrationStatus& status = by_number[file.number];
    status.number = file.number;
    status.name = file.name;
    status.sha256 = file.sha256;
  }
  for (const LedgerRow& row : ledger) {
    MigrationStatus& status = by_number[row.number];
    status.number = row.number;
    if (status.name.empty()) status.name = row.name;
    status.state = StateOf(Find(known, row.number), &row);
    status.applied_sha256 = row.sha256;
    status.applied_at = row.applied_at;
    status.duration_ms = row.duration_ms;
  }
  std::vector<MigrationStatus> all;
  for (auto& [number, status] : by_number) all.push_back(std::move(status));
  return all;
}

std::string Numbers(const std::vector<std::int64_t>& numbers) {
  return fmt::format("{} {}", numbers.size() == 1 ? "migration" : "migrations", fmt::join(numbers, ", "));
}

[[noreturn]] void Reject(std::string message) {
  throw Error{Code::kRejected, std::move(message)};
}

// The files of `ledger` above `number`, newest first, each with its row.
std::vector<std::pair<const Migration*, const LedgerRow*>> Above(Known known, const Ledger& ledger,
                                                                 std::int64_t number) {
  std::vector<std::pair<const Migration*, const LedgerRow*>> files;
  for (auto row = ledger.rbegin(); row != ledger.rend() && row->number > number; ++row) {
    const Migration* file = Find(known, row->number);
    if (file == nullptr) {
      Reject(fmt::format("migration {} is not in this binary: take it back with the newer one",
                         Title(row->number, row->name)));
    }
    if (row->state == "incomplete") {
      Reject(fmt::format("migration {} is half applied: finish it with `gathering migrate up` first",
                         Title(row->number, row->name)));
    }
    files.emplace_back(file, &*row);
  }
  return files;
}

std::vector<MigrationStep> RunForward(MigrationRun& run, Known known, std::int64_t number) {
  std::vector<MigrationStep> steps;
  run.EnsureLedger();
  const Ledger ledger = run.ReadLedger();
  RequireForward(known, ledger);
  for (const Migration& file : known) {
    if (file.number > number || run.stopping()) break;
    const LedgerRow* row = Find(ledger, file.number);
    if (row == nullptr || row->state != "applied") steps.push_back(run.RunUp(file, row));
  }
  return steps;
}

std::vector<MigrationStep> RunBack(MigrationRun& run, Known known, std::int64_t number) {
  std::vector<MigrationStep> steps;
  const Ledger ledger = run.ReadLedger();
  for (const auto& [file, row] : Above(known, ledger, number)) {
    if (run.stopping()) break;
    steps.push_back(run.RunDown(*file, row));
  }
  return steps;
}

void RequireNumber(Known known, std::int64_t number, std::int64_t lowest) {
  if (number >= lowest && number <= HeadOf(known)) return;
  throw Error{Code::kInvalid, fmt::format("there is no migration {}: this binary has {} to {}", number,
                                          lowest, HeadOf(known))};
}

}  // namespace

SchemaCheck Summarize(std::span<const Migration> known, const std::vector<LedgerRow>& ledger) {
  SchemaCheck check{.binary = HeadOf(known), .database = ledger.empty() ? 0 : ledger.back().number};
  for (const MigrationStatus& status : Compare(known, ledger)) {
    switch (status.state) {
      case MigrationState::kApplied:
        break;
      case MigrationState::kChanged:
        check.changed.push_back(status.number);
        break;
      case MigrationState::kUnknown:
        check.unknown.push_back(status.number);
        break;
      case MigrationState::kPending:
      case MigrationState::kIncomplete:
      case MigrationState::kReverting:
        check.pending.push_back(status.number);
        break;
    }
  }
  if (!check.pending.empty()) check.standing = Standing::kPending;
  if (!check.changed.empty()) check.standing = Standing::kChecksumDiffers;
  if (!check.unknown.empty()) check.standing = Standing::kNewerThanBinary;
  return check;
}

void RequireForward(std::span<const Migration> known, const std::vector<LedgerRow>& ledger) {
  const SchemaCheck check = Summarize(known, ledger);
  if (check.standing == Standing::kChecksumDiffers || check.standing == Standing::kNewerThanBinary) {
    throw WrongStanding{check};
  }
  for (const LedgerRow& row : ledger) {
    if (row.state == "reverting") {
      Reject(fmt::format("migration {} is half taken back: finish that with `gathering migrate down`",
                         Title(row.number, row.name)));
    }
  }
  for (const std::int64_t number : check.pending) {
    if (number < check.database && Find(ledger, number) == nullptr) {
      Reject(fmt::format("migration {} is not applied, but {} is: the ledger has a gap", number,
                         check.database));
    }
  }
}

std::string Describe(const SchemaCheck& check) {
  switch (check.standing) {
    case Standing::kAtHead:
      return fmt::format("the schema is at number {}, as this binary wants it", check.binary);
    case Standing::kPending:
      return fmt::format("the schema is behind this binary: {} of {} {} pending; run `gathering migrate up`",
                         Numbers(check.pending), check.binary, check.pending.size() == 1 ? "is" : "are");
    case Standing::kChecksumDiffers:
      return fmt::format(
          "{} applied from a text that is not this binary's; see `gathering migrate status`, compare "
          "with `gathering migrate verify`",
          Numbers(check.changed) + (check.changed.size() == 1 ? " was" : " were"));
    case Standing::kNewerThanBinary:
      return fmt::format(
          "the schema is newer than this binary: it has number {}, the binary ends at {}; use a newer "
          "binary",
          check.database, check.binary);
  }
  return {};
}

Migrator::Migrator(MigratorOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {
  std::uint32_t expected = 0;
  for (const Migration& file : options_.migrations) {
    if (file.number != ++expected) {
      throw Error{Code::kInvalid, fmt::format("migration {} stands where {} belongs", file.number, expected)};
    }
  }
}

std::vector<MigrationStatus> Migrator::Status() {
  MigrationRun run{options_, clock_};
  return Compare(options_.migrations, run.ReadLedger());
}

SchemaCheck Migrator::Check() {
  MigrationRun run{options_, clock_};
  return Summarize(options_.migrations, run.ReadLedger());
}

void Migrator::RequireCurrent() {
  const SchemaCheck check = Check();
  if (check.standing != Standing::kAtHead) throw WrongStanding{check};
}

SchemaCheck Migrator::AwaitHead(std::chrono::milliseconds wait) {
  const Clock::Steady deadline = clock_.Now() + wait;
  MigratorOptions patient = options_;
  for (;;) {
    try {
      patient.database_wait = std::max(options_.database_wait, TimeLeft(clock_, deadline));
      MigrationRun run{patient, clock_};
      for (;;) {
        SchemaCheck check = Summarize(options_.migrations, run.ReadLedger());
        const auto left = TimeLeft(clock_, deadline);
        if (check.standing != Standing::kPending || run.stopping() || left.count() == 0) return check;
        run.session().Pause(std::min(kLedgerPause, left));
      }
    } catch (const Error& error) {
      if (error.code != Code::kUnavailable || TimeLeft(clock_, deadline).count() == 0) throw;
    }
  }
}

std::vector<MigrationStep> Migrator::Up() {
  MigrationRun run{options_, clock_};
  if (!run.Lock()) return {};
  return RunForward(run, options_.migrations, HeadOf(options_.migrations));
}

std::vector<MigrationStep> Migrator::UpTo(std::uint32_t number) {
  RequireNumber(options_.migrations, number, 0);
  MigrationRun run{options_, clock_};
  if (!run.Lock()) return {};
  return RunForward(run, options_.migrations, number);
}

std::vector<MigrationStep> Migrator::Down(std::uint32_t count) {
  MigrationRun run{options_, clock_};
  if (!run.Lock()) return {};
  const Ledger ledger = run.ReadLedger();
  const std::size_t kept = ledger.size() - std::min<std::size_t>(count, ledger.size());
  return RunBack(run, options_.migrations, kept == 0 ? 0 : ledger[kept - 1].number);
}

std::vector<MigrationStep> Migrator::DownTo(std::uint32_t number) {
  RequireNumber(options_.migrations, number, 0);
  MigrationRun run{options_, clock_};
  if (!run.Lock()) return {};
  return RunBack(run, options_.migrations, number);
}

std::vector<MigrationStep> Migrator::Redo() {
  MigrationRun run{options_, clock_};
  if (!run.Lock()) return {};
  const Ledger ledger = run.ReadLedger();
  if (ledger.empty()) Reject("nothing is applied yet");
  const std::int64_t newest = ledger.back().number;
  std::vector<MigrationStep> steps = RunBack(run, options_.migrations, newest - 1);
  if (run.stopping()) return steps;
  for (MigrationStep& step : RunForward(run, options_.migrations, newest)) steps.push_back(std::move(step));
  return steps;
}

std::vector<MigrationStep> Migrator::Baseline(std::uint32_t number) {
  RequireNumber(options_.migrations, number, 1);
  MigrationRun run{options_, clock_};
  if (!run.Lock()) return {};
  if (!run.ReadLedger().empty())
    Reject("the ledger has entries already; a baseline is for a database without");
  std::vector<MigrationStep> steps;
  run.session().Execute("BEGIN");
  run.EnsureLedger();
  for (const Migration& file : options_.migrations.first(number)) {
    run.Record(file, std::chrono::milliseconds{0});
    steps.push_back(
        {.number = file.number, .name = std::string{file.name}, .direction = Direction::kBaseline});
  }
  run.session().Execute("COMMIT");
  return steps;
}

}  // namespace gathering::db
