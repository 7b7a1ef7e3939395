#pragma once
// One transaction.
//
// A Tx exists only inside the callback of Pool::Read or Pool::Write and stays on
// the thread that runs it.  It blocks: never use one on an event loop.
#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/db/costs.h"
#include "core/db/executor.h"

namespace gathering::db {

// What a transaction is at, for others to look at: the name of its statement, or "begun" or "commit".  Null:
// not even begun.  What it points to lives as long as the program.
using Stage = std::atomic<const std::string_view*>;

class Tx : public Executor {
 public:
  // Runs after the commit is known to have happened, in the order of the calls; never
  // after a rollback, and never when the commit is in doubt.  Must not throw.
  void AfterCommit(std::function<void()> action) { after_commit_.push_back(std::move(action)); }

  // Says in `stage`, which outlives this, what it is at from now on.
  void TellIn(Stage& stage) {
    stage_ = &stage;
    Tell(kBegun);
  }

  // Run so far, without BEGIN and COMMIT.
  [[nodiscard]] std::uint32_t statements() const { return statements_; }

  // Tells `costs` of every statement from here on; it outlives the transaction.
  void NoteIn(Costs* costs) { costs_ = costs; }

 protected:
  static constexpr std::string_view kBegun = "begun";
  static constexpr std::string_view kCommit = "commit";

  void Tell(const std::string_view& at) const {
    if (stage_ != nullptr) stage_->store(&at, std::memory_order_relaxed);
  }

  Costs* costs_ = nullptr;
  std::uint32_t statements_ = 0;
  std::vector<std::function<void()>> after_commit_;

 private:
  Stage* stage_ = nullptr;
};

}  // namespace gathering::db
