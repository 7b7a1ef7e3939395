#pragma once
// Runs the benchmark: every variant with every number of clients, in rounds.
//
// A result is measured in `kRounds` short pieces, each time after all the others had theirs, so that
// what else the machine does meanwhile falls on all alike, and so that there is something to tell noise
// by.  Clients either go on as soon as they have their answer, or, at a given rate, begin when the
// schedule says; then latency counts from that moment, and operations that nobody was free to begin
// are counted as missed (no coordinated omission: Gil Tene, "How NOT to measure latency").
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/bench/report.h"
#include "core/bench/workload.h"
#include "core/config/config.h"

namespace gathering::bench {

inline constexpr std::uint32_t kRounds = 20;
inline constexpr std::uint32_t kClientsMax = 1'024;
inline constexpr std::uint32_t kErrorsInARowMax = 100;  // of one client; then the result is given up

struct Progress {
  const Variant* variant = nullptr;
  std::uint32_t clients = 0;
  std::uint32_t done = 0;  // pieces of all
  std::uint32_t all = 0;
};

struct BenchOptions {
  DatabaseConfig database;  // with its URL
  std::uint32_t loops = 1;
  std::vector<Variant> variants;
  std::vector<std::uint32_t> clients;  // each at most kClientsMax
  std::chrono::milliseconds duration{2'000};
  std::chrono::milliseconds warmup{400};
  std::optional<double> rate = {};  // operations a second, by all clients together; none: as fast as they can
  Dimensions dimensions;
  const std::atomic<bool>* stop = nullptr;  // ends the run after the operations that have begun
  std::function<void(const Progress&)> on_progress = {};
};

// Measures in the schema that bench::Place has made.  One result for each variant and number of clients,
// in that order; when stopped, those measured so far.  Throws what is not the database's failure.
[[nodiscard]] std::vector<Result> RunBench(const BenchOptions& options, const Clock& clock);

}  // namespace gathering::bench
