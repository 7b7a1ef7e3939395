#include "daemon/db/database.h"

#include <algorithm>
#include <chrono>

#include "core/base/log.h"
#include "core/db/queries.h"

namespace gathering {
namespace {

constexpr std::chrono::seconds kCancelTimeout{1};
constexpr std::uint32_t kCancelQueueMax = 256;  // one a pipeline at a time

// One connection, made at the first cancellation.
db::PoolOptions ForCancellations(db::PoolOptions options) {
  options.connections_min = 0;
  options.connections_max = 1;
  options.waiters_max = 0;
  return options;
}

}  // namespace

// The pipelines of one loop.  The lists do not change after Attach, and what is in them is only
// used by the loop's thread, statistics apart.
struct Database::LoopLanes {
  std::vector<std::unique_ptr<PipelineLane>> reads;
  std::vector<std::unique_ptr<PipelineLane>> writes;
  std::size_t next = 0;

  PipelineLane& Next(db::Effect effect) {
    const auto& lanes = effect == db::Effect::kRead ? reads : writes;
    return *lanes[next++ % lanes.size()];
  }
};

thread_local Database::LoopLanes* Database::here_ = nullptr;

Database::Database(const DatabaseConfig& config, const Clock& clock, std::function<void()> on_write)
    : config_(config),
      clock_(clock),
      pool_(config.pool, clock, &statistics_),
      workers_({.name = "db", .threads = config.pool.connections_max, .queue_max = config.pool.waiters_max}),
      connector_(db::ToConnectionOptions(config.pool), clock),
      cancel_pool_(ForCancellations(config.pool), clock),
      canceller_({.name = "cancel", .threads = 1, .queue_max = kCancelQueueMax}),
      cancel_([this](int backend, std::chrono::milliseconds at_least) { CancelOne(backend, at_least); }),
      on_write_(std::move(on_write)) {}

Database::~Database() = default;

void Database::Attach(loop::Loop& loop) {
  auto lanes = std::make_unique<LoopLanes>();
  const PipelineLane::Parts parts{loop, connector_, cancel_, statistics_};
  db::PipelineOptions options = config_.pipeline.lane;
  options.statement_timeout = config_.pool.statement_timeout;
  options.lifetime_max = config_.pool.lifetime_max;
  for (std::uint32_t i = 0; i < config_.pipeline.connections; ++i) {
    options.traffic = db::Traffic::kReads;
    lanes->reads.push_back(std::make_unique<PipelineLane>(options, parts));
    options.traffic = db::Traffic::kWrites;
    lanes->writes.push_back(std::make_unique<PipelineLane>(options, parts));
  }
  here_ = lanes.get();
  loop.AtExit([this] {
    LoopLanes* const mine = std::exchange(here_, nullptr);
    // Closed here, on the loop's thread; destroyed outside of the lock.
    std::unique_ptr<LoopLanes> gone;
    loops_.With([&](auto& loops) {
      const auto found =
          std::find_if(loops.begin(), loops.end(), [&](const auto& one) { return one.get() == mine; });
      gone = std::move(*found);
      loops.erase(found);
    });
  });
  loops_.With([&](auto& loops) { loops.push_back(std::move(lanes)); });
}

db::Rows Database::Execute(const db::Query& query, const db::Params& params, Clock::Steady deadline,
                           db::Costs* costs) {
  if (auto rows = OnLane(query, params, deadline, costs)) return *std::move(rows);
  const db::Mode mode = query.effect == db::Effect::kRead ? db::Mode::kRead : db::Mode::kWrite;
  return Transact(
      mode, [&](db::Tx& tx) { return tx.Execute(query, params); }, deadline, costs);
}

std::optional<db::Rows> Database::OnLane(const db::Query& query, const db::Params& params,
                                         Clock::Steady deadline, db::Costs* costs) {
  const bool rides = here_ != nullptr && query.pace == db::Pace::kQuick && loop::OnFiber() &&
                     config_.pipeline.connections > 0;
  if (!rides) return std::nullopt;
  const Written written{query.effect == db::Effect::kWrite ? &on_write_ : nullptr};
  return here_->Next(query.effect).Execute(query, params, deadline, costs);
}

void Database::CancelOne(int backend, std::chrono::milliseconds at_least) {
  const auto seconds = std::chrono::duration<double>(at_least).count();
  const log::Context* const writes_for = log::Current();
  const bool posted = canceller_.TryPost([this, backend, seconds,
                                          copy = writes_for != nullptr ? *writes_for : log::Context{}] {
    const log::Scope scope{&copy};
    try {
      cancel_pool_.Run(
          db::Mode::kRead, [&](db::Tx& tx) { tx.Run(sql::kBackendCancel, std::int64_t{backend}, seconds); },
          clock_.Now() + kCancelTimeout);
    } catch (const Error& error) {
      log::Warn("a slow statement was not cancelled", {{"backend", backend}, {"cause", error.cause}});
    }
  });
  if (!posted) log::Warn("a slow statement was not cancelled", {{"backend", backend}, {"cause", "busy"}});
}

DatabaseStats Database::Stats() const {
  DatabaseStats stats{.pool = pool_.Stats(), .workers = workers_.Stats(), .lanes = {}, .queries = {}};
  loops_.With([&](const auto& loops) {
    for (std::size_t i = 0; i < loops.size(); ++i) {
      for (const auto* lanes : {&loops[i]->reads, &loops[i]->writes}) {
        for (const auto& lane : *lanes) {
          stats.lanes.push_back({static_cast<std::uint32_t>(i), lane->traffic(), lane->Stats()});
        }
      }
    }
  });
  stats.queries = statistics_.Read();
  return stats;
}

}  // namespace gathering
