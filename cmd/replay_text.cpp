#include "cmd/replay_text.h"

#include <chrono>

#include <fmt/format.h>

#include "core/config/value.h"

namespace gathering::cmd {
namespace {

using std::chrono::milliseconds;

std::string Millis(std::int64_t micros) {
  return fmt::format("{:.1f} ms", static_cast<double>(micros) / 1e3);
}

}  // namespace

std::string SummaryText(const ReplaySummary& summary) {
  const replay::Counts& counts = summary.counts;
  std::string text = fmt::format(
      "read {}, delivered {}, filtered {}, deduplicated {}, failed {}; {:.0f} a second, in {:.1f} s",
      counts.read, counts.delivered, counts.filtered, counts.deduplicated, counts.failed, summary.rate,
      static_cast<double>(summary.elapsed_ms) / 1e3);
  if (summary.lag_ms)
    text += fmt::format("; the last event is {:.1f} s old", static_cast<double>(*summary.lag_ms) / 1e3);
  return text;
}

std::string ProgressText(const replay::Counts& counts, double rate) {
  return fmt::format("read {}, delivered {}, {:.0f} a second", counts.read, counts.delivered, rate);
}

std::string WhatIfText(const std::vector<replay::WhatIfResult>& results) {
  std::string text = fmt::format("{:>8}{:>8}{:>8}{:>8}{:>11}{:>11}{:>9}{:>8}{:>13}{:>13}{:>8}{:>8}\n",
                                 "window", "batch", "dedup", "queue", "published", "duplicates", "batches",
                                 "mean", "p50", "p99", "peak", "shed");
  for (const replay::WhatIfResult& one : results) {
    text += fmt::format("{:>8}{:>8}{:>8}{:>8}{:>11}{:>11}{:>9}{:>8.1f}{:>13}{:>13}{:>8}{:>8}\n",
                        config::ToText(milliseconds{one.window_ms}), one.batch,
                        config::ToText(milliseconds{one.dedup_ms}), one.queue, one.published, one.duplicates,
                        one.batches, one.batch_mean, Millis(one.delay_p50_us), Millis(one.delay_p99_us),
                        one.queue_peak, one.shed);
  }
  return text;
}

}  // namespace gathering::cmd
