#include "core/bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace gathering::bench {
namespace {

constexpr double kNormal975 = 1.959963984540054;

struct Ranked {
  double value = 0;
  bool after = false;
};

// The sum of the ranks of `after` among all, and the sum of t^3 - t over ties of t.
struct Ranks {
  double after = 0;
  double ties = 0;
};

Ranks RankSum(std::vector<Ranked> all) {
  std::sort(all.begin(), all.end(), [](const Ranked& a, const Ranked& b) { return a.value < b.value; });
  Ranks ranks;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    while (end < all.size() && all[end].value == all[i].value) ++end;
    const auto tied = static_cast<double>(end - i);
    const double rank = static_cast<double>(i + end + 1) / 2;
    ranks.ties += tied * tied * tied - tied;
    for (; i < end; ++i) ranks.after += all[i].after ? rank : 0;
  }
  return ranks;
}

double TwoSided(double z) {
  return std::erfc(std::abs(z) / std::numbers::sqrt2);
}

std::vector<double> LogRatios(std::span<const double> before, std::span<const double> after) {
  std::vector<double> ratios;
  ratios.reserve(before.size() * after.size());
  for (const double b : before) {
    for (const double a : after) ratios.push_back(std::log(a / b));
  }
  std::sort(ratios.begin(), ratios.end());
  return ratios;
}

double Median(const std::vector<double>& sorted) {
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

}  // namespace

Shift Compare(std::span<const double> before, std::span<const double> after) {
  if (before.size() < 2 || after.size() < 2) return {};
  std::vector<Ranked> all;
  for (const double value : before) all.push_back({value, false});
  for (const double value : after) all.push_back({value, true});
  const auto m = static_cast<double>(before.size());
  const auto n = static_cast<double>(after.size());
  const Ranks ranks = RankSum(std::move(all));
  const double total = m + n;
  const double variance = m * n / 12 * (total + 1 - ranks.ties / (total * (total - 1)));
  const std::vector<double> ratios = LogRatios(before, after);
  Shift shift{.ratio = std::exp(Median(ratios))};
  const double distance = ranks.after - n * (n + 1) / 2 - m * n / 2;
  const double corrected = std::max(std::abs(distance) - 0.5, 0.0);
  if (variance > 0) shift.p = TwoSided(corrected / std::sqrt(variance));
  const double below = std::floor(m * n / 2 - kNormal975 * std::sqrt(m * n * (total + 1) / 12));
  const auto first = static_cast<std::size_t>(std::max(below, 0.0));
  shift.ratio_low = std::exp(ratios[first]);
  shift.ratio_high = std::exp(ratios[ratios.size() - 1 - first]);
  return shift;
}

std::vector<double> HolmCorrected(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> corrected(p.size(), 1);
  double least = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto left = static_cast<double>(order.size() - i);
    least = std::max(least, std::min(1.0, left * p[order[i]]));
    corrected[order[i]] = least;
  }
  return corrected;
}

}  // namespace gathering::bench
