#include "core/bench/report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/bench/statistics.h"
#include "core/schema/reader.h"

namespace gathering::bench {
namespace {

constexpr schema::JsonLimits kLimits{.depth_max = 16, .nodes_max = 4'000'000, .text_bytes_max = 4'096};

void RequireSame(std::string_view what, auto before, auto now) {
  if (before == now) return;
  throw Error{Code::kRejected,
              fmt::format("the runs cannot be compared: {} was {} then and is {} now", what, before, now)};
}

// What the clients at a fixed rate can gain is latency.
std::vector<double> Measures(const Result& result, bool by_latency) {
  std::vector<double> measures;
  for (const Slice& slice : result.slices) {
    const double measure = by_latency ? slice.mean_us : slice.rate;
    if (measure > 0) measures.push_back(measure);
  }
  return measures;
}

Verdict Judge(const Shift& shift, double p, bool by_latency) {
  const bool sure = p < kSignificance && std::abs(shift.ratio - 1) >= kDifferenceMin;
  if (!sure) return Verdict::kNoDifference;
  return (shift.ratio > 1) == by_latency ? Verdict::kSlower : Verdict::kFaster;
}

}  // namespace

Report ReadReport(std::string_view json) {
  std::vector<FieldError> errors;
  auto report = schema::ReadJson<Report>(schema::ParseJson(json, kLimits), "report", errors);
  if (!errors.empty()) throw Error{std::move(errors)};
  if (report.schema != 1) throw Error{Code::kInvalid, fmt::format("its schema is {}, not 1", report.schema)};
  return report;
}

void RequireComparable(const Settings& before, const Settings& now) {
  RequireSame("--rate", before.rate.value_or(0), now.rate.value_or(0));
  RequireSame("--members", before.members, now.members);
  RequireSame("circles", before.circles, now.circles);
  RequireSame("batch", before.batch, now.batch);
}

std::vector<Comparison> CompareReports(const Report& before, const Report& now) {
  RequireComparable(before.settings, now.settings);
  const bool by_latency = now.settings.rate.has_value();
  std::vector<Comparison> all;
  std::vector<Shift> shifts;
  std::vector<double> chances;
  for (const Result& result : now.results) {
    const auto earlier = std::find_if(before.results.begin(), before.results.end(), [&](const Result& one) {
      return one.scenario == result.scenario && one.variant == result.variant &&
             one.clients == result.clients;
    });
    if (earlier == before.results.end()) continue;
    shifts.push_back(Compare(Measures(*earlier, by_latency), Measures(result, by_latency)));
    chances.push_back(shifts.back().p);
    all.push_back({.scenario = result.scenario,
                   .variant = result.variant,
                   .clients = result.clients,
                   .measure = by_latency ? "latency" : "rate",
                   .ratio = shifts.back().ratio,
                   .ratio_low = shifts.back().ratio_low,
                   .ratio_high = shifts.back().ratio_high});
  }
  if (all.empty()) throw Error{Code::kRejected, "the runs cannot be compared: they have no result in common"};
  const std::vector<double> corrected = HolmCorrected(chances);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].confidence = 1 - corrected[i];
    all[i].verdict = Judge(shifts[i], corrected[i], by_latency);
  }
  return all;
}

}  // namespace gathering::bench
