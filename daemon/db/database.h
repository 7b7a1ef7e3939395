#pragma once
// The daemon's way to PostgreSQL.
//
// A quick statement that stands alone rides a pipeline of the loop it comes from, reads and writes
// on connections of their own, so that a write waiting for a lock holds no read up.  Everything else
// (several statements that hold together, statements slow by nature, and those that turned out too
// slow for a pipeline) runs in a transaction of the pool, on a worker thread, while the fiber
// sleeps.  Either way the caller's deadline bounds it and every bound that is full answers
// kUnavailable at once.
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/guarded.h"
#include "core/base/worker_pool.h"
#include "core/config/config.h"
#include "core/db/costs.h"
#include "core/db/pool.h"
#include "core/db/statistics.h"
#include "daemon/db/connector.h"
#include "daemon/db/pipeline_lane.h"
#include "daemon/loop/fiber.h"

namespace gathering {

// One pipeline as an operator sees it.
struct LaneStats {
  std::uint32_t loop = 0;
  db::Traffic traffic = db::Traffic::kReads;
  db::PipelineStats pipeline;
};

struct DatabaseStats {
  db::PoolStats pool;
  WorkerPoolStats workers;
  std::vector<LaneStats> lanes;
  std::vector<db::QueryCost> queries;
};

class Database {
 public:
  // `on_write`, if given, is called after each write that was committed, on whatever thread.
  Database(const DatabaseConfig& config, const Clock& clock, std::function<void()> on_write = {});
  ~Database();  // the loops have ended
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Gives a loop its pipelines, until it ends.  On its thread, before its first statement.
  void Attach(loop::Loop& loop);

  // One statement by itself, while the calling fiber sleeps; off a fiber it blocks.  Throws as
  // db::Executor::Execute does.  `costs`, if given, is told what it took, here and in Transact.
  [[nodiscard]] db::Rows Execute(const db::Query& query, const db::Params& params, Clock::Steady deadline,
                                 db::Costs* costs = nullptr);

  // `work(db::Tx&)` in a transaction, as db::Pool::Run, while the calling fiber sleeps.
  template <class F>
  auto Transact(db::Mode mode, F&& work, Clock::Steady deadline, db::Costs* costs = nullptr) {
    const Written written{mode == db::Mode::kWrite ? &on_write_ : nullptr};
    Meter meter{clock_, costs};
    db::Stage stage{nullptr};
    const auto observed = [&](db::Tx& tx) {
      meter.Begin(tx);
      tx.TellIn(stage);
      return work(tx);
    };
    return loop::RunOn(workers_, deadline, {.what = "transaction", .at = &stage},
                       [&] { return pool_.Run(mode, observed, deadline); });
  }

  [[nodiscard]] db::Pool& pool() { return pool_; }

  // From any thread.
  [[nodiscard]] DatabaseStats Stats() const;

 private:
  struct LoopLanes;

  // Tells of a write when it is over, unless it failed.
  struct Written {
    const std::function<void()>* tell;
    int exceptions = std::uncaught_exceptions();
    ~Written() {
      if (tell != nullptr && *tell && std::uncaught_exceptions() == exceptions) (*tell)();
    }
  };

  // Measures a transaction, however often it is run and however it ends: up to its first begin it waited.
  class Meter {
   public:
    Meter(const Clock& clock, db::Costs* costs) : clock_(clock), costs_(costs) {
      if (costs_ != nullptr) since_ = clock_.Now();
    }
    ~Meter() {
      if (costs_ == nullptr) return;
      const auto passed = clock_.Now() - since_;
      begun_ ? costs_->AddBusy(passed) : costs_->AddWait(passed);
    }
    Meter(const Meter&) = delete;
    Meter& operator=(const Meter&) = delete;

    void Begin(db::Tx& tx) {
      tx.NoteIn(costs_);
      if (costs_ == nullptr || std::exchange(begun_, true)) return;
      const auto now = clock_.Now();
      costs_->AddWait(now - std::exchange(since_, now));
    }

   private:
    const Clock& clock_;
    db::Costs* const costs_;
    Clock::Steady since_{};
    bool begun_ = false;
  };

  [[nodiscard]] std::optional<db::Rows> OnLane(const db::Query& query, const db::Params& params,
                                               Clock::Steady deadline, db::Costs* costs);
  void CancelOne(int backend, std::chrono::milliseconds at_least);

  static thread_local LoopLanes* here_;  // of this thread's loop

  const DatabaseConfig& config_;
  const Clock& clock_;
  db::QueryStatistics statistics_;
  db::Pool pool_;
  WorkerPool workers_;
  Connector connector_;
  // Of its own, so that the slow statements that fill the pool are not what their cancellation waits for.
  db::Pool cancel_pool_;
  WorkerPool canceller_;
  const CancelBackend cancel_;
  const std::function<void()> on_write_;
  Guarded<std::vector<std::unique_ptr<LoopLanes>>> loops_;
};

}  // namespace gathering
