#pragma once
// When a benchmark's result is not good enough, in one line:
//
//   p99>20ms                       whatever the scenario
//   point-read/pipeline@64:rate<50000
//   errors>0
//   slower                         than the run it is compared with
//
// [SCENARIO[/VARIANT][@CLIENTS]:]METRIC OP VALUE, where METRIC is rate, mean, p50, p90, p99, p99.9, max,
// wait, execution (durations: us, ms or s), trips, errors or missed (counts), and OP is > >= < or <=.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bench/report.h"

namespace gathering::bench {

class Condition {
 public:
  // Throws Error kInvalid that says what is wrong with `text`.
  explicit Condition(std::string_view text);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool compares() const { return relation_ == Relation::kSlower; }

  // It is about this result.
  [[nodiscard]] bool Concerns(std::string_view scenario, std::string_view variant,
                              std::int64_t clients) const;

  // The results that meet the condition.
  [[nodiscard]] std::vector<Violation> Find(const Report& report) const;

 private:
  enum class Relation : std::uint8_t { kMore, kAtLeast, kLess, kAtMost, kSlower };

  std::string_view ReadScope(std::string_view text);
  void ReadRelation(std::string_view text);
  void ReadValue(std::string_view text);
  [[nodiscard]] bool Holds(double measured) const;

  std::string text_;
  std::string scenario_;      // empty: all
  std::string variant_;       // empty: all
  std::int64_t clients_ = 0;  // 0: all
  std::size_t metric_ = 0;
  Relation relation_ = Relation::kSlower;
  double value_ = 0;
};

}  // namespace gathering::bench
