#include "core/db/statistics.h"

#include <algorithm>
#include <bit>

namespace gathering::db {
namespace {

std::uint64_t Micros(std::chrono::steady_clock::duration duration) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(micros, 0));
}

std::size_t ClassOf(std::uint64_t micros) {
  return std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(micros / kFirstTimeClassMicros)),
                               kTimeClasses - 1);
}

}  // namespace

std::uint64_t QueryCost::RunMicrosAt(double share) const {
  if (count == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kTimeClasses; ++i) {
    seen += run_classes[i];
    if (seen > wanted) return std::min(kFirstTimeClassMicros << i, run_micros_max);
  }
  return run_micros_max;
}

QueryStatistics::QueryStatistics() : cells_(AllQueries().size()) {}

void QueryStatistics::Note(const Query& query, const Took& took, bool failed) {
  if (query.number >= cells_.size()) return;
  Cell& cell = cells_[query.number];
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const std::uint64_t run = Micros(took.run);
  cell.count.fetch_add(1, kRelaxed);
  if (failed) cell.failed.fetch_add(1, kRelaxed);
  cell.wait_micros.fetch_add(Micros(took.wait), kRelaxed);
  cell.run_micros.fetch_add(run, kRelaxed);
  cell.run_classes[ClassOf(run)].fetch_add(1, kRelaxed);
  std::uint64_t longest = cell.run_micros_max.load(kRelaxed);
  while (run > longest && !cell.run_micros_max.compare_exchange_weak(longest, run, kRelaxed)) {
  }
}

std::vector<QueryCost> QueryStatistics::Read() const {
  std::vector<QueryCost> costs;
  for (const Query* query : AllQueries()) {
    const Cell& cell = cells_[query->number];
    QueryCost cost{.query = query,
                   .count = cell.count.load(),
                   .failed = cell.failed.load(),
                   .wait_micros = cell.wait_micros.load(),
                   .run_micros = cell.run_micros.load(),
                   .run_micros_max = cell.run_micros_max.load()};
    for (std::size_t i = 0; i < kTimeClasses; ++i) cost.run_classes[i] = cell.run_classes[i].load();
    if (cost.count > 0) costs.push_back(cost);
  }
  return costs;
}

}  // namespace gathering::db
