#include "daemon/http/route_statistics.h"

namespace gathering::http {

RouteStatistics::RouteStatistics(std::span<const std::span<const Route>> tables) {
  for (const auto& table : tables) {
    for (const Route& route : table) {
      cells_.push_back(std::make_unique<Cell>());
      cells_.back()->route = &route;
      by_route_.emplace(&route, cells_.back().get());
    }
  }
}

bool RouteStatistics::Note(const Route& route, std::uint32_t statements) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  Cell& cell = *by_route_.at(&route);
  cell.requests.fetch_add(1, kRelaxed);
  cell.statements.fetch_add(statements, kRelaxed);
  std::uint64_t most = cell.statements_max.load(kRelaxed);
  while (statements > most && !cell.statements_max.compare_exchange_weak(most, statements, kRelaxed)) {
  }
  if (route.statements.Allows(statements)) return true;
  cell.over_budget.fetch_add(1, kRelaxed);
  return false;
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

}  // namespace gathering::http
