#pragma once
// A pipeline on an event loop: what its Owner must do, done with the loop's epoll, timers and turns.
//
// Everything gathered in one turn of the loop leaves at its end in one batch.  Belongs to the
// loop's thread, Stats apart.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/base/guarded.h"
#include "core/db/costs.h"
#include "core/db/pipeline.h"
#include "daemon/db/connector.h"
#include "daemon/loop/loop.h"

namespace gathering {

// Asks the server to cancel what a backend does, as db::Pipeline::Owner::Cancel says.  From any thread.
using CancelBackend = std::function<void(int backend, std::chrono::milliseconds at_least)>;

class PipelineLane final : private db::Pipeline::Owner,
                           private loop::Watcher,
                           private loop::Timer,
                           private loop::TurnEnd {
 public:
  struct Parts {
    loop::Loop& loop;
    Connector& connector;
    const CancelBackend& cancel;
    db::QueryStatistics& statistics;
  };

  PipelineLane(db::PipelineOptions options, const Parts& parts);
  ~PipelineLane() override;

  // Runs one statement while the calling fiber sleeps.  None: it is too slow for a pipeline and did
  // nothing, run it in a transaction.  Throws as db::Executor::Execute does, and kTimeout when `deadline`
  // passes first; kInDoubt when a write had been sent by then.  `costs`, if given, is told what it took.
  [[nodiscard]] std::optional<db::Rows> Execute(const db::Query& query, const db::Params& params,
                                                Clock::Steady deadline, db::Costs* costs);

  [[nodiscard]] db::Traffic traffic() const { return traffic_; }
  [[nodiscard]] db::PipelineStats Stats() const { return pipeline_.Stats(); }

 private:
  class Waiting;

  std::optional<Error> Away() override { return connector_.Away(); }
  void ConnectWanted() override;
  void Watch(int descriptor, bool output) override;
  void Unwatch(int descriptor) override { loop_.Unwatch(descriptor); }
  void FlushWanted() override;
  void Cancel(int backend, std::chrono::milliseconds at_least) override { cancel_(backend, at_least); }

  void OnEvents(std::uint32_t events) override;
  void OnTurnEnd() override;
  void OnDeadline() override;

  const db::Traffic traffic_;
  loop::Loop& loop_;
  Connector& connector_;
  const CancelBackend& cancel_;
  db::Pipeline pipeline_;
  bool checking_ = false;
  // Where the connector's thread finds us; empty when we are gone.
  const std::shared_ptr<Guarded<PipelineLane*>> door_;
};

}  // namespace gathering
