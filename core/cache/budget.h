#pragma once
// One budget of memory over all caches.
//
// Caches whose bounds are together more than the budget get that much less each.  While memory is short all
// of them shrink, by half every second down to a sixteenth, and when it is not any more they grow again as
// they shrank: what they hold is worth less than the process.  Memory that entries leave goes back to the
// allocator, which gives it to the system as it sees fit.
//
// Safe from any thread.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/cache/statistics.h"

namespace gathering::cache {

struct BudgetStats {
  std::uint64_t bytes_max = 0;  // 0: none
  double part = 1;              // of their bounds that caches have now
  std::uint64_t shrinks = 0;
};

class Budget {
 public:
  static constexpr double kShort = 0.9;  // of memory: then caches shrink
  static constexpr double kEased = 0.8;  // then they grow
  static constexpr double kPartMin = 1.0 / 16;

  // How full memory is, 0 to 1; none: nobody knows.
  using Fullness = std::function<std::optional<double>()>;

  // `bytes_max` 0: as much as their own bounds allow.  The caches must outlive this.
  Budget(std::vector<Observed*> caches, std::uint64_t bytes_max);
  ~Budget();  // stops
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // Asks every second, on a thread of its own.
  void Watch(Fullness fullness);

  // Another budget, and caches whose own bounds are others.
  void Resize(std::uint64_t bytes_max);

  // What it does each second.
  void Note(double fullness);

  [[nodiscard]] BudgetStats Stats() const;

 private:
  void Fit();       // the lock is held
  void SetParts();  // likewise

  const std::vector<Observed*> caches_;
  mutable std::mutex mutex_;  // guards the four below; taken before the caches' own
  std::uint64_t bytes_max_;
  double fits_ = 1;      // the part of the caches' bounds that the budget has room for
  double pressure_ = 1;  // of that, what they have while memory is short
  std::uint64_t shrinks_ = 0;
  std::mutex resting_;
  std::condition_variable_any rest_;
  std::jthread thread_;
};

}  // namespace gathering::cache
