#pragma once
// What each named statement cost so far.  Safe from any thread; a reader may see the parts of
// one statement a moment apart.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/db/query.h"

namespace gathering::db {

// Times under 64 µs, under 128 µs, … doubling; the last class counts everything above 2 s.
inline constexpr std::size_t kTimeClasses = 17;
inline constexpr std::uint64_t kFirstTimeClassMicros = 64;

struct QueryCost {
  const Query* query = nullptr;
  std::uint64_t count = 0;
  std::uint64_t failed = 0;
  std::uint64_t wait_micros = 0;  // before it was sent: for a connection, or in a queue
  std::uint64_t run_micros = 0;   // from sending to answer
  std::uint64_t run_micros_max = 0;
  std::array<std::uint64_t, kTimeClasses> run_classes{};

  // The upper end of the class that holds this share (0 to 1) of the run times, in microseconds;
  // 0 when there are none.
  [[nodiscard]] std::uint64_t RunMicrosAt(double share) const;
};

class QueryStatistics {
 public:
  struct Took {
    std::chrono::steady_clock::duration wait{};
    std::chrono::steady_clock::duration run{};
  };

  QueryStatistics();

  // Unnumbered statements are not counted.
  void Note(const Query& query, const Took& took, bool failed);

  // Those that ran at least once, in the order of AllQueries.
  [[nodiscard]] std::vector<QueryCost> Read() const;

 private:
  struct Cell {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> wait_micros{0};
    std::atomic<std::uint64_t> run_micros{0};
    std::atomic<std::uint64_t> run_micros_max{0};
    std::array<std::atomic<std::uint64_t>, kTimeClasses> run_classes{};
  };
  std::vector<Cell> cells_;
};

}  // namespace gathering::db
