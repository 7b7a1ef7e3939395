#pragma once
// The result of a benchmark run, as it is written and, to be compared with, read again.
// Durations are in microseconds, rates in operations a second.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/timestamp.h"
#include "core/schema/fields.h"

namespace gathering::bench {

enum class Verdict : std::uint8_t { kNoDifference, kFaster, kSlower };

}  // namespace gathering::bench

template <>
struct gathering::schema::Names<gathering::bench::Verdict> {
  static constexpr std::string_view kTexts[] = {"no difference", "faster", "slower"};
};

namespace gathering::bench {

// What the numbers were measured on.
struct Environment {
  std::string server_version = {};
  bool fsync = true;
  std::string synchronous_commit = {};
  bool full_page_writes = true;
  std::string shared_buffers = {};
  std::string work_mem = {};
  std::int64_t max_connections = 0;
  std::string server_address = {};  // "unix socket" for one
  bool tls = false;

  static void Fields(auto& self, auto& visit) {
    visit("server_version", self.server_version);
    visit("fsync", self.fsync);
    visit("synchronous_commit", self.synchronous_commit);
    visit("full_page_writes", self.full_page_writes);
    visit("shared_buffers", self.shared_buffers);
    visit("work_mem", self.work_mem);
    visit("max_connections", self.max_connections);
    visit("server_address", self.server_address);
    visit("tls", self.tls);
  }
};

// Where the clients ran.
struct Host {
  std::string version = {};  // of gathering
  std::string kernel = {};
  std::int64_t cores = 0;
  std::int64_t pool_connections = 0;
  std::int64_t loops = 0;
  std::int64_t pipeline_connections = 0;  // of each loop, for reads and again for writes

  static void Fields(auto& self, auto& visit) {
    visit("version", self.version);
    visit("kernel", self.kernel);
    visit("cores", self.cores);
    visit("pool_connections", self.pool_connections);
    visit("loops", self.loops);
    visit("pipeline_connections", self.pipeline_connections);
  }
};

// What was asked for.  Runs with different ones are not compared.
struct Settings {
  std::int64_t duration_ms = 0;  // of each result
  std::int64_t warmup_ms = 0;
  std::optional<double> rate = {};
  std::int64_t circles = 0;
  std::int64_t members = 0;
  std::int64_t batch = 0;
  std::int64_t seed = 0;

  static void Fields(auto& self, auto& visit) {
    visit("duration_ms", self.duration_ms);
    visit("warmup_ms", self.warmup_ms);
    visit("rate", self.rate);
    visit("circles", self.circles);
    visit("members", self.members);
    visit("batch", self.batch);
    visit("seed", self.seed);
  }
};

struct Latency {
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double p99_9 = 0;
  double max = 0;

  static void Fields(auto& self, auto& visit) {
    visit("mean", self.mean);
    visit("p50", self.p50);
    visit("p90", self.p90);
    visit("p99", self.p99);
    visit("p99.9", self.p99_9);
    visit("max", self.max);
  }
};

struct LatencyClass {
  double up_to_us = 0;
  std::int64_t count = 0;

  static void Fields(auto& self, auto& visit) {
    visit("up_to_us", self.up_to_us);
    visit("count", self.count);
  }
};

struct ErrorCount {
  std::string state = {};  // an SQLSTATE, or what we called it when the server said nothing
  std::int64_t count = 0;

  static void Fields(auto& self, auto& visit) {
    visit("state", self.state);
    visit("count", self.count);
  }
};

// One of the rounds a result is made of.
struct Slice {
  double rate = 0;
  double mean_us = 0;

  static void Fields(auto& self, auto& visit) {
    visit("rate", self.rate);
    visit("mean_us", self.mean_us);
  }
};

struct Result {
  std::string scenario = {};
  std::string variant = {};
  std::int64_t clients = 0;
  std::int64_t operations = 0;
  double rate = 0;
  std::int64_t missed = 0;  // at a fixed rate: due, and not begun before the end
  std::int64_t errors = 0;  // operations that failed
  bool given_up = false;    // too many errors in a row
  Latency latency_us = {};       // at a fixed rate counted from when the operation was due
  double wait_us = 0;       // of that, the mean before the first statement was sent
  double execution_us = 0;  // and the mean from there on
  double round_trips = 0;   // to the server, for each operation
  std::vector<ErrorCount> errors_by_state = {};
  std::vector<Slice> slices = {};
  std::vector<LatencyClass> histogram = {};

  static void Fields(auto& self, auto& visit) {
    visit("scenario", self.scenario, {.required = true});
    visit("variant", self.variant, {.required = true});
    visit("clients", self.clients, {.required = true});
    visit("operations", self.operations);
    visit("rate", self.rate, {.required = true});
    visit("missed", self.missed);
    visit("errors", self.errors);
    visit("given_up", self.given_up);
    visit("latency_us", self.latency_us);
    visit("wait_us", self.wait_us);
    visit("execution_us", self.execution_us);
    visit("round_trips", self.round_trips);
    visit("errors_by_state", self.errors_by_state);
    visit("slices", self.slices, {.required = true});
    visit("histogram", self.histogram);
  }
};

// A result beside the same one of an earlier run.
struct Comparison {
  std::string scenario = {};
  std::string variant = {};
  std::int64_t clients = 0;
  std::string measure = {};  // "rate", or "latency" at a fixed rate
  double ratio = 1;     // of this run to the earlier one
  double ratio_low = 1;
  double ratio_high = 1;
  double confidence = 0;  // that there is a difference, all comparisons of the run considered
  Verdict verdict = Verdict::kNoDifference;

  static void Fields(auto& self, auto& visit) {
    visit("scenario", self.scenario);
    visit("variant", self.variant);
    visit("clients", self.clients);
    visit("measure", self.measure);
    visit("ratio", self.ratio);
    visit("ratio_low", self.ratio_low);
    visit("ratio_high", self.ratio_high);
    visit("confidence", self.confidence);
    visit("verdict", self.verdict);
  }
};

// A --fail-if that came true.
struct Violation {
  std::string condition = {};
  std::string scenario = {};
  std::string variant = {};
  std::int64_t clients = 0;
  double value = 0;

  static void Fields(auto& self, auto& visit) {
    visit("condition", self.condition);
    visit("scenario", self.scenario);
    visit("variant", self.variant);
    visit("clients", self.clients);
    visit("value", self.value);
  }
};

struct Report {
  std::int64_t schema = 1;
  Timestamp started_at = {};
  bool interrupted = false;
  Environment environment = {};
  Host host = {};
  Settings settings = {};
  std::vector<Result> results = {};
  std::vector<Comparison> comparison = {};
  std::vector<Violation> violations = {};

  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema, {.required = true});
    visit("started_at", self.started_at);
    visit("interrupted", self.interrupted);
    visit("environment", self.environment);
    visit("host", self.host);
    visit("settings", self.settings, {.required = true});
    visit("results", self.results, {.required = true});
    visit("comparison", self.comparison);
    visit("violations", self.violations);
  }
};

// Reads what was written as JSON.  Throws Error kInvalid when it is nothing of the kind.
[[nodiscard]] Report ReadReport(std::string_view json);

// A difference counts when it is sure by this much and larger than that: two runs on one idle machine
// differ by a few per cent for no reason of the database's.
inline constexpr double kSignificance = 0.01;
inline constexpr double kDifferenceMin = 0.05;

// Throws Error kRejected when different things were asked for.
void RequireComparable(const Settings& before, const Settings& now);

// Every result of `now` that `before` has too.  Throws Error kRejected when there is none, or the settings
// differ.
[[nodiscard]] std::vector<Comparison> CompareReports(const Report& before, const Report& now);

}  // namespace gathering::bench
