#include "core/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace gathering::bench {

Histogram::Histogram() : counts_(std::make_unique<std::array<std::uint64_t, kClasses>>()) {}

// Below 2^(kLinearBits + 1) every nanosecond has a class; above, the leading bits choose one.
std::size_t Histogram::ClassOf(std::uint64_t nanos) {
  const auto width = static_cast<unsigned>(std::bit_width(nanos));
  if (width <= kLinearBits + 1) return static_cast<std::size_t>(nanos);
  if (width > kTopBit + 1) return kClasses - 1;
  const unsigned shift = width - kLinearBits - 1;
  return (static_cast<std::size_t>(shift) << kLinearBits) + static_cast<std::size_t>(nanos >> shift);
}

std::uint64_t Histogram::UpperEnd(std::size_t index) {
  if (index < (std::size_t{2} << kLinearBits)) return index;
  const std::size_t shift = (index >> kLinearBits) - 1;
  const std::uint64_t leading = index - (shift << kLinearBits);
  return ((leading + 1) << shift) - 1;
}

void Histogram::Note(Duration duration) {
  duration = std::max(duration, Duration{0});
  ++(*counts_)[ClassOf(static_cast<std::uint64_t>(duration.count()))];
  ++count_;
  sum_ += static_cast<double>(duration.count());
  max_ = std::max(max_, duration);
}

void Histogram::Merge(const Histogram& other) {
  for (std::size_t i = 0; i < kClasses; ++i) (*counts_)[i] += (*other.counts_)[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

Histogram::Duration Histogram::Mean() const {
  if (count_ == 0) return Duration{0};
  return Duration{std::llround(sum_ / static_cast<double>(count_))};
}

Histogram::Duration Histogram::At(double share) const {
  if (count_ == 0) return Duration{0};
  const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kClasses; ++i) {
    seen += (*counts_)[i];
    if (seen < rank) continue;
    if (i == kClasses - 1) break;
    return std::min(Duration{static_cast<std::int64_t>(UpperEnd(i))}, max_);
  }
  return max_;
}

std::vector<Histogram::Class> Histogram::Classes() const {
  std::vector<Class> classes;
  std::uint64_t end = 1;  // 1, 2, 3, 4, 6, 8, 12, …
  std::uint64_t step = 1;
  Class open{.up_to = Duration{1}};
  for (std::size_t i = 0; i < kClasses; ++i) {
    const std::uint64_t count = (*counts_)[i];
    if (count == 0) continue;
    while (UpperEnd(i) > end) {
      if (open.count > 0 || !classes.empty()) classes.push_back(open);
      end += step;
      if (std::has_single_bit(end) && end > 2) step = end / 2;
      open = {.up_to = Duration{static_cast<std::int64_t>(end)}};
    }
    open.count += count;
  }
  if (open.count > 0) classes.push_back(open);
  return classes;
}

}  // namespace gathering::bench
