#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include "core/config/config.h"
#include "daemon/api/metrics_families.h"

namespace gathering::http {
namespace {

using metrics::Exposition;
using metrics::Kind;

constexpr Column<db::PoolStats, std::uint32_t> kPoolGauges[] = {
    {{Kind::kGauge, "gathering_db_pool_connections", "Connections of the pool"}, &db::PoolStats::connections},
    {{Kind::kGauge, "gathering_db_pool_connections_idle", "Connections nobody uses"}, &db::PoolStats::idle},
    {{Kind::kGauge, "gathering_db_pool_connections_in_use", "Connections in a transaction"},
     &db::PoolStats::in_use},
    {{Kind::kGauge, "gathering_db_pool_waiting", "Transactions that wait for a connection"},
     &db::PoolStats::waiting},
};

constexpr Column<db::PoolStats, std::uint64_t> kPoolCounters[] = {
    {{Kind::kCounter, "gathering_db_pool_acquired_total", "Connections handed out"},
     &db::PoolStats::acquired},
    {{Kind::kCounter, "gathering_db_pool_acquire_timeouts_total",
      "Transactions that waited too long for a connection"},
     &db::PoolStats::acquire_timeouts},
    {{Kind::kCounter, "gathering_db_pool_refused_total", "Transactions refused because too many waited"},
     &db::PoolStats::refused},
    {{Kind::kCounter, "gathering_db_pool_connects_total", "Connections made"}, &db::PoolStats::connects},
    {{Kind::kCounter, "gathering_db_pool_connect_failures_total", "Connections that could not be made"},
     &db::PoolStats::connect_failures},
    {{Kind::kCounter, "gathering_db_pool_connections_lost_total", "Connections found broken"},
     &db::PoolStats::lost},
    {{Kind::kCounter, "gathering_db_pool_connections_retired_total", "Connections closed by age or idleness"},
     &db::PoolStats::retired},
    {{Kind::kCounter, "gathering_db_pool_retries_total",
      "Transactions run again after a conflict or a lost connection"},
     &db::PoolStats::retries},
};

constexpr Column<WorkerPoolStats, std::uint32_t> kWorkerGauges[] = {
    {{Kind::kGauge, "gathering_db_workers", "Threads that run transactions"}, &WorkerPoolStats::threads},
    {{Kind::kGauge, "gathering_db_workers_busy", "Of these, those that do"}, &WorkerPoolStats::running},
    {{Kind::kGauge, "gathering_db_jobs_waiting", "Transactions that wait for a thread"},
     &WorkerPoolStats::waiting},
};

constexpr Column<db::PipelineStats, std::uint32_t> kPipelineGauges[] = {
    {{Kind::kGauge, "gathering_db_pipeline_queued", "Statements not sent yet"}, &db::PipelineStats::queued},
    {{Kind::kGauge, "gathering_db_pipeline_in_flight", "Statements sent and not answered"},
     &db::PipelineStats::in_flight},
};

constexpr Column<db::PipelineStats, std::uint64_t> kPipelineCounters[] = {
    {{Kind::kCounter, "gathering_db_pipeline_statements_total", "Statements answered"},
     &db::PipelineStats::statements},
    {{Kind::kCounter, "gathering_db_pipeline_failed_total", "Statements answered with an error"},
     &db::PipelineStats::failed},
    {{Kind::kCounter, "gathering_db_pipeline_refused_total", "Statements refused by a full queue"},
     &db::PipelineStats::refused},
    {{Kind::kCounter, "gathering_db_pipeline_expired_total", "Statements that waited too long to be sent"},
     &db::PipelineStats::expired},
    {{Kind::kCounter, "gathering_db_pipeline_given_up_total", "Statements whose request ran out of time"},
     &db::PipelineStats::given_up},
    {{Kind::kCounter, "gathering_db_pipeline_moved_total",
      "Statements that were too slow for a pipeline and ran in the pool"},
     &db::PipelineStats::moved},
    {{Kind::kCounter, "gathering_db_pipeline_cancels_total", "Statements the server was asked to cancel"},
     &db::PipelineStats::cancels},
    {{Kind::kCounter, "gathering_db_pipeline_resent_total",
      "Statements sent again, after an error before them or on a new connection"},
     &db::PipelineStats::resent},
    {{Kind::kCounter, "gathering_db_pipeline_in_doubt_total", "Writes whose answer was lost"},
     &db::PipelineStats::in_doubt},
    {{Kind::kCounter, "gathering_db_pipeline_connects_total", "Connections made"},
     &db::PipelineStats::connects},
    {{Kind::kCounter, "gathering_db_pipeline_connect_failures_total", "Connections that could not be made"},
     &db::PipelineStats::connect_failures},
    {{Kind::kCounter, "gathering_db_pipeline_connections_lost_total", "Connections found broken"},
     &db::PipelineStats::lost},
    {{Kind::kCounter, "gathering_db_pipeline_connections_retired_total", "Connections replaced by age"},
     &db::PipelineStats::retired},
    {{Kind::kCounter, "gathering_db_pipeline_syncs_total", "Ends of transactions sent"},
     &db::PipelineStats::syncs},
    {{Kind::kCounter, "gathering_db_pipeline_batches_total", "Batches of statements sent"},
     &db::PipelineStats::batches},
};

// The pipelines of one loop and kind of traffic, as there may be several.
struct Lanes {
  std::string loop;
  std::string_view traffic;
  std::vector<db::PipelineStats> pipelines = {};
};

std::vector<Lanes> Grouped(const std::vector<LaneStats>& all) {
  std::vector<Lanes> groups;
  for (const LaneStats& lane : all) {
    const std::string loop = std::to_string(lane.loop);
    const std::string_view traffic = lane.traffic == db::Traffic::kReads ? "reads" : "writes";
    const auto same = [&](const Lanes& group) { return group.loop == loop && group.traffic == traffic; };
    auto group = std::ranges::find_if(groups, same);
    if (group == groups.end()) group = groups.insert(group, {.loop = loop, .traffic = traffic});
    group->pipelines.push_back(lane.pipeline);
  }
  return groups;
}

// For each group the sum of what `value` says of its pipelines.
template <class F>
void WriteSums(const metrics::Family& family, const std::vector<Lanes>& groups, Exposition& out, F&& value) {
  out.Begin(family);
  for (const Lanes& group : groups) {
    std::uint64_t sum = 0;
    for (const db::PipelineStats& pipeline : group.pipelines) sum += value(pipeline);
    out.Sample({{"loop", group.loop}, {"traffic", group.traffic}}, sum);
  }
}

void WritePipelines(const std::vector<LaneStats>& lanes, Exposition& out) {
  const std::vector<Lanes> groups = Grouped(lanes);
  WriteSums({Kind::kGauge, "gathering_db_pipeline_connections", "Pipelines that are connected"}, groups, out,
            [](const db::PipelineStats& pipeline) { return pipeline.connected ? 1U : 0U; });
  const auto write = [&](const auto& columns) {
    for (const auto& column : columns) {
      WriteSums(column.family, groups, out,
                [&](const db::PipelineStats& pipeline) { return pipeline.*column.member; });
    }
  };
  write(kPipelineGauges);
  write(kPipelineCounters);
}

// Two classes of the statistics make a bucket: 128 us, 512 us, … 2.1 s are fine enough for a graph.
constexpr std::size_t kClassesPerBucket = 2;
constexpr std::size_t kBuckets = db::kTimeClasses / kClassesPerBucket;

void WriteDurations(const std::vector<db::QueryCost>& queries, Exposition& out) {
  std::array<double, kBuckets> bounds{};
  for (std::size_t i = 0; i < kBuckets; ++i) {
    const std::size_t last_class = (i + 1) * kClassesPerBucket - 1;
    bounds[i] = static_cast<double>(db::kFirstTimeClassMicros << last_class) / kMicrosPerSecond;
  }
  out.Begin({Kind::kHistogram, "gathering_db_statement_duration_seconds",
             "Time from sending a statement to its answer, by its name"});
  for (const db::QueryCost& query : queries) {
    std::array<std::uint64_t, kBuckets + 1> counts{};
    for (std::size_t i = 0; i < db::kTimeClasses; ++i) counts[i / kClassesPerBucket] += query.run_classes[i];
    out.Sample({{"statement", query.query->name}},
               metrics::Distribution{.bounds = bounds,
                                     .counts = counts,
                                     .sum = static_cast<double>(query.run_micros) / kMicrosPerSecond});
  }
}

void WriteStatements(const std::vector<db::QueryCost>& queries, Exposition& out) {
  WriteDurations(queries, out);
  out.Begin({Kind::kCounter, "gathering_db_statement_wait_seconds_total",
             "Time statements waited to be sent, for a connection or in a queue"});
  for (const db::QueryCost& query : queries) {
    out.Sample({{"statement", query.query->name}}, static_cast<double>(query.wait_micros) / kMicrosPerSecond);
  }
  out.Begin({Kind::kCounter, "gathering_db_statement_failures_total", "Statements that failed"});
  for (const db::QueryCost& query : queries) out.Sample({{"statement", query.query->name}}, query.failed);
}

}  // namespace

void WriteDatabaseMetrics(const Services& services, Exposition& out) {
  const DatabaseStats stats = services.database.Stats();
  const DatabaseConfig& config = services.config.database;
  WriteColumns(out, kPoolGauges, stats.pool);
  WriteOne(out, {Kind::kGauge, "gathering_db_pool_max_connections", "Connections the pool may have"},
           config.pool.connections_max);
  WriteOne(out, {Kind::kGauge, "gathering_db_pool_max_waiting", "Transactions that may wait"},
           config.pool.waiters_max);
  WriteColumns(out, kPoolCounters, stats.pool);
  WriteOne(out,
           {Kind::kCounter, "gathering_db_pool_wait_seconds_total",
            "Time transactions waited for a connection, all together"},
           std::chrono::duration<double>(stats.pool.waited).count());
  WriteColumns(out, kWorkerGauges, stats.workers);
  WriteOne(out,
           {Kind::kCounter, "gathering_db_jobs_refused_total",
            "Transactions refused because too many waited for a thread"},
           stats.workers.refused);
  WritePipelines(stats.lanes, out);
  WriteOne(out,
           {Kind::kGauge, "gathering_db_pipeline_max_queued", "Statements that may wait for each pipeline"},
           config.pipeline.lane.queue_max);
  WriteStatements(stats.queries, out);
}

}  // namespace gathering::http
