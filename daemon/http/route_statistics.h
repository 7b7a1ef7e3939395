#pragma once
// What each route is asked for: how many statements it needs of the database, how its requests were answered,
// and how long that took.  Safe from any thread; nothing locks, allocates or waits, and a reader may see the
// parts of one route a moment apart.
//
// Loops do not write to each other's cache lines: each thread counts answers in a row of its own for each
// route, aligned to cache lines, and a reader adds them up.  There are kRows rows; with more loops some share
// theirs.  Noting an answer is a look into a table of pointers and three additions to one row.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
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

// The longest time of each class but the last, which counts everything above.
inline constexpr std::array<std::int64_t, 14> kDurationBoundsMicros = {
    500,     1'000,   2'500,   5'000,     10'000,    25'000,    50'000,
    100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};
inline constexpr std::size_t kDurationClasses = kDurationBoundsMicros.size() + 1;
inline constexpr std::size_t kStatusClasses = 5;  // 1xx to 5xx

// The answers of one route.
struct RouteAnswers {
  const Route* route = nullptr;  // null: requests that reached none
  std::array<std::uint64_t, kStatusClasses> by_status{};
  std::array<std::uint64_t, kDurationClasses> by_duration{};
  std::chrono::nanoseconds duration{0};  // of all together
};

class RouteStatistics {
 public:
  explicit RouteStatistics(std::span<const std::span<const Route>> tables);

  // What a handler needed.  False when that is more than the row says.
  bool Note(const Route& route, std::uint32_t statements);

  // An answer that is ready to be sent; without a route: to a request that reached none.
  void NoteAnswer(const Route* route, int status, std::chrono::nanoseconds duration);

  // Those that were called at least once, in the order of the tables.
  [[nodiscard]] std::vector<RouteCost> Read() const;

  // Likewise; what reached no route comes last.
  [[nodiscard]] std::vector<RouteAnswers> ReadAnswers() const;

 private:
  static constexpr std::size_t kCacheLineBytes = 64;
  static constexpr std::size_t kRows = 8;

  struct Cell {
    const Route* route = nullptr;
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> statements{0};
    std::atomic<std::uint64_t> statements_max{0};
    std::atomic<std::uint64_t> over_budget{0};
  };
  struct alignas(kCacheLineBytes) Row {
    std::array<std::atomic<std::uint64_t>, kStatusClasses> by_status{};
    std::array<std::atomic<std::uint64_t>, kDurationClasses> by_duration{};
    std::atomic<std::uint64_t> nanos{0};
  };

  [[nodiscard]] static std::size_t RowOfThread();
  void AddRow(const Row& row, RouteAnswers& answers) const;

  std::vector<std::unique_ptr<Cell>> cells_;
  std::unordered_map<const Route*, std::size_t> places_;  // in cells_
  // For each row all routes in the order of cells_, and then those without a route.
  std::vector<Row> rows_;
};

}  // namespace gathering::http
