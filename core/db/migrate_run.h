#pragma once
// One operation of a Migrator: its session, the runners' lock, the ledger, and the
// running of one file.  Private to core/db/migrate*.cpp.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/db/migrate.h"
#include "core/db/session.h"
#include "core/db/sql_split.h"

namespace gathering::db {

// One row of the ledger, as it is.
struct LedgerRow {
  std::int64_t number = 0;
  std::string name;
  std::string sha256;
  Timestamp applied_at;
  std::int64_t duration_ms = 0;
  std::string state;                             // applied, incomplete, reverting
  std::int64_t statements_done = 0;              // of a file without a transaction; else 0
  std::optional<std::string> statements_sha256;  // of their text

  static void Fields(auto& self, auto& visit) {
    visit("number", self.number);
    visit("name", self.name);
    visit("sha256", self.sha256);
    visit("applied_at", self.applied_at);
    visit("duration_ms", self.duration_ms);
    visit("state", self.state);
    visit("statements_done", self.statements_done);
    visit("statements_sha256", self.statements_sha256);
  }
};

// "0003_circles"
[[nodiscard]] std::string Title(std::int64_t number, std::string_view name);

// The text's first line is not "-- no-transaction".
[[nodiscard]] bool Transactional(std::string_view text);

// The statements of a migration's text.  Throws kInvalid, naming file and line, when one of them
// cannot be part of a migration.
[[nodiscard]] std::vector<SqlStatement> StatementsOf(const Migration& migration, std::string_view text);

// The error of a statement, told with file and line.
[[nodiscard]] Error WithPlace(const SqlError& error, const Migration& migration,
                              const SqlStatement& statement);

[[nodiscard]] SchemaCheck Summarize(std::span<const Migration> known, const std::vector<LedgerRow>& ledger);

// Throws kRejected when running forward from here would build on something else than the files.
void RequireForward(std::span<const Migration> known, const std::vector<LedgerRow>& ledger);

class MigrationRun {
 public:
  // Connects; waits up to `database_wait` for a server that does not answer.
  MigrationRun(const MigratorOptions& options, const Clock& clock);
  ~MigrationRun();  // gives the lock back
  MigrationRun(const MigrationRun&) = delete;
  MigrationRun& operator=(const MigrationRun&) = delete;

  // Takes the runners' lock.  False when `stop` was set meanwhile.  Throws LockBusy after `lock_wait`.
  [[nodiscard]] bool Lock();

  [[nodiscard]] std::vector<LedgerRow> ReadLedger();  // empty without a ledger
  void EnsureLedger();

  // Runs one file and enters it into the ledger; `row` is its row when it was interrupted before.
  MigrationStep RunUp(const Migration& migration, const LedgerRow* row);
  MigrationStep RunDown(const Migration& migration, const LedgerRow* row);
  void Record(const Migration& migration, std::chrono::milliseconds duration);

  // The session's settings, as before any file changed them.
  void ApplySettings();

  [[nodiscard]] Session& session() { return *session_; }
  [[nodiscard]] const std::string& schema() const { return schema_; }
  [[nodiscard]] bool stopping() const { return options_.stop != nullptr && options_.stop->load(); }
  [[nodiscard]] std::chrono::milliseconds Since(Clock::Steady start) const;

  void Tell(MigrationEvent event) const;

 private:
  struct File;  // one file on its way
  void Connect();
  [[nodiscard]] std::chrono::milliseconds Bounded(Clock::Steady deadline,
                                                  std::chrono::milliseconds pause) const;
  void WatchClient();
  void FindPlace();
  MigrationStep Run(File& file);
  void RunWhole(File& file);
  void RunLoose(File& file);
  void RunLooseStatement(File& file, std::size_t index);
  [[nodiscard]] bool DoneBefore(const SqlStatement& statement);
  void DropInvalidIndex(const SqlStatement& statement);
  void Finish(const File& file);
  void Mark(const File& file, std::size_t done);
  void RollBack() noexcept;
  [[nodiscard]] std::string LockHolder();

  const MigratorOptions& options_;
  const Clock& clock_;
  std::unique_ptr<Session> session_;
  std::string schema_;
  bool watches_client_ = false;
  bool has_ledger_ = false;
  bool locked_ = false;
};

}  // namespace gathering::db
