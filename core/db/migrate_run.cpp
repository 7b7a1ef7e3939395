#include "core/db/migrate_run.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/db/catalog.h"
#include "core/db/queries.h"

namespace gathering::db {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kNoTransactionMark = "-- no-transaction";
constexpr std::int64_t kLockKey = 0x676174686572696e;  // "gatherin"; one runner a database
constexpr milliseconds kPauseMin{25};
constexpr milliseconds kPauseMax{500};

// The statement of a runner that was killed ends soon, and the lock is free again.
constexpr std::string_view kWatchClient = "SET client_connection_check_interval = '1s'";

constexpr std::string_view kCreateLedger = R"(
CREATE TABLE gathering_migrations (
    number            integer PRIMARY KEY,
    name              text NOT NULL,
    sha256            text NOT NULL,
    applied_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    duration_ms       bigint NOT NULL DEFAULT 0,
    state             text NOT NULL DEFAULT 'applied' CHECK (state IN ('applied', 'incomplete', 'reverting')),
    statements_done   integer NOT NULL DEFAULT 0,
    statements_sha256 text
))";

struct Place {
  std::string schema;
  bool has_ledger = false;
  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("has_ledger", self.has_ledger);
  }
};

struct Holder {
  std::int64_t pid = 0;
  std::string client;
  Timestamp since;
  static void Fields(auto& self, auto& visit) {
    visit("pid", self.pid);
    visit("client", self.client);
    visit("since", self.since);
  }
};

// What PostgreSQL answers, before doing anything, to a statement that cannot be inside a transaction.
bool RefusedInTransaction(const SqlError& error) {
  return error.sqlstate == "25001" || error.sqlstate == "2D000";
}

// The name in CREATE [UNIQUE] INDEX CONCURRENTLY [IF NOT EXISTS] name and DROP INDEX CONCURRENTLY
// [IF EXISTS] name, when it is a bare word; else empty.
std::string ConcurrentIndex(const SqlStatement& statement) {
  const auto& words = statement.words;
  auto word = std::find(words.begin(), words.end(), "CONCURRENTLY");
  if (word == words.end() || std::find(words.begin(), word, "INDEX") == word) return {};
  for (const char* skipped : {"CONCURRENTLY", "IF", "NOT", "EXISTS"}) {
    if (word != words.end() && *word == skipped) ++word;
  }
  if (word == words.end() || *word == "ON") return {};
  return Lower(*word);
}

std::size_t LineOf(const SqlStatement& statement, std::size_t position) {
  std::size_t line = statement.line;
  std::size_t characters = 0;
  for (const char c : statement.text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 && ++characters >= position) break;
    if (c == '\n') ++line;
  }
  return line;
}

}  // namespace

// What Run needs to know about the file it runs.
struct MigrationRun::File {
  const Migration& migration;
  Direction direction;
  std::string_view text;
  std::vector<SqlStatement> statements;
  const LedgerRow* row;
  Clock::Steady start;

  std::string_view unfinished_state() const {
    return direction == Direction::kUp ? "incomplete" : "reverting";
  }
  // The text up to and with statement number `count`.
  std::string_view Head(std::size_t count) const {
    if (count == 0) return {};
    const std::string_view last = statements[count - 1].text;
    return text.substr(0, static_cast<std::size_t>(last.data() + last.size() - text.data()));
  }
};

std::string Title(std::int64_t number, std::string_view name) {
  return fmt::format("{:04}_{}", number, name);
}

bool Transactional(std::string_view text) {
  std::string_view line = text.substr(0, text.find('\n'));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  return line != kNoTransactionMark;
}

std::vector<SqlStatement> StatementsOf(const Migration& migration, std::string_view text) {
  std::vector<SqlStatement> statements = SplitSql(text);
  for (const SqlStatement& statement : statements) {
    std::string_view reason;
    for (const char* control :
         {"BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE TRANSACTION"}) {
      if (statement.StartsWith(control)) reason = "a migration may not begin or end a transaction";
    }
    if (statement.StartsWith("ROLLBACK TO")) reason = {};
    if (statement.text.starts_with('\\')) reason = "psql's own commands are not SQL";
    if (reason.empty()) continue;
    throw Error{Code::kInvalid, fmt::format("migration {}, line {}: {}",
                                            Title(migration.number, migration.name), statement.line, reason)};
  }
  return statements;
}

Error WithPlace(const SqlError& error, const Migration& migration, const SqlStatement& statement) {
  const std::size_t line = error.position > 0 ? LineOf(statement, error.position) : statement.line;
  return Error{
      error.code,
      fmt::format("migration {}, line {}: {}", Title(migration.number, migration.name), line, error.text),
      "SQLSTATE " + error.sqlstate};
}

MigrationRun::MigrationRun(const MigratorOptions& options, const Clock& clock)
    : options_(options), clock_(clock) {
  Connect();
  WatchClient();
  ApplySettings();
  FindPlace();
}

MigrationRun::~MigrationRun() {
  if (!locked_) return;
  RollBack();
  try {
    session_->Query(sql::kMigrationUnlock, ToParams(kLockKey));
  } catch (const Error&) {
    // The session is lost, and the lock went with it.
  }
}

void MigrationRun::Connect() {
  const SessionOptions session{.url = options_.url,
                               .application_name = "gathering migrate",
                               .connect_timeout = options_.connect_timeout,
                               .cancel = options_.cancel,
                               .on_notice = [this](std::string_view text) {
                                 Tell({.kind = MigrationEvent::Kind::kNotice, .text = text});
                               }};
  const Clock::Steady deadline = clock_.Now() + options_.database_wait;
  bool told = false;
  for (milliseconds pause = kPauseMin;; pause = std::min(2 * pause, kPauseMax)) {
    try {
      session_ = std::make_unique<Session>(session);
      return;
    } catch (const Error& error) {
      if (error.code != Code::kUnavailable || stopping() || clock_.Now() >= deadline) throw;
      if (!told) Tell({.kind = MigrationEvent::Kind::kWaitingForDatabase, .text = error.cause});
      told = true;
    }
    // A server that is not there has no event to wait for; a signal ends this early.
    poll(nullptr, 0, static_cast<int>(Bounded(deadline, pause).count()));
  }
}

void MigrationRun::WatchClient() {
  try {
    session_->Execute(kWatchClient);
    watches_client_ = true;
  } catch (const SqlError&) {
    // Servers before 14, and those on some systems, cannot: they notice when the statement ends.
  }
}

void MigrationRun::ApplySettings() {
  std::string settings = fmt::format(
      "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; "
      "SET standard_conforming_strings = on; SET lock_timeout = {}; SET statement_timeout = {}; "
      "SET idle_in_transaction_session_timeout = 0",
      options_.lock_timeout.count(), options_.statement_timeout.count());
  if (watches_client_) settings.append("; ").append(kWatchClient);
  if (!options_.schema.empty()) settings += "; SET search_path = " + QuoteIdentifier(options_.schema);
  session_->Execute(settings);
}

void MigrationRun::FindPlace() {
  const auto place = session_->Query(sql::kMigrationPlace).As<Place>(0);
  if (place.schema.empty()) {
    throw Error{Code::kRejected, options_.schema.empty()
                                     ? "none of the schemas in search_path exists"
                                     : fmt::format("the schema {} does not exist", options_.schema)};
  }
  schema_ = place.schema;
  has_ledger_ = place.has_ledger;
}

bool MigrationRun::Lock() {
  const Clock::Steady deadline = clock_.Now() + options_.lock_wait;
  bool told = false;
  for (milliseconds pause = kPauseMin; !stopping(); pause = std::min(2 * pause, kPauseMax)) {
    locked_ = session_->Query(sql::kTryAdvisoryLock, ToParams(kLockKey)).As<bool>(0);
    if (locked_) return true;
    const std::string holder = LockHolder();
    if (clock_.Now() >= deadline) {
      throw LockBusy{Code::kUnavailable, fmt::format("another migration is running{}", holder)};
    }
    if (!told) Tell({.kind = MigrationEvent::Kind::kWaitingForLock, .text = holder});
    told = true;
    session_->Pause(Bounded(deadline, pause));
  }
  return false;
}

std::string MigrationRun::LockHolder() {
  const Rows rows = session_->Query(sql::kMigrationLockHolder, ToParams(kLockKey));
  if (rows.empty()) return {};
  const auto holder = rows.As<Holder>(0);
  return fmt::format(" (server process {}, from {}, connected since {})", holder.pid, holder.client,
                     ToText(holder.since));
}

std::vector<LedgerRow> MigrationRun::ReadLedger() {
  std::vector<LedgerRow> ledger;
  FindPlace();  // another runner may have made it meanwhile
  if (!has_ledger_) return ledger;
  const Rows rows = session_->Query(sql::kMigrationLedger);
  for (std::size_t i = 0; i < rows.size(); ++i) ledger.push_back(rows.As<LedgerRow>(i));
  return ledger;
}

void MigrationRun::EnsureLedger() {
  FindPlace();
  if (has_ledger_) return;
  session_->Execute(kCreateLedger);
  has_ledger_ = true;
}

MigrationStep MigrationRun::RunUp(const Migration& migration, const LedgerRow* row) {
  File file{migration, Direction::kUp, migration.up, StatementsOf(migration, migration.up),
            row,       clock_.Now()};
  return Run(file);
}

MigrationStep MigrationRun::RunDown(const Migration& migration, const LedgerRow* row) {
  File file{migration, Direction::kDown, migration.down, StatementsOf(migration, migration.down),
            row,       clock_.Now()};
  return Run(file);
}

MigrationStep MigrationRun::Run(File& file) {
  MigrationEvent event{.kind = MigrationEvent::Kind::kBegin,
                       .direction = file.direction,
                       .number = file.migration.number,
                       .name = file.migration.name,
                       .statements = file.statements.size()};
  Tell(event);
  if (Transactional(file.text)) {
    RunWhole(file);
  } else {
    RunLoose(file);
  }
  event.kind = MigrationEvent::Kind::kDone;
  event.duration = Since(file.start);
  Tell(event);
  return {.number = file.migration.number,
          .name = std::string{file.migration.name},
          .direction = file.direction,
          .statements = static_cast<std::int64_t>(file.statements.size()),
          .duration_ms = event.duration.count()};
}

void MigrationRun::RunWhole(File& file) {
  session_->Execute("BEGIN");
  for (std::size_t i = 0; i < file.statements.size(); ++i) {
    const SqlStatement& statement = file.statements[i];
    try {
      session_->Execute(statement.text);
    } catch (const SqlError& error) {
      throw WithPlace(error, file.migration, statement);
    }
    Tell({.kind = MigrationEvent::Kind::kStatement,
          .direction = file.direction,
          .number = file.migration.number,
          .name = file.migration.name,
          .statement = i + 1,
          .statements = file.statements.size(),
          .text = statement.text,
          .duration = Since(file.start)});
  }
  ApplySettings();  // the file's own must not lead its ledger row astray
  Finish(file);
  try {
    session_->Execute("COMMIT");
  } catch (const SqlError& error) {
    throw Error{error.code,
                fmt::format("migration {}, at its end: {}", Title(file.migration.number, file.migration.name),
                            error.text),
                error.cause};
  }
}

void MigrationRun::RunLoose(File& file) {
  std::size_t done = 0;
  const bool resumed = file.row != nullptr && file.row->state == file.unfinished_state();
  if (resumed) {
    done = static_cast<std::size_t>(std::max<std::int64_t>(file.row->statements_done, 0));
    const bool fits = done <= file.statements.size() &&
                      session_->Query(sql::kMigrationDigest, ToParams(file.Head(done))).As<std::string>(0) ==
                          file.row->statements_sha256.value_or("");
    if (!fits) {
      throw Error{
          Code::kRejected,
          fmt::format("migration {} was interrupted after {} statements, and these are not the same in this "
                      "binary: finish it with the binary that began it",
                      Title(file.migration.number, file.migration.name), file.row->statements_done)};
    }
  }
  Mark(file, done);
  for (std::size_t i = done; i < file.statements.size(); ++i) {
    // The first one may have happened before its mark was lost.
    if (!(resumed && i == done && DoneBefore(file.statements[i]))) RunLooseStatement(file, i);
    Mark(file, i + 1);
    Tell({.kind = MigrationEvent::Kind::kStatement,
          .direction = file.direction,
          .number = file.migration.number,
          .name = file.migration.name,
          .statement = i + 1,
          .statements = file.statements.size(),
          .text = file.statements[i].text,
          .duration = Since(file.start)});
  }
  ApplySettings();
  Finish(file);
}

// In a transaction together with its mark if PostgreSQL lets it, else alone.
void MigrationRun::RunLooseStatement(File& file, std::size_t index) {
  const SqlStatement& statement = file.statements[index];
  try {
    session_->Execute("BEGIN");
    session_->Execute(statement.text);
    Mark(file, index + 1);
    session_->Execute("COMMIT");
    return;
  } catch (const SqlError& error) {
    RollBack();
    if (!RefusedInTransaction(error)) throw WithPlace(error, file.migration, statement);
  }
  try {
    session_->Execute(statement.text);
  } catch (const SqlError& error) {
    try {
      DropInvalidIndex(statement);
    } catch (const SqlError&) {
      // The next run finds it again.
    }
    throw WithPlace(error, file.migration, statement);
  }
}

bool MigrationRun::DoneBefore(const SqlStatement& statement) {
  const std::string name = ConcurrentIndex(statement);
  if (name.empty()) return false;
  const Rows rows = session_->Query(sql::kMigrationIndex, ToParams(name));
  if (statement.StartsWith("DROP")) return rows.empty();
  if (rows.empty()) return false;
  if (rows.As<bool>(0)) return true;
  DropInvalidIndex(statement);
  return false;
}

// A CREATE INDEX CONCURRENTLY that failed leaves an index that nobody may use and everybody must maintain.
void MigrationRun::DropInvalidIndex(const SqlStatement& statement) {
  const std::string name = ConcurrentIndex(statement);
  if (name.empty() || statement.StartsWith("DROP")) return;
  const Rows rows = session_->Query(sql::kMigrationIndex, ToParams(name));
  if (!rows.empty() && !rows.As<bool>(0)) session_->Execute("DROP INDEX CONCURRENTLY " + name);
}

void MigrationRun::Finish(const File& file) {
  if (file.direction == Direction::kUp) {
    Record(file.migration, Since(file.start));
  } else {
    session_->Query(sql::kMigrationForget, ToParams(file.migration.number));
  }
}

void MigrationRun::Record(const Migration& migration, milliseconds duration) {
  session_->Query(sql::kMigrationRecord,
                  ToParams(migration.number, migration.name, migration.sha256, duration.count()));
}

void MigrationRun::Mark(const File& file, std::size_t done) {
  session_->Query(sql::kMigrationMark,
                  ToParams(file.migration.number, file.migration.name, file.migration.sha256,
                           file.unfinished_state(), done, file.Head(done)));
}

void MigrationRun::RollBack() noexcept {
  try {
    if (session_->in_transaction()) session_->Execute("ROLLBACK");
  } catch (const Error&) {
    // The session is lost; the server rolls back by itself.
  }
}

// The pause, or what is left until the deadline; never nothing.
milliseconds MigrationRun::Bounded(Clock::Steady deadline, milliseconds pause) const {
  return std::clamp(std::chrono::duration_cast<milliseconds>(deadline - clock_.Now()), milliseconds{1},
                    pause);
}

milliseconds MigrationRun::Since(Clock::Steady start) const {
  return std::chrono::duration_cast<milliseconds>(clock_.Now() - start);
}

void MigrationRun::Tell(MigrationEvent event) const {
  if (options_.on_event) options_.on_event(event);
}

}  // namespace gathering::db
