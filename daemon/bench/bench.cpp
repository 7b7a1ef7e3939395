#include "daemon/bench/bench.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "core/bench/histogram.h"
#include "core/db/executor.h"
#include "daemon/bench/crew.h"

namespace gathering::bench {
namespace {

using Duration = Clock::Steady::duration;
using std::chrono::nanoseconds;

constexpr std::chrono::milliseconds kStopNoticed{100};

double Micros(nanoseconds duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

double Seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::string StateOf(const Error& error) {
  if (!error.sqlstate.empty()) return error.sqlstate;
  switch (error.code) {
    case Code::kUnavailable:
      return "unavailable";
    case Code::kTimeout:
      return "timeout";
    case Code::kInDoubt:
      return "in doubt";
    default:
      return "internal";
  }
}

// When a piece is measured, and when its operations are due.
struct Window {
  Clock::Steady origin;  // of the warm-up
  Clock::Steady begin;
  Clock::Steady end;
  std::optional<double> rate;

  [[nodiscard]] Clock::Steady Due(std::uint64_t ticket) const {
    const std::chrono::duration<double> after{static_cast<double>(ticket) / *rate};
    return origin + std::chrono::duration_cast<Duration>(after);
  }
  [[nodiscard]] bool Measures(Clock::Steady moment) const { return moment >= begin && moment < end; }
};

// What one client, and then all together, saw in a piece.
struct Tally {
  Histogram latency;        // of what was begun in the window and done
  std::uint64_t rows = 0;   // of these; what the rate counts
  std::uint64_t begun = 0;  // in the warm-up and failed ones too
  Duration delay{0};        // between due and begun
  std::map<std::string, std::int64_t> errors;
  bool given_up = false;
  double rate = 0;
  Clock::Steady last_end{};

  void Add(const Tally& other) {
    latency.Merge(other.latency);
    rows += other.rows;
    begun += other.begun;
    delay += other.delay;
    for (const auto& [state, count] : other.errors) errors[state] += count;
    given_up = given_up || other.given_up;
    rate += other.rate;
    last_end = std::max(last_end, other.last_end);
  }
};

// A variant with a number of clients, over all rounds.
struct Cell {
  const Variant* variant = nullptr;
  std::uint32_t clients = 0;
  std::vector<std::uint32_t> errors_in_a_row;  // of each client
  std::uint32_t rounds = 0;                    // measured so far
  Tally tally = {};
  std::uint64_t missed = 0;
  Spent spent = {};
  std::vector<Slice> slices = {};
};

class Runner {
 public:
  Runner(const BenchOptions& options, const Clock& clock) : options_(options), clock_(clock) {
    for (const Variant& variant : options.variants) {
      for (const std::uint32_t clients : options.clients)
        cells_.push_back({&variant, clients, std::vector<std::uint32_t>(clients)});
    }
    MakeCrews();
  }

  std::vector<Result> Run() {
    Progress progress{.all = kRounds * static_cast<std::uint32_t>(cells_.size())};
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      for (Cell& cell : cells_) {
        if (stopped()) return Results();
        progress.variant = cell.variant;
        progress.clients = cell.clients;
        if (options_.on_progress) options_.on_progress(progress);
        if (!cell.tally.given_up) Measure(cell, round);
        ++progress.done;
      }
    }
    if (options_.on_progress) options_.on_progress(progress);
    return Results();
  }

 private:
  void MakeCrews();
  Crew& CrewOf(const Variant& variant) { return *crews_[static_cast<std::size_t>(variant.path)]; }
  void Prime(Cell& cell);
  void Measure(Cell& cell, std::uint32_t round);
  Tally Drive(Port& port, Cell& cell, std::uint32_t client, const Window& window, Draw& draw);
  void NoteSlice(Cell& cell, const Tally& piece, const Window& window) const;
  [[nodiscard]] Result ToResult(const Cell& cell) const;
  [[nodiscard]] bool stopped() const { return options_.stop != nullptr && *options_.stop; }
  std::vector<Result> Results() const {
    std::vector<Result> results;
    for (const Cell& cell : cells_) {
      if (cell.rounds > 0) results.push_back(ToResult(cell));
    }
    return results;
  }

  const BenchOptions& options_;
  const Clock& clock_;
  std::vector<Cell> cells_;
  std::unique_ptr<Crew> crews_[3];  // by Path
  std::atomic<std::uint64_t> ticket_{0};
  std::atomic<bool> give_up_{false};
};

void Runner::MakeCrews() {
  // Waiting clients are the benchmark's own, so all of them may wait.
  DatabaseConfig database = options_.database;
  database.pool.waiters_max = std::max(database.pool.waiters_max, kClientsMax);
  database.pool.application_name = "gathering bench-db";
  database.pipeline.lane.queue_max = std::max(database.pipeline.lane.queue_max, kClientsMax);
  const Dimensions& dimensions = options_.dimensions;
  for (const Variant& variant : options_.variants) {
    std::unique_ptr<Crew>& crew = crews_[static_cast<std::size_t>(variant.path)];
    if (crew) continue;
    switch (variant.path) {
      case Path::kConnection:
        crew = MakeConnectionCrew(db::ToConnectionOptions(database.pool), dimensions, clock_);
        break;
      case Path::kPool:
        crew = MakePoolCrew(database.pool, dimensions, clock_);
        break;
      case Path::kPipeline:
        crew = MakePipelineCrew(database, options_.loops, dimensions, clock_);
        break;
    }
  }
}

// One operation of each client that is not measured: connections are made, statements prepared.
void Runner::Prime(Cell& cell) {
  if (cell.rounds > 0) return;
  CrewOf(*cell.variant).Run(cell.clients, [&](std::uint32_t client, Port& port) {
    Draw draw{options_.dimensions, client, kRounds};
    try {
      port.Perform(draw.Next(cell.variant->work));
    } catch (const Error&) {
      // What is wrong shows again, and is counted, when it is measured.
    }
  });
}

void Runner::Measure(Cell& cell, std::uint32_t round) {
  Prime(cell);
  ticket_ = 0;
  give_up_ = false;
  Crew& crew = CrewOf(*cell.variant);
  const Spent before = crew.Read();
  const Clock::Steady now = clock_.Now();
  const Clock::Steady begin = now + options_.warmup / kRounds;
  const Window window{
      .origin = now, .begin = begin, .end = begin + options_.duration / kRounds, .rate = options_.rate};
  Tally piece;
  std::mutex mutex;
  crew.Run(cell.clients, [&](std::uint32_t client, Port& port) {
    Draw draw{options_.dimensions, client, round};
    const Tally mine = Drive(port, cell, client, window, draw);
    std::scoped_lock lock{mutex};
    piece.Add(mine);
  });
  const Spent after = crew.Read();
  cell.spent.operations += after.operations - before.operations;
  cell.spent.round_trips += after.round_trips - before.round_trips;
  cell.spent.waited += after.waited - before.waited;
  NoteSlice(cell, piece, window);
  cell.tally.Add(piece);
  ++cell.rounds;
}

// What one client does in a piece.
Tally Runner::Drive(Port& port, Cell& cell, std::uint32_t client, const Window& window, Draw& draw) {
  Tally tally;
  std::uint32_t& errors_in_a_row = cell.errors_in_a_row[client];
  std::optional<Clock::Steady> first_begin;
  const std::uint64_t rows =
      cell.variant->work == Work::kTaskBatch ? static_cast<std::uint64_t>(options_.dimensions.batch) : 1;
  while (!stopped() && !give_up_.load(std::memory_order_relaxed)) {
    Clock::Steady due = clock_.Now();
    if (window.rate) {
      due = window.Due(ticket_.fetch_add(1, std::memory_order_relaxed));
      if (due >= window.end) break;
      for (auto now = clock_.Now(); now < due && !stopped(); now = clock_.Now())
        port.WaitUntil(std::min(due, now + kStopNoticed));
    }
    const Clock::Steady begun = window.rate ? clock_.Now() : due;
    if (begun >= window.end) break;
    const bool measured = window.Measures(begun);
    ++tally.begun;
    try {
      port.Perform(draw.Next(cell.variant->work));
      errors_in_a_row = 0;
    } catch (const Error& error) {
      if (measured) ++tally.errors[StateOf(error)];
      if (++errors_in_a_row < kErrorsInARowMax) continue;
      tally.given_up = true;
      give_up_ = true;
      break;
    }
    if (!measured) continue;
    tally.last_end = clock_.Now();
    if (!first_begin) first_begin = begun;
    tally.latency.Note(tally.last_end - due);
    tally.delay += begun - due;
    tally.rows += rows;
  }
  if (first_begin) tally.rate = static_cast<double>(tally.rows) / Seconds(tally.last_end - *first_begin);
  return tally;
}

// Without a schedule each client's rate is that of the time it worked, so that an operation which takes
// longer than the window still counts for what it is.
void Runner::NoteSlice(Cell& cell, const Tally& piece, const Window& window) const {
  if (window.rate) {
    const auto due =
        static_cast<std::uint64_t>(std::ceil(Seconds(window.end - window.origin) * *window.rate));
    cell.missed += due - std::min(due, piece.begun);
  }
  if (piece.latency.count() == 0) return;
  const Duration lasted = std::max(window.end, piece.last_end) - window.begin;
  const double rate = window.rate ? static_cast<double>(piece.rows) / Seconds(lasted) : piece.rate;
  cell.slices.push_back({.rate = rate, .mean_us = Micros(piece.latency.Mean())});
}

Result Runner::ToResult(const Cell& cell) const {
  const Tally& tally = cell.tally;
  const Histogram& latency = tally.latency;
  Result result{.scenario = std::string{cell.variant->scenario},
                .variant = std::string{cell.variant->name},
                .clients = cell.clients,
                .operations = static_cast<std::int64_t>(tally.rows),
                .missed = static_cast<std::int64_t>(cell.missed),
                .given_up = tally.given_up,
                .latency_us = {.mean = Micros(latency.Mean()),
                               .p50 = Micros(latency.At(0.5)),
                               .p90 = Micros(latency.At(0.9)),
                               .p99 = Micros(latency.At(0.99)),
                               .p99_9 = Micros(latency.At(0.999)),
                               .max = Micros(latency.max())},
                .slices = cell.slices};
  for (const Slice& slice : cell.slices) result.rate += slice.rate / static_cast<double>(cell.slices.size());
  for (const auto& [state, count] : tally.errors) {
    result.errors += count;
    result.errors_by_state.push_back({state, count});
  }
  for (const Histogram::Class& one : latency.Classes())
    result.histogram.push_back({Micros(one.up_to), static_cast<std::int64_t>(one.count)});
  if (cell.spent.operations == 0 || latency.count() == 0) return result;
  const auto spent_on = static_cast<double>(cell.spent.operations);
  const double waited = Micros(cell.spent.waited) / spent_on;
  const double delayed = Micros(tally.delay) / static_cast<double>(latency.count());
  result.wait_us = std::min(waited + delayed, result.latency_us.mean);
  result.execution_us = result.latency_us.mean - result.wait_us;
  const auto rows_each = static_cast<double>(tally.rows) / static_cast<double>(latency.count());
  result.round_trips = static_cast<double>(cell.spent.round_trips) / spent_on / rows_each;
  return result;
}

}  // namespace

std::vector<Result> RunBench(const BenchOptions& options, const Clock& clock) {
  return Runner{options, clock}.Run();
}

}  // namespace gathering::bench
