#include "daemon/api/health_database.h"

#include "daemon/api/number.h"
#include "daemon/http/api.h"

namespace gathering::http {
namespace {

double Mean(std::uint64_t sum, std::uint64_t count) {
  return count == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(count);
}

double Millis(std::uint64_t micros) {
  return static_cast<double>(micros) / kMicrosPerMilli;
}

PoolReport ReportPool(const DatabaseStats& stats) {
  const db::PoolStats& pool = stats.pool;
  return {.connections = pool.connections,
          .idle = pool.idle,
          .in_use = pool.in_use,
          .waiting = pool.waiting,
          .acquired = Number(pool.acquired),
          .acquire_timeouts = Number(pool.acquire_timeouts),
          .refused = Number(pool.refused),
          .connects = Number(pool.connects),
          .connect_failures = Number(pool.connect_failures),
          .lost = Number(pool.lost),
          .retired = Number(pool.retired),
          .retries = Number(pool.retries),
          .waited_seconds = std::chrono::duration<double>(pool.waited).count(),
          .workers = stats.workers.threads,
          .workers_busy = stats.workers.running,
          .jobs_waiting = stats.workers.waiting,
          .jobs_refused = Number(stats.workers.refused)};
}

PipelineReport ReportPipeline(const LaneStats& lane) {
  const db::PipelineStats& pipeline = lane.pipeline;
  return {.loop = lane.loop,
          .traffic = lane.traffic == db::Traffic::kReads ? "reads" : "writes",
          .connected = pipeline.connected,
          .queued = pipeline.queued,
          .in_flight = pipeline.in_flight,
          .statements = Number(pipeline.statements),
          .failed = Number(pipeline.failed),
          .refused = Number(pipeline.refused),
          .expired = Number(pipeline.expired),
          .given_up = Number(pipeline.given_up),
          .moved = Number(pipeline.moved),
          .cancels = Number(pipeline.cancels),
          .resent = Number(pipeline.resent),
          .in_doubt = Number(pipeline.in_doubt),
          .connects = Number(pipeline.connects),
          .connect_failures = Number(pipeline.connect_failures),
          .lost = Number(pipeline.lost),
          .retired = Number(pipeline.retired),
          .syncs = Number(pipeline.syncs),
          .batches = Number(pipeline.batches),
          .batch_max = Number(pipeline.batch_max),
          .batch_sizes = {pipeline.batch_sizes.begin(), pipeline.batch_sizes.end()}};
}

StatementReport ReportStatement(const db::QueryCost& cost) {
  return {.name = std::string{cost.query->name},
          .count = Number(cost.count),
          .failed = Number(cost.failed),
          .wait_ms_mean = Mean(cost.wait_micros, cost.count) / kMicrosPerMilli,
          .run_ms_mean = Mean(cost.run_micros, cost.count) / kMicrosPerMilli,
          .run_ms_p50 = Millis(cost.RunMicrosAt(0.5)),
          .run_ms_p99 = Millis(cost.RunMicrosAt(0.99)),
          .run_ms_max = Millis(cost.run_micros_max)};
}

RouteReport ReportRoute(const RouteCost& cost) {
  return {.route = std::string{cost.route->id},
          .requests = Number(cost.requests),
          .db_queries_per_request = Mean(cost.statements, cost.requests),
          .statements_max = Number(cost.statements_max),
          .budget = cost.route->statements.max,
          .over_budget = Number(cost.over_budget)};
}

}  // namespace

DatabaseReport ReportDatabase(Call& call) {
  const DatabaseStats stats = call.services().database.Stats();
  DatabaseReport report{.pool = ReportPool(stats), .pipelines = {}, .statements = {}, .routes = {}};
  for (const LaneStats& lane : stats.lanes) report.pipelines.push_back(ReportPipeline(lane));
  for (const db::QueryCost& cost : stats.queries) report.statements.push_back(ReportStatement(cost));
  for (const RouteCost& cost : call.services().api.route_statistics().Read())
    report.routes.push_back(ReportRoute(cost));
  return report;
}

}  // namespace gathering::http
