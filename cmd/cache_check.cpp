#include "cmd/cache_check.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "cmd/command.h"
#include "core/base/text.h"
#include "core/config/value.h"

namespace gathering::cmd {
namespace {

constexpr std::string_view kWarn = "warn";

struct Metric {
  std::string_view name;
  std::optional<double> (*read)(const CacheLook& cache);
};

double ToDouble(std::int64_t count) {
  return static_cast<double>(count);
}

std::optional<double> Fill(const CacheLook& cache) {
  if (cache.entries_max <= 0) return std::nullopt;
  return ToDouble(cache.entries) / ToDouble(cache.entries_max);
}

constexpr Metric kMetrics[] = {
    {"hit_ratio", [](const CacheLook& c) { return c.hit_ratio; }},
    {"entries", [](const CacheLook& c) { return std::optional{ToDouble(c.entries)}; }},
    {"bytes", [](const CacheLook& c) { return std::optional{ToDouble(c.bytes)}; }},
    {"fill", &Fill},
    {"load_failures", [](const CacheLook& c) { return std::optional{ToDouble(c.load_failures)}; }},
    {"evictions",
     [](const CacheLook& c) {
       return std::optional{ToDouble(c.evictions.entries) + ToDouble(c.evictions.bytes)};
     }},
    {"refused", [](const CacheLook& c) { return std::optional{ToDouble(c.refused)}; }},
};

std::optional<double> ReadNumber(std::string_view text) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure == std::errc{} && end == text.data() + text.size() && number >= 0 && number <= 1e18)
    return number;
  const auto size = config::ParseSize(text);
  return size ? std::optional{ToDouble(*size)} : std::nullopt;
}

std::string_view NameOf(Health health) {
  switch (health) {
    case Health::kOk:
      return "OK";
    case Health::kWarning:
      return "WARNING";
    case Health::kCritical:
      return "CRITICAL";
    case Health::kUnknown:
      break;
  }
  return "UNKNOWN";
}

// A bar would begin the performance data, a line end more text.
std::string OnOneLine(std::string_view text) {
  std::string line{text};
  std::ranges::replace(line, '|', '/');
  std::ranges::replace(line, '\n', ' ');
  return line;
}

// 'label'=value[unit];warn;crit;min;max
std::string PerformanceOf(const CacheLook& cache) {
  std::string name = cache.name;
  std::ranges::replace_if(
      name, [](char c) { return c == '\'' || c == '='; }, '_');
  std::string text;
  if (cache.hit_ratio) text += fmt::format(" '{}.hit_ratio'={:.4f};;;0;1", name, *cache.hit_ratio);
  text += fmt::format(" '{}.entries'={};;;0;{}", name, cache.entries, cache.entries_max);
  text += fmt::format(" '{}.bytes'={}B;;;0;", name, cache.bytes);
  if (cache.bytes_max >= 0) text += fmt::format("{}", cache.bytes_max);
  return text;
}

void RequireCaches(const std::vector<CacheCondition>& conditions, const CachesLook& look) {
  for (const CacheCondition& condition : conditions) {
    if (condition.cache().empty()) continue;
    CachesLook one = look;
    KeepCaches(one, {condition.cache()});
  }
}

}  // namespace

CacheCondition::CacheCondition(std::string_view text) : text_(Trimmed(text)) {
  std::string_view rest = text_;
  const auto take_word = [&rest]() -> std::string_view {
    const std::size_t colon = rest.find(':');
    if (colon == std::string_view::npos) return {};
    const std::string_view word = Trimmed(rest.substr(0, colon));
    rest = Trimmed(rest.substr(colon + 1));
    return word;
  };
  std::string_view word = take_word();
  if (word == kWarn) {
    severity_ = Health::kWarning;
    word = take_word();
  }
  cache_ = word;
  const std::size_t at = rest.find_first_of("<>");
  if (at == std::string_view::npos) Refuse("it has neither < nor >");
  ReadMetric(Trimmed(rest.substr(0, at)));
  ReadRelation(rest.substr(at));
}

void CacheCondition::Refuse(std::string_view reason) const {
  throw UsageError{fmt::format("--check: '{}' is no condition like 'hit_ratio<0.6': {}", text_, reason)};
}

void CacheCondition::ReadMetric(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Metric& metric : kMetrics) names.push_back(metric.name);
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) {
    Refuse(fmt::format("there is no metric '{}', only {}{}", name, fmt::join(names, ", "),
                       DidYouMean(name, names)));
  }
  metric_ = static_cast<std::size_t>(found - names.begin());
}

void CacheCondition::ReadRelation(std::string_view text) {
  const bool less = text.front() == '<';
  const bool equal = text.substr(1).starts_with('=');
  relation_ =
      less ? (equal ? Relation::kAtMost : Relation::kLess) : (equal ? Relation::kAtLeast : Relation::kMore);
  const std::string_view typed = Trimmed(text.substr(equal ? 2 : 1));
  const auto value = ReadNumber(typed);
  if (!value) Refuse(fmt::format("'{}' is no number", typed));
  value_ = *value;
  bound_ = fmt::format("{}{}{}", less ? '<' : '>', equal ? "=" : "", typed);
}

bool CacheCondition::Holds(double measured) const {
  switch (relation_) {
    case Relation::kLess:
      return measured < value_;
    case Relation::kAtMost:
      return measured <= value_;
    case Relation::kMore:
      return measured > value_;
    case Relation::kAtLeast:
      break;
  }
  return measured >= value_;
}

std::optional<std::string> CacheCondition::Find(const CacheLook& cache) const {
  if (!cache_.empty() && cache_ != cache.name) return std::nullopt;
  const std::optional<double> measured = kMetrics[metric_].read(cache);
  if (!measured || !Holds(*measured)) return std::nullopt;
  const bool whole = *measured == std::trunc(*measured);
  const std::string number = fmt::format("{:.{}f}", *measured, whole ? 0 : 4);
  return fmt::format("{}: {} is {}, {}", cache.name, kMetrics[metric_].name, number, bound_);
}

CheckResult CheckCaches(const std::vector<CacheCondition>& conditions, const CachesLook& look) {
  RequireCaches(conditions, look);
  std::vector<std::string> critical;
  std::vector<std::string> warnings;
  std::string performance;
  for (const CacheLook& cache : look.caches) {
    for (const CacheCondition& condition : conditions) {
      if (auto found = condition.Find(cache))
        (condition.severity() == Health::kCritical ? critical : warnings).push_back(*std::move(found));
    }
    performance += PerformanceOf(cache);
  }
  Health health = Health::kOk;
  if (!warnings.empty()) health = Health::kWarning;
  if (!critical.empty()) health = Health::kCritical;
  critical.insert(critical.end(), warnings.begin(), warnings.end());
  std::string what = fmt::format("{}", fmt::join(critical, "; "));
  if (critical.empty()) {
    std::vector<std::string_view> names;
    for (const CacheLook& cache : look.caches) names.push_back(cache.name);
    what = fmt::format("{}", fmt::join(names, ", "));
  }
  return {health, fmt::format("CACHES {} - {} |{}", NameOf(health), OnOneLine(what), OnOneLine(performance))};
}

CheckResult UnknownCaches(std::string_view why) {
  return {Health::kUnknown, fmt::format("CACHES {} - {}", NameOf(Health::kUnknown), OnOneLine(why))};
}

}  // namespace gathering::cmd
