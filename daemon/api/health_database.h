#pragma once
// GET /health/database: what the daemon's ways to PostgreSQL are at, for operators.
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/http/call.h"

namespace gathering::http {

struct PoolReport {
  std::int64_t connections = 0;
  std::int64_t idle = 0;
  std::int64_t in_use = 0;
  std::int64_t waiting = 0;
  std::int64_t acquired = 0;
  std::int64_t acquire_timeouts = 0;
  std::int64_t refused = 0;
  std::int64_t connects = 0;
  std::int64_t connect_failures = 0;
  std::int64_t lost = 0;
  std::int64_t retired = 0;
  std::int64_t retries = 0;
  double waited_seconds = 0;
  std::int64_t workers = 0;
  std::int64_t workers_busy = 0;
  std::int64_t jobs_waiting = 0;
  std::int64_t jobs_refused = 0;

  static void Fields(auto& self, auto& visit) {
    visit("connections", self.connections);
    visit("idle", self.idle);
    visit("in_use", self.in_use);
    visit("waiting", self.waiting, {.doc = "Workers that wait for a connection"});
    visit("acquired", self.acquired,
          {.doc = "Connections handed out since the start; counts below likewise"});
    visit("acquire_timeouts", self.acquire_timeouts);
    visit("refused", self.refused, {.doc = "Beyond database.pool.waiters_max"});
    visit("connects", self.connects);
    visit("connect_failures", self.connect_failures);
    visit("lost", self.lost, {.doc = "Connections found broken"});
    visit("retired", self.retired, {.doc = "Connections closed by age or idleness"});
    visit("retries", self.retries, {.doc = "Transactions run again after a conflict or a lost connection"});
    visit("waited_seconds", self.waited_seconds, {.doc = "By all who waited for a connection together"});
    visit("workers", self.workers, {.doc = "Threads that run transactions"});
    visit("workers_busy", self.workers_busy);
    visit("jobs_waiting", self.jobs_waiting, {.doc = "Transactions that wait for a worker"});
    visit("jobs_refused", self.jobs_refused);
  }
};

struct PipelineReport {
  std::int64_t loop = 0;
  std::string traffic;
  bool connected = false;
  std::int64_t queued = 0;
  std::int64_t in_flight = 0;
  std::int64_t statements = 0;
  std::int64_t failed = 0;
  std::int64_t refused = 0;
  std::int64_t expired = 0;
  std::int64_t given_up = 0;
  std::int64_t moved = 0;
  std::int64_t cancels = 0;
  std::int64_t resent = 0;
  std::int64_t in_doubt = 0;
  std::int64_t connects = 0;
  std::int64_t connect_failures = 0;
  std::int64_t lost = 0;
  std::int64_t retired = 0;
  std::int64_t syncs = 0;
  std::int64_t batches = 0;
  std::int64_t batch_max = 0;
  std::vector<std::int64_t> batch_sizes;

  static void Fields(auto& self, auto& visit) {
    visit("loop", self.loop);
    visit("traffic", self.traffic, {.doc = "reads or writes"});
    visit("connected", self.connected);
    visit("queued", self.queued, {.doc = "Statements not sent yet"});
    visit("in_flight", self.in_flight, {.doc = "Statements sent and not answered"});
    visit("statements", self.statements, {.doc = "Answered since the start; counts below likewise"});
    visit("failed", self.failed, {.doc = "Answered with an error"});
    visit("refused", self.refused, {.doc = "Beyond database.pipeline.queue_max"});
    visit("expired", self.expired, {.doc = "Not sent within database.pipeline.queue_timeout"});
    visit("given_up", self.given_up, {.doc = "Whose request ran out of time"});
    visit("moved", self.moved, {.doc = "Too slow for a pipeline, or in a deadlock: run in the pool instead"});
    visit("cancels", self.cancels, {.doc = "Asked of the server"});
    visit("resent", self.resent);
    visit("in_doubt", self.in_doubt, {.doc = "Writes whose answer was lost"});
    visit("connects", self.connects);
    visit("connect_failures", self.connect_failures);
    visit("lost", self.lost, {.doc = "Connections"});
    visit("retired", self.retired, {.doc = "Connections replaced by age"});
    visit("syncs", self.syncs);
    visit("batches", self.batches, {.doc = "Writes to the connection"});
    visit("batch_max", self.batch_max, {.doc = "Most statements in one batch"});
    visit("batch_sizes", self.batch_sizes,
          {.doc = "Batches of one statement, of two, of up to four, eight, ..., and above"});
  }
};

struct StatementReport {
  std::string name;
  std::int64_t count = 0;
  std::int64_t failed = 0;
  double wait_ms_mean = 0;
  double run_ms_mean = 0;
  double run_ms_p50 = 0;
  double run_ms_p99 = 0;
  double run_ms_max = 0;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("count", self.count);
    visit("failed", self.failed);
    visit("wait_ms_mean", self.wait_ms_mean, {.doc = "In the queue of a pipeline"});
    visit("run_ms_mean", self.run_ms_mean, {.doc = "From sending to answer"});
    visit("run_ms_p50", self.run_ms_p50, {.doc = "The upper end of its class; the classes double"});
    visit("run_ms_p99", self.run_ms_p99);
    visit("run_ms_max", self.run_ms_max);
  }
};

struct RouteReport {
  std::string route;
  std::int64_t requests = 0;
  double db_queries_per_request = 0;
  std::int64_t statements_max = 0;
  std::optional<std::int64_t> budget;
  std::int64_t over_budget = 0;

  static void Fields(auto& self, auto& visit) {
    visit("route", self.route);
    visit("requests", self.requests);
    visit("db_queries_per_request", self.db_queries_per_request, {.doc = "Without asking about the token"});
    visit("statements_max", self.statements_max, {.doc = "Of one request so far"});
    visit("budget", self.budget, {.doc = "What one request may need; null: it grows with what it changes"});
    visit("over_budget", self.over_budget, {.doc = "Requests that needed more"});
  }
};

struct DatabaseReport {
  PoolReport pool;
  std::vector<PipelineReport> pipelines;
  std::vector<StatementReport> statements;
  std::vector<RouteReport> routes;

  static void Fields(auto& self, auto& visit) {
    visit("pool", self.pool, {.required = true});
    visit("pipelines", self.pipelines, {.required = true});
    visit("statements", self.statements, {.required = true});
    visit("routes", self.routes, {.required = true});
  }
};

DatabaseReport ReportDatabase(Call& call);

}  // namespace gathering::http
