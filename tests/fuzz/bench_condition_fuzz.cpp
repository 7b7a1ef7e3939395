// Conditions of `bench-db --fail-if`.
#include "core/bench/condition.h"

#include "core/base/error.h"
#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::bench::Condition;
  using gathering::fuzz::Require;
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  gathering::bench::Report report;
  report.results.push_back({.scenario = "point-read", .variant = "pipeline", .clients = 64});
  try {
    const Condition condition{text};
    const Condition again{condition.text()};
    const auto found = condition.Find(report);
    Require(again.compares() == condition.compares() && again.Find(report).size() == found.size(),
            "a condition's text means the same");
    Require(found.empty() || condition.Concerns("point-read", "pipeline", 64), "it is about what it names");
  } catch (const gathering::Error& error) {
    Require(error.code == gathering::Code::kInvalid && !error.message.empty(), "a refusal says why");
  }
  return 0;
}
