#pragma once
// What one piece of work, like a request, cost in the database: for how long it waited, for how long the
// server was busy with it, and with which statements.
//
// Bounded and without allocations: the first kNamesMax different statements are told apart, all others are
// counted together.  For one thread at a time.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/db/query.h"

namespace gathering::db {

class Costs {
 public:
  using Duration = std::chrono::steady_clock::duration;
  static constexpr std::size_t kNamesMax = 16;

  struct Entry {
    const Query* query = nullptr;
    std::uint32_t count = 0;
    Duration run{0};
  };

  // One statement that was run, also one that failed.
  void Note(const Query& query, Duration run);

  void AddWait(Duration wait) { wait_ += wait; }
  void AddBusy(Duration busy) { busy_ += busy; }

  // For a connection, a worker, or a place in a pipeline.
  [[nodiscard]] Duration wait() const { return wait_; }
  // With a connection: statements, and what begins and ends transactions.
  [[nodiscard]] Duration busy() const { return busy_; }
  // In the order of their first run.
  [[nodiscard]] std::span<const Entry> entries() const { return {entries_.data(), used_}; }
  // All statements beyond these.
  [[nodiscard]] const Entry& rest() const { return rest_; }

 private:
  std::array<Entry, kNamesMax> entries_;
  std::size_t used_ = 0;
  Entry rest_;
  Duration wait_{0};
  Duration busy_{0};
};

}  // namespace gathering::db
