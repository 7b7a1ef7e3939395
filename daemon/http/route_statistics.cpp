#include "daemon/http/route_statistics.h"

#include <algorithm>
#include <numeric>

namespace gathering::http {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::size_t StatusClassOf(int status) {
  return static_cast<std::size_t>(std::clamp(status / 100, 1, static_cast<int>(kStatusClasses)) - 1);
}

// Most requests are quick, so the search is over soon.
std::size_t DurationClassOf(std::chrono::nanoseconds duration) {
  std::size_t index = 0;
  while (index < kDurationBoundsMicros.size() &&
         duration > std::chrono::microseconds{kDurationBoundsMicros[index]})
    ++index;
  return index;
}

}  // namespace

RouteStatistics::RouteStatistics(std::span<const std::span<const Route>> tables) {
  for (const auto& table : tables) {
    for (const Route& route : table) {
      places_.emplace(&route, cells_.size());
      cells_.push_back(std::make_unique<Cell>());
      cells_.back()->route = &route;
    }
  }
  rows_ = std::vector<Row>(kRows * (cells_.size() + 1));
}

bool RouteStatistics::Note(const Route& route, std::uint32_t statements) {
  Cell& cell = *cells_[places_.at(&route)];
  cell.requests.fetch_add(1, kRelaxed);
  cell.statements.fetch_add(statements, kRelaxed);
  std::uint64_t most = cell.statements_max.load(kRelaxed);
  while (statements > most && !cell.statements_max.compare_exchange_weak(most, statements, kRelaxed)) {
  }
  if (route.statements.Allows(statements)) return true;
  cell.over_budget.fetch_add(1, kRelaxed);
  return false;
}

void RouteStatistics::NoteAnswer(const Route* route, int status, std::chrono::nanoseconds duration) {
  const std::size_t place = route == nullptr ? cells_.size() : places_.at(route);
  Row& row = rows_[RowOfThread() * (cells_.size() + 1) + place];
  row.by_status[StatusClassOf(status)].fetch_add(1, kRelaxed);
  row.by_duration[DurationClassOf(duration)].fetch_add(1, kRelaxed);
  row.nanos.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)), kRelaxed);
}

// Threads draw numbers when they first answer, so loops that start together have rows apart.
std::size_t RouteStatistics::RowOfThread() {
  static std::atomic<std::size_t> threads{0};
  static thread_local const std::size_t number = threads.fetch_add(1, kRelaxed);
  return number % kRows;
}

std::vector<RouteCost> RouteStatistics::Read() const {
  std::vector<RouteCost> costs;
  for (const auto& cell : cells_) {
    const RouteCost cost{.route = cell->route,
                         .requests = cell->requests.load(),
                         .statements = cell->statements.load(),
                         .statements_max = cell->statements_max.load(),
                         .over_budget = cell->over_budget.load()};
    if (cost.requests > 0) costs.push_back(cost);
  }
  return costs;
}

std::vector<RouteAnswers> RouteStatistics::ReadAnswers() const {
  const std::size_t places = cells_.size() + 1;
  std::vector<RouteAnswers> all;
  for (std::size_t place = 0; place < places; ++place) {
    RouteAnswers answers{.route = place < cells_.size() ? cells_[place]->route : nullptr};
    for (std::size_t row = 0; row < kRows; ++row) AddRow(rows_[row * places + place], answers);
    const auto& counts = answers.by_status;
    if (std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}) > 0) all.push_back(answers);
  }
  return all;
}

void RouteStatistics::AddRow(const Row& row, RouteAnswers& answers) const {
  for (std::size_t i = 0; i < kStatusClasses; ++i) answers.by_status[i] += row.by_status[i].load(kRelaxed);
  for (std::size_t i = 0; i < kDurationClasses; ++i)
    answers.by_duration[i] += row.by_duration[i].load(kRelaxed);
  answers.duration += std::chrono::nanoseconds{row.nanos.load(kRelaxed)};
}

}  // namespace gathering::http
