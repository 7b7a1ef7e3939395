#pragma once
// Whatever runs a named statement: a transaction, or a pipeline where each statement stands alone.
//
// Functions of the nouns say with their first parameter what they need:
//
//   AgentDetail Get(db::Executor& db, std::int64_t id);          // one statement, true by itself
//   AgentDetail Create(db::Tx& tx, const NewAgent& input);       // several that hold together
//
// A Tx is an Executor, so the first may be called inside the second and never the other way round.
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/db/params.h"
#include "core/db/query.h"
#include "core/db/row.h"

namespace gathering::db {

class Executor {
 public:
  virtual ~Executor() = default;

  // Runs a prepared statement.  Throws Error: kConflict for a broken unique or exclusion
  // constraint, kRejected for a broken foreign key or check, kTimeout for a statement or
  // lock timeout, kUnavailable for a lost server, kInDoubt for a write that stands alone and whose
  // answer was lost, kInternal for the rest.
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
};

}  // namespace gathering::db
