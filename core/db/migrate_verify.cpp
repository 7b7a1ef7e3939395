#include <algorithm>

#include <fmt/format.h>

#include "core/db/catalog.h"
#include "core/db/migrate_run.h"

namespace gathering::db {
namespace {

// Runs a file where nothing must last: in a transaction, whatever its first line says.
void Build(MigrationRun& run, const Migration& file) {
  Session& session = run.session();
  for (const SqlStatement& statement : StatementsOf(file, file.up)) {
    try {
      if (Transactional(file.up)) {
        session.Execute(statement.text);
        continue;
      }
      session.Execute("SAVEPOINT statement");
      session.Execute(WithoutWord(statement.text, "CONCURRENTLY"));
      session.Execute("RELEASE SAVEPOINT statement");
    } catch (const SqlError& error) {
      // VACUUM and the like: they leave nothing in the catalog, and cannot be inside a transaction.
      if (error.sqlstate != "25001") throw WithPlace(error, file, statement);
      session.Execute("ROLLBACK TO SAVEPOINT statement");
    }
  }
}

}  // namespace

std::vector<std::string> Migrator::Verify() {
  MigrationRun run{options_, clock_};
  if (!run.Lock()) return {};
  const std::vector<LedgerRow> ledger = run.ReadLedger();
  std::vector<std::string> lines;
  const SchemaCheck check = Summarize(options_.migrations, ledger);
  if (check.standing == Standing::kNewerThanBinary) throw WrongStanding{check};
  for (const LedgerRow& row : ledger) {
    if (row.state != "applied") {
      lines.push_back(fmt::format("unfinished migration {}", Title(row.number, row.name)));
    }
    const Migration& file = options_.migrations[static_cast<std::size_t>(row.number - 1)];
    if (row.sha256 != file.sha256) {
      lines.push_back(fmt::format("different text of migration {}: {} was applied, this binary has {}",
                                  Title(row.number, row.name), row.sha256, file.sha256));
    }
  }

  Session& session = run.session();
  session.Execute("BEGIN");
  const Catalog live = ReadCatalog(session, run.schema());
  const std::string scratch = fmt::format("gathering_verify_{}", session.backend_pid());
  session.Execute("CREATE SCHEMA " + scratch);
  for (const LedgerRow& row : ledger) {
    run.ApplySettings();
    SetSearchPath(session, scratch);
    Build(run, options_.migrations[static_cast<std::size_t>(row.number - 1)]);
  }
  const Catalog built = ReadCatalog(session, scratch);
  session.Execute("ROLLBACK");
  for (std::string& line : CompareCatalogs(built, live)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace gathering::db
