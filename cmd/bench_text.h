#pragma once
// A benchmark's report for people, and as CSV.
#include <string>
#include <string_view>

#include "core/bench/report.h"

namespace gathering::cmd {

[[nodiscard]] std::string BenchText(const bench::Report& report);
[[nodiscard]] std::string BenchCsv(const bench::Report& report);  // RFC 4180, but with "\n"

// A line for each comparison, and a sentence before and after them.
[[nodiscard]] std::string ComparisonText(const bench::Report& report, std::string_view before_name);

// "point-read/pool@64: p99>20ms holds: 31.2 ms"
[[nodiscard]] std::string ViolationText(const bench::Violation& violation);

}  // namespace gathering::cmd
