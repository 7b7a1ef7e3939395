#pragma once
// One transaction.  Functions of the nouns take it first and return values.
//
//   std::optional<Agent> Find(db::Tx& tx, std::int64_t id) { return tx.Maybe<Agent>(sql::kAgentById, id); }
//
// A Tx exists only inside the callback of Pool::Read or Pool::Write and stays on
// the thread that runs it.  It blocks: never use one on an event loop.
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/db/params.h"
#include "core/db/query.h"
#include "core/db/row.h"

namespace gathering::db {

class Tx {
 public:
  virtual ~Tx() = default;

  // Runs a prepared statement.  Throws Error: kConflict for a broken unique or exclusion
  // constraint, kRejected for a broken foreign key or check, kTimeout for a statement or
  // lock timeout, kUnavailable for a lost server, kInternal for the rest.
  virtual Rows Execute(const Query& query, const Params& params) = 0;

  template <class... A>
  Rows Run(const Query& query, const A&... values) {
    return Execute(query, ToParams(values...));
  }
  template <class T, class... A>
  [[nodiscard]] std::vector<T> All(const Query& query, const A&... values) {
    const Rows rows = Run(query, values...);
    std::vector<T> all;
    all.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) all.push_back(rows.As<T>(i));
    return all;
  }
  template <class T, class... A>
  [[nodiscard]] std::optional<T> Maybe(const Query& query, const A&... values) {
    const Rows rows = Run(query, values...);
    if (rows.empty()) return std::nullopt;
    return rows.As<T>(0);
  }
  // For statements that always answer one row.
  template <class T, class... A>
  [[nodiscard]] T One(const Query& query, const A&... values) {
    const Rows rows = Run(query, values...);
    if (rows.size() != 1) {
      throw Error{Code::kInternal, "the database gave an unexpected answer",
                  std::string{query.name} + ": " + std::to_string(rows.size()) + " rows, expected one"};
    }
    return rows.As<T>(0);
  }

  // Runs after the commit is known to have happened, in the order of the calls; never
  // after a rollback, and never when the commit is in doubt.  Must not throw.
  void AfterCommit(std::function<void()> action) { after_commit_.push_back(std::move(action)); }

 protected:
  std::vector<std::function<void()>> after_commit_;
};

}  // namespace gathering::db
