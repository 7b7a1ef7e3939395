#pragma once
// How many statements each route needs of the database.  Safe from any thread.
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "daemon/http/route.h"

namespace gathering::http {

struct RouteCost {
  const Route* route = nullptr;
  std::uint64_t requests = 0;
  std::uint64_t statements = 0;  // of its handler; asking about the token is not counted
  std::uint64_t statements_max = 0;
  std::uint64_t over_budget = 0;  // requests with more than the route's row says
};

class RouteStatistics {
 public:
  explicit RouteStatistics(std::span<const std::span<const Route>> tables);

  // False when that is more than the row says.
  bool Note(const Route& route, std::uint32_t statements);

  // Those that were called at least once, in the order of the tables.
  [[nodiscard]] std::vector<RouteCost> Read() const;

 private:
  struct Cell {
    const Route* route = nullptr;
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> statements{0};
    std::atomic<std::uint64_t> statements_max{0};
    std::atomic<std::uint64_t> over_budget{0};
  };
  std::vector<std::unique_ptr<Cell>> cells_;
  std::unordered_map<const Route*, Cell*> by_route_;
};

}  // namespace gathering::http
