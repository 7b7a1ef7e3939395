#pragma once
// Whether two sets of measurements differ, and by how much, without assuming how they are distributed.
#include <cstddef>
#include <span>
#include <vector>

namespace gathering::bench {

struct Shift {
  double ratio = 1;       // of a measurement in `after` to one in `before`: the median of all pairs
  double ratio_low = 1;   // it lies between these
  double ratio_high = 1;  // with a confidence of 95 %
  double p = 1;           // how likely so clear a difference is among equals, two-sided
};

// The Mann-Whitney test with midranks for ties and the normal approximation (good from eight
// measurements on), the Hodges-Lehmann estimate of the shift between logarithms and its interval.
// All values are above zero; with fewer than two in either set nothing is said: p = 1.
// Hollander, Wolfe, Chicken: Nonparametric Statistical Methods, chapter 4.
[[nodiscard]] Shift Compare(std::span<const double> before, std::span<const double> after);

// Holm's step-down correction: the p of each of several tests such that a limit set on them holds for
// the chance of any false alarm among all.  In the order given.
[[nodiscard]] std::vector<double> HolmCorrected(std::span<const double> p);

}  // namespace gathering::bench
