#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/db/migrate_run.h"
#include "core/db/queries.h"

namespace gathering::db {
namespace {

struct Relation {
  std::int64_t relation = 0;
  std::string name;
  std::int64_t file = 0;

  static void Fields(auto& self, auto& visit) {
    visit("relation", self.relation);
    visit("name", self.name);
    visit("file", self.file);
  }
};

struct Lock {
  std::int64_t relation = 0;
  std::string mode;
  auto operator<=>(const Lock&) const = default;

  static void Fields(auto& self, auto& visit) {
    visit("relation", self.relation);
    visit("mode", self.mode);
  }
};

template <class T>
std::vector<T> All(Session& session, const Query& query) {
  const Rows rows = session.Query(query);
  std::vector<T> all;
  all.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) all.push_back(rows.As<T>(i));
  return all;
}

// Watches what the open transaction holds and what it writes anew.
class Observer {
 public:
  explicit Observer(Session& session) : session_(session) {
    for (const Relation& relation : All<Relation>(session_, sql::kMigrationRelations)) {
      known_[relation.relation] = relation;
      before_.insert(relation.relation);
    }
  }

  // Adds to `statement` what is new since the last call.
  void Note(DryRunStatement& statement) {
    for (Relation& relation : All<Relation>(session_, sql::kMigrationRelations)) {
      Relation& last = known_[relation.relation];
      const bool rewritten = before_.contains(relation.relation) && relation.file != last.file;
      if (rewritten) statement.rewritten.push_back(relation.name);
      last = std::move(relation);
    }
    for (const Lock& lock : All<Lock>(session_, sql::kMigrationRelationLocks)) {
      const auto relation = known_.find(lock.relation);
      if (relation == known_.end() || !held_.insert(lock).second)
        continue;  // the system's own, or held before
      statement.locks.push_back({.relation = relation->second.name,
                                 .mode = lock.mode,
                                 .created_here = !before_.contains(lock.relation)});
    }
  }

 private:
  Session& session_;
  std::map<std::int64_t, Relation> known_;  // also those dropped meanwhile: their names are still wanted
  std::set<std::int64_t> before_;
  std::set<Lock> held_;
};

DryRunFile RunFile(MigrationRun& run, const Migration& file, Observer& observer, const Clock& clock) {
  DryRunFile report{
      .number = file.number, .name = std::string{file.name}, .runnable = Transactional(file.up)};
  for (const SqlStatement& statement : StatementsOf(file, file.up)) {
    DryRunStatement& entry = report.statements.emplace_back();
    entry.line = static_cast<std::int64_t>(statement.line);
    entry.text = statement.text;
    if (!report.runnable) continue;
    const Clock::Steady start = clock.Now();
    try {
      run.session().Execute(statement.text);
    } catch (const SqlError& error) {
      throw WithPlace(error, file, statement);
    }
    entry.duration_ms = run.Since(start).count();
    observer.Note(entry);
  }
  run.ApplySettings();
  return report;
}

}  // namespace

std::vector<DryRunFile> Migrator::DryRun(std::optional<std::uint32_t> number) {
  MigrationRun run{options_, clock_};
  if (!run.Lock()) return {};
  const std::vector<LedgerRow> ledger = run.ReadLedger();
  RequireForward(options_.migrations, ledger);
  std::set<std::int64_t> applied;
  for (const LedgerRow& row : ledger) applied.insert(row.number);

  std::vector<DryRunFile> files;
  run.session().Execute("BEGIN");
  Observer observer{run.session()};
  for (const Migration& file : options_.migrations) {
    if (run.stopping() || (number && file.number > *number)) break;
    if (!applied.contains(file.number)) files.push_back(RunFile(run, file, observer, clock_));
  }
  run.session().Execute("ROLLBACK");
  return files;
}

}  // namespace gathering::db
