#pragma once
// What a replay did, for people and for programs.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/replay/replay.h"
#include "core/replay/what_if.h"

namespace gathering::cmd {

struct ReplaySummary {
  std::int64_t schema = 1;
  bool interrupted = false;
  replay::Counts counts = {};
  std::int64_t elapsed_ms = 0;              // without what --what-if tried
  double rate = 0;                          // events read, a second
  std::optional<std::int64_t> lag_ms = {};  // of the log: how old the last event is that was read
  std::vector<replay::WhatIfResult> what_if = {};

  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("interrupted", self.interrupted);
    replay::Counts::Fields(self.counts, visit);
    visit("elapsed_ms", self.elapsed_ms);
    visit("rate", self.rate);
    visit("lag_ms", self.lag_ms);
    visit("what_if", self.what_if);
  }
};

// One line, without its end.
[[nodiscard]] std::string SummaryText(const ReplaySummary& summary);
[[nodiscard]] std::string ProgressText(const replay::Counts& counts, double rate);

// A table, a row for each combination of settings.
[[nodiscard]] std::string WhatIfText(const std::vector<replay::WhatIfResult>& results);

}  // namespace gathering::cmd
