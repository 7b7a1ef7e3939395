#pragma once
// One transaction.
//
// A Tx exists only inside the callback of Pool::Read or Pool::Write and stays on
// the thread that runs it.  It blocks: never use one on an event loop.
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "core/db/costs.h"
#include "core/db/executor.h"

namespace gathering::db {

class Tx : public Executor {
 public:
  // Runs after the commit is known to have happened, in the order of the calls; never
  // after a rollback, and never when the commit is in doubt.  Must not throw.
  void AfterCommit(std::function<void()> action) { after_commit_.push_back(std::move(action)); }

  // Run so far, without BEGIN and COMMIT.
  [[nodiscard]] std::uint32_t statements() const { return statements_; }

  // Tells `costs` of every statement from here on; it outlives the transaction.
  void NoteIn(Costs* costs) { costs_ = costs; }

 protected:
  Costs* costs_ = nullptr;
  std::uint32_t statements_ = 0;
  std::vector<std::function<void()>> after_commit_;
};

}  // namespace gathering::db
