#include "core/bench/condition.h"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/value.h"

namespace gathering::bench {
namespace {

enum class Unit : std::uint8_t { kNumber, kTime };

struct Metric {
  std::string_view name;
  Unit unit;
  double (*read)(const Result& result);
};

constexpr Metric kMetrics[] = {
    {"rate", Unit::kNumber, [](const Result& r) { return r.rate; }},
    {"mean", Unit::kTime, [](const Result& r) { return r.latency_us.mean; }},
    {"p50", Unit::kTime, [](const Result& r) { return r.latency_us.p50; }},
    {"p90", Unit::kTime, [](const Result& r) { return r.latency_us.p90; }},
    {"p99", Unit::kTime, [](const Result& r) { return r.latency_us.p99; }},
    {"p99.9", Unit::kTime, [](const Result& r) { return r.latency_us.p99_9; }},
    {"max", Unit::kTime, [](const Result& r) { return r.latency_us.max; }},
    {"wait", Unit::kTime, [](const Result& r) { return r.wait_us; }},
    {"execution", Unit::kTime, [](const Result& r) { return r.execution_us; }},
    {"trips", Unit::kNumber, [](const Result& r) { return r.round_trips; }},
    {"errors", Unit::kNumber, [](const Result& r) { return static_cast<double>(r.errors); }},
    {"missed", Unit::kNumber, [](const Result& r) { return static_cast<double>(r.missed); }},
};

struct TimeUnit {
  std::string_view name;
  double micros;
};

constexpr TimeUnit kTimeUnits[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}};

[[noreturn]] void Refuse(std::string_view condition, std::string_view reason) {
  throw Error{Code::kInvalid, fmt::format("'{}' is no condition like 'p99>20ms': {}", condition, reason)};
}

// A number, and what follows it.
std::optional<std::pair<double, std::string_view>> ReadNumber(std::string_view text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || !(number >= 0) || number > 1e15) return std::nullopt;
  return std::pair{number, Trimmed(text.substr(static_cast<std::size_t>(end - text.data())))};
}

}  // namespace

Condition::Condition(std::string_view text) : text_(Trimmed(text)) {
  const std::string_view rest = ReadScope(text_);
  if (rest == "slower") return;
  const std::size_t at = rest.find_first_of("<>");
  if (at == std::string_view::npos) Refuse(text_, "it has neither > nor <");
  const std::string_view name = Trimmed(rest.substr(0, at));
  std::vector<std::string_view> names;
  for (const Metric& metric : kMetrics) {
    if (metric.name == name) metric_ = names.size();
    names.push_back(metric.name);
  }
  if (names[metric_] != name) {
    Refuse(text_, fmt::format("there is no metric '{}', only {}{}", name, fmt::join(names, ", "),
                              DidYouMean(name, names)));
  }
  ReadRelation(rest.substr(at));
}

// Answers what follows the scope.
std::string_view Condition::ReadScope(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return text;
  std::string_view scope = Trimmed(text.substr(0, colon));
  if (const std::size_t at = scope.find('@'); at != std::string_view::npos) {
    const auto clients = config::ParseInteger(Trimmed(scope.substr(at + 1)));
    if (!clients || *clients < 1) Refuse(text_, "after @ comes a number of clients");
    clients_ = *clients;
    scope = scope.substr(0, at);
  }
  const std::size_t slash = scope.find('/');
  scenario_ = Trimmed(scope.substr(0, slash));
  if (slash != std::string_view::npos) variant_ = Trimmed(scope.substr(slash + 1));
  return Trimmed(text.substr(colon + 1));
}

void Condition::ReadRelation(std::string_view text) {
  const bool more = text.front() == '>';
  const bool equal = text.substr(1).starts_with('=');
  relation_ =
      more ? (equal ? Relation::kAtLeast : Relation::kMore) : (equal ? Relation::kAtMost : Relation::kLess);
  ReadValue(Trimmed(text.substr(equal ? 2 : 1)));
}

void Condition::ReadValue(std::string_view text) {
  const auto number = ReadNumber(text);
  if (!number) Refuse(text_, fmt::format("'{}' is no number", text));
  value_ = number->first;
  if (kMetrics[metric_].unit == Unit::kNumber) {
    if (!number->second.empty()) Refuse(text_, fmt::format("'{}' has no unit", kMetrics[metric_].name));
    return;
  }
  for (const TimeUnit& unit : kTimeUnits) {
    if (unit.name != number->second) continue;
    value_ *= unit.micros;
    return;
  }
  Refuse(text_, "a duration ends with us, ms or s");
}

bool Condition::Concerns(std::string_view scenario, std::string_view variant, std::int64_t clients) const {
  return (scenario_.empty() || scenario_ == scenario) && (variant_.empty() || variant_ == variant) &&
         (clients_ == 0 || clients_ == clients);
}

bool Condition::Holds(double measured) const {
  switch (relation_) {
    case Relation::kMore:
      return measured > value_;
    case Relation::kAtLeast:
      return measured >= value_;
    case Relation::kLess:
      return measured < value_;
    case Relation::kAtMost:
      return measured <= value_;
    case Relation::kSlower:
      break;
  }
  return false;
}

std::vector<Violation> Condition::Find(const Report& report) const {
  std::vector<Violation> found;
  const auto add = [&](const auto& about, double value) {
    found.push_back({text_, about.scenario, about.variant, about.clients, value});
  };
  if (compares()) {
    for (const Comparison& one : report.comparison) {
      const bool concerned = Concerns(one.scenario, one.variant, one.clients);
      if (concerned && one.verdict == Verdict::kSlower) add(one, one.ratio);
    }
    return found;
  }
  for (const Result& result : report.results) {
    const double measured = kMetrics[metric_].read(result);
    if (Concerns(result.scenario, result.variant, result.clients) && Holds(measured)) add(result, measured);
  }
  return found;
}

}  // namespace gathering::bench
