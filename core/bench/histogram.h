#pragma once
// Counts durations so that percentiles can be told later, in bounded memory.
//
// Classes are linear within each power of two (as in Gil Tene's HdrHistogram): a duration is
// told with an error under 1/128, from 1 ns to two hours; longer ones count in the last class.
// Not thread-safe: each thread fills one of its own, and Merge adds them up.
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

namespace gathering::bench {

class Histogram {
 public:
  using Duration = std::chrono::nanoseconds;

  // How many fall into one class of `Classes`.
  struct Class {
    Duration up_to;
    std::uint64_t count = 0;
  };

  Histogram();

  void Note(Duration duration);  // negative ones count as zero
  void Merge(const Histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] Duration max() const { return max_; }
  [[nodiscard]] Duration Mean() const;

  // The duration that `share` (0 to 1) of all do not exceed; zero when there are none.
  [[nodiscard]] Duration At(double share) const;

  // Halves of each power of two, from the first to the last that holds something.
  [[nodiscard]] std::vector<Class> Classes() const;

 private:
  static constexpr unsigned kLinearBits = 7;  // classes in each power of two: 2^7
  static constexpr unsigned kTopBit = 42;     // of the longest duration that has a class of its own
  static constexpr std::size_t kClasses = static_cast<std::size_t>(kTopBit - kLinearBits + 2) << kLinearBits;

  [[nodiscard]] static std::size_t ClassOf(std::uint64_t nanos);
  [[nodiscard]] static std::uint64_t UpperEnd(std::size_t index);

  std::unique_ptr<std::array<std::uint64_t, kClasses>> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;  // in nanoseconds
  Duration max_{0};
};

}  // namespace gathering::bench
