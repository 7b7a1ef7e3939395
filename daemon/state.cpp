#include "daemon/state.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/auth/authority.h"
#include "core/base/log.h"
#include "core/cache/budget.h"
#include "core/cache/registry.h"
#include "core/health/monitor.h"
#include "core/health/process.h"
#include "daemon/answers/answers.h"
#include "daemon/http/server.h"
#include "daemon/lifecycle.h"
#include "daemon/limits/limiter.h"
#include "daemon/streams/feed.h"

namespace gathering {
namespace {

constexpr std::string_view kState = "state";
constexpr std::chrono::seconds kLoopPatience{1};
constexpr std::int64_t kUnknown = -1;

double Millis(std::chrono::duration<double, std::milli> duration) {
  return duration.count();
}

void LogProcess(const http::Services& services) {
  const health::ProcessMetrics process = health::ReadProcess();
  log::Answer(kState, {{"of", "process"},
                       {"version", GATHERING_VERSION},
                       {"uptime_seconds", services.health.UptimeSeconds()},
                       {"stopping", services.lifecycle.draining()},
                       {"memory_bytes", process.resident_memory_bytes.value_or(kUnknown)},
                       {"descriptors", process.open_fds.value_or(kUnknown)},
                       {"descriptors_max", process.max_fds.value_or(kUnknown)},
                       {"threads", process.threads.value_or(kUnknown)},
                       {"log_lines_dropped", log::Dropped()}});
}

void LogRequests(const http::Server& server) {
  const http::ServerStats stats = server.Stats();
  log::Answer(kState, {{"of", "http"},
                       {"connections", stats.connections_open},
                       {"connections_max", stats.connections_max},
                       {"requests_in_progress", stats.requests_in_progress},
                       {"requests", stats.requests},
                       {"refused_busy", stats.requests_refused_busy},
                       {"refused_by_gate", stats.refused_by_gate},
                       {"timeouts", stats.timeouts},
                       {"tls_handshakes", stats.handshakes},
                       {"tls_handshakes_failed", stats.handshakes_failed},
                       {"stalls", stats.loop_stalls}});
  std::vector<std::pair<std::size_t, http::RequestInProgress>> requests;  // and their loops
  const auto loops = server.Look(kRequestsTold, kLoopPatience);
  for (std::size_t i = 0; i < loops.size(); ++i) {
    if (!loops[i].turns) log::Answer("state: a loop does not turn", {{"of", "loop"}, {"loop", i}});
    for (const http::RequestInProgress& one : loops[i].oldest) requests.emplace_back(i, one);
  }
  std::ranges::stable_sort(requests, std::greater{}, [](const auto& one) { return one.second.age; });
  if (requests.size() > kRequestsTold) requests.resize(kRequestsTold);
  for (const auto& [loop, request] : requests) {
    log::Answer(kState, {{"of", "request"},
                         {"route", request.route},
                         {"method", request.method},
                         {"age_ms", Millis(request.age)},
                         {"waits_for", request.waits_for},
                         {"request_id", request.request_id},
                         {"client", request.client},
                         {"loop", loop}});
  }
}

void LogPipelines(const DatabaseStats& stats) {
  for (const db::Traffic traffic : {db::Traffic::kReads, db::Traffic::kWrites}) {
    std::int64_t connections = 0;
    std::int64_t connected = 0;
    std::int64_t queued = 0;
    std::int64_t in_flight = 0;
    for (const LaneStats& lane : stats.lanes) {
      if (lane.traffic != traffic) continue;
      ++connections;
      connected += lane.pipeline.connected ? 1 : 0;
      queued += lane.pipeline.queued;
      in_flight += lane.pipeline.in_flight;
    }
    log::Answer(kState, {{"of", "pipelines"},
                         {"traffic", traffic == db::Traffic::kReads ? "reads" : "writes"},
                         {"connections", connections},
                         {"connected", connected},
                         {"queued", queued},
                         {"in_flight", in_flight}});
  }
}

void LogWorkers(std::string_view name, const WorkerPoolStats& stats) {
  log::Answer(kState, {{"of", "workers"},
                       {"pool", name},
                       {"threads", stats.threads},
                       {"running", stats.running},
                       {"waiting", stats.waiting},
                       {"refused", stats.refused}});
}

void LogDatabase(const DatabaseStats& stats) {
  log::Answer(kState, {{"of", "pool"},
                       {"connections", stats.pool.connections},
                       {"in_use", stats.pool.in_use},
                       {"idle", stats.pool.idle},
                       {"waiting", stats.pool.waiting},
                       {"refused", stats.pool.refused},
                       {"connect_failures", stats.pool.connect_failures}});
  LogWorkers("db", stats.workers);
  LogPipelines(stats);
}

void LogEvents(const streams::FeedStats& stats) {
  log::Answer(kState, {{"of", "events"},
                       {"connected", stats.log.connected},
                       {"position", stats.log.position.value_or(kUnknown)},
                       {"newest", stats.log.newest},
                       {"calls_running", stats.bus.running},
                       {"publishers_waiting", stats.bus.publishers_waiting},
                       {"streams", stats.hub.listeners},
                       {"overruns", stats.hub.overruns}});
  for (const events::SubscriptionStats& one : stats.bus.subscriptions) {
    log::Answer(kState, {{"of", "subscription"},
                         {"name", one.name},
                         {"queued", one.queued},
                         {"queue_events_max", one.queue_events_max},
                         {"running", one.running},
                         {"stuck", one.stuck},
                         {"lag_ms", Millis(one.lag)}});
  }
}

void LogCaches(const http::Services& services) {
  const cache::BudgetStats budget = services.budget.Stats();
  log::Answer(kState, {{"of", "caches"},
                       {"current", services.answers.current()},
                       {"budget_bytes", budget.bytes_max},
                       {"part", budget.part}});
  for (const cache::Snapshot& one : services.caches.Look()) {
    log::Answer(kState, {{"of", "cache"},
                         {"name", one.name},
                         {"entries", one.entries},
                         {"entries_max", one.bounds.entries_max},
                         {"bytes", one.bytes},
                         {"bytes_max", one.bounds.bytes_max},
                         {"hits", one.statistics.hits},
                         {"misses", one.statistics.misses}});
  }
}

void LogLimits(const Limiter& limiter) {
  const LimiterStats stats = limiter.Stats();
  const auto asks_redis = [](const limits::RedisLimiterStats& lane) {
    return lane.breaker == limits::BreakerState::kClosed;
  };
  log::Answer(kState, {{"of", "rate_limits"},
                       {"enabled", limiter.policy()->enabled()},
                       {"clients", stats.store.keys},
                       {"clients_max", stats.store.keys_max},
                       {"accounts_waiting", stats.lockout.waiting},
                       {"redis_lanes", stats.lanes.size()},
                       {"redis_lanes_in_use", std::ranges::count_if(stats.lanes, asks_redis)}});
}

}  // namespace

void LogState(const http::Services& services) {
  LogProcess(services);
  LogRequests(services.server);
  LogDatabase(services.database.Stats());
  LogWorkers(services.file_workers.name(), services.file_workers.Stats());
  LogWorkers(services.authority.hashing().name(), services.authority.hashing().Stats());
  LogEvents(services.feed.Stats());
  LogCaches(services);
  LogLimits(services.limiter);
}

}  // namespace gathering
