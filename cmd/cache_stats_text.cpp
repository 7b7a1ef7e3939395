#include "cmd/cache_stats_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace gathering::cmd {
namespace {

constexpr std::int64_t kExactBelow = 10'000;
constexpr double kMillisPerSecond = 1'000;
constexpr double kPercent = 100;
constexpr double kWorthPoints = 1;       // of the hit ratio: from here on more room is worth it
constexpr double kHarmlessPoints = 0.1;  // below this less room does no harm
constexpr std::string_view kNone = "-";

// With one decimal, unless it is 0.
std::string Short(double number) {
  std::string text = fmt::format("{:.1f}", number);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

struct Unit {
  std::string_view name;
  double size;
};

// In the largest unit of which there is at least one; the first is the smallest.
template <std::size_t N>
std::string InUnits(double number, const Unit (&units)[N]) {
  const Unit* best = &units[0];
  for (const Unit& unit : units) {
    if (number >= unit.size) best = &unit;
  }
  return Short(number / best->size) + std::string{best->name};
}

std::string RatioText(std::optional<double> ratio) {
  return ratio ? fmt::format("{:.1f}", *ratio * kPercent) : std::string{kNone};
}

// --- tables ----------------------------------------------------------------------------------------

using Row = std::vector<std::string>;

std::size_t Columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// The first `left` columns begin at their left, the others end at their right.
std::string Aligned(const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - Columns(row[i]), ' ');
      if (i > 0) text += "  ";
      text += i < left ? row[i] + gap : gap + row[i];
    }
    text.resize(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

Row RowOf(const CacheLook& cache) {
  const std::string bytes_max = cache.bytes_max < 0 ? std::string{kNone} : BytesText(cache.bytes_max);
  return {cache.name,
          cache.policy,
          CountText(cache.entries) + "/" + CountText(cache.entries_max),
          BytesText(cache.bytes) + "/" + bytes_max,
          RatioText(cache.hit_ratio),
          cache.hits_per_second ? Short(*cache.hits_per_second) : std::string{kNone},
          CountText(cache.loads),
          CountText(cache.load_failures),
          CountText(cache.evictions.entries),
          CountText(cache.evictions.bytes),
          CountText(cache.evictions.expired),
          CountText(cache.evictions.invalidated),
          cache.entries > 0 ? AgeText(cache.oldest_ms) : std::string{kNone}};
}

std::string InstancesText(const std::vector<InstanceLook>& instances) {
  std::vector<std::string> names;
  for (const InstanceLook& one : instances)
    names.push_back(fmt::format("{} ({} ago)", one.name, AgeText(one.age_ms)));
  return fmt::format("{} instance{} together: {}\n", instances.size(), instances.size() == 1 ? "" : "s",
                     fmt::join(names, ", "));
}

// --- advice ----------------------------------------------------------------------------------------

std::string FactorText(double factor) {
  if (factor == 0.5) return "half";
  if (factor == 1) return "the same";
  if (factor == 2) return "twice";
  if (factor == 4) return "four times";
  return Short(factor) + " times";
}

std::optional<double> RatioAt(const CacheLook& cache, double factor) {
  const auto found = std::ranges::find(cache.advice, factor, &CacheAdvice::factor);
  return found == cache.advice.end() ? std::nullopt : found->hit_ratio;
}

std::string Judgement(const CacheLook& cache) {
  const auto same = RatioAt(cache, 1);
  const auto twice = RatioAt(cache, 2);
  if (!same || !twice) return "what other sizes would bring is not known yet";
  const auto points = [&](double ratio) { return std::max(0.0, (ratio - *same) * kPercent); };
  const double gain = points(*twice);
  if (gain >= kWorthPoints)
    return fmt::format("twice the entries would raise the hit ratio by {:.1f} points: worth trying", gain);
  if (const auto four = RatioAt(cache, 4); four && points(*four) >= kWorthPoints) {
    return fmt::format(
        "twice the entries would raise the hit ratio by {:.1f} points, four times by {:.1f}: "
        "only the latter is worth trying",
        gain, points(*four));
  }
  if (const auto half = RatioAt(cache, 0.5); half && (*same - *half) * kPercent < kHarmlessPoints) {
    return fmt::format("half the entries would lower the hit ratio by {:.1f} points: it may be smaller",
                       std::max(0.0, (*same - *half) * kPercent));
  }
  return fmt::format("twice the entries would raise the hit ratio by {:.1f} points: not worth it", gain);
}

// --- CSV -------------------------------------------------------------------------------------------

constexpr std::string_view kLineEnd = "\r\n";

std::string Quoted(std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) return std::string{field};
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? std::string{"\"\""} : std::string(1, c);
  return text + "\"";
}

std::string NumberOrNothing(std::optional<double> number) {
  return number ? fmt::format("{}", *number) : std::string{};
}

// --- Prometheus ------------------------------------------------------------------------------------

struct Metric {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::optional<double> (*read)(const CacheLook& cache);
};

template <auto member>
std::optional<double> Plain(const CacheLook& cache) {
  return static_cast<double>(cache.*member);
}

constexpr Metric kMetrics[] = {
    {"gathering_cache_entries", "gauge", "Entries there are.", &Plain<&CacheLook::entries>},
    {"gathering_cache_entries_max", "gauge", "Entries there may be.", &Plain<&CacheLook::entries_max>},
    {"gathering_cache_bytes", "gauge", "Keys, values and what keeping them costs.",
     &Plain<&CacheLook::bytes>},
    {"gathering_cache_bytes_max", "gauge", "Bytes there may be.",
     [](const CacheLook& c) {
       return c.bytes_max < 0 ? std::nullopt : std::optional{static_cast<double>(c.bytes_max)};
     }},
    {"gathering_cache_hits_total", "counter", "Questions that were answered.", &Plain<&CacheLook::hits>},
    {"gathering_cache_misses_total", "counter", "Questions without an answer, or with one too old.",
     &Plain<&CacheLook::misses>},
    {"gathering_cache_hit_ratio", "gauge", "Hits of all questions since the start.",
     [](const CacheLook& c) { return c.hit_ratio; }},
    {"gathering_cache_loads_total", "counter", "Loads that answered.", &Plain<&CacheLook::loads>},
    {"gathering_cache_load_failures_total", "counter", "Loads that failed.",
     &Plain<&CacheLook::load_failures>},
    {"gathering_cache_load_seconds_total", "counter", "Time of all loads together.",
     [](const CacheLook& c) { return std::optional{c.load_ms / kMillisPerSecond}; }},
    {"gathering_cache_joined_total", "counter", "Callers who waited for a load of somebody else.",
     &Plain<&CacheLook::joined>},
    {"gathering_cache_refused_total", "counter", "Entries larger than all there may be.",
     &Plain<&CacheLook::refused>},
    {"gathering_cache_outdated_total", "counter", "Answers that came after what made them wrong.",
     &Plain<&CacheLook::outdated>},
    {"gathering_cache_oldest_seconds", "gauge", "Age of the oldest answer.",
     [](const CacheLook& c) { return std::optional{static_cast<double>(c.oldest_ms) / kMillisPerSecond}; }},
};

std::string Label(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? std::string{"\\n"} : std::string(1, c);
  }
  return text;
}

std::string Head(std::string_view name, std::string_view type, std::string_view help) {
  return fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

std::string EvictionsExposed(const CachesLook& look) {
  constexpr std::string_view kName = "gathering_cache_evictions_total";
  std::string text = Head(kName, "counter", "Entries that left, by cause.");
  for (const CacheLook& cache : look.caches) {
    const std::pair<std::string_view, std::int64_t> causes[] = {{"entries", cache.evictions.entries},
                                                                {"bytes", cache.evictions.bytes},
                                                                {"expired", cache.evictions.expired},
                                                                {"invalidated", cache.evictions.invalidated}};
    for (const auto& [cause, count] : causes)
      text += fmt::format("{}{{cache=\"{}\",cause=\"{}\"}} {}\n", kName, Label(cache.name), cause, count);
  }
  return text;
}

}  // namespace

std::string CountText(std::int64_t count) {
  constexpr Unit kUnits[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}};
  return count < kExactBelow ? fmt::format("{}", count) : InUnits(static_cast<double>(count), kUnits);
}

std::string BytesText(std::int64_t bytes) {
  constexpr Unit kUnits[] = {
      {" B", 1}, {" KiB", 0x1p10}, {" MiB", 0x1p20}, {" GiB", 0x1p30}, {" TiB", 0x1p40}};
  return InUnits(static_cast<double>(bytes), kUnits);
}

std::string AgeText(std::int64_t milliseconds) {
  constexpr Unit kUnits[] = {{" ms", 1}, {" s", 1e3}, {" min", 6e4}, {" h", 3.6e6}, {" d", 8.64e7}};
  return InUnits(static_cast<double>(milliseconds), kUnits);
}

std::string CachesText(const CachesLook& look) {
  std::vector<Row> rows = {{"", "", "", "", "", "", "", "", "evicted", "", "", "", ""},
                           {"cache", "policy", "entries", "bytes", "hit %", "hits/s", "loads", "failed",
                            "for entries", "for bytes", "expired", "invalidated", "oldest"}};
  for (const CacheLook& cache : look.caches) rows.push_back(RowOf(cache));
  std::string text = Aligned(rows, 2);
  if (!look.instances.empty()) text += InstancesText(look.instances);
  return text;
}

std::string AdviceText(const CacheLook& cache) {
  std::string text = fmt::format(
      "\n{}: {}\n", cache.name,
      cache.hit_ratio ? fmt::format("the hit ratio is {} %, and would be", RatioText(cache.hit_ratio))
                      : std::string{"nothing was asked for yet"});
  std::vector<Row> rows = {{"  with", "entries", "hit %"}};
  for (const CacheAdvice& one : cache.advice)
    rows.push_back({"  " + FactorText(one.factor), CountText(one.entries_max), RatioText(one.hit_ratio)});
  if (rows.size() > 1) text += Aligned(rows, 1);
  return text + Judgement(cache) + "\n";
}

std::string CachesCsvHeader() {
  return fmt::format(
      "time,instances,cache,policy,entries,entries_max,bytes,bytes_max,hits,misses,hit_ratio,"
      "hits_per_second,loads,load_failures,joined,load_ms,evicted_for_entries,"
      "evicted_for_bytes,expired,invalidated,refused,outdated,oldest_ms{}",
      kLineEnd);
}

std::string CachesCsv(const CachesLook& look) {
  std::string text;
  for (const CacheLook& c : look.caches) {
    const std::string bytes_max = c.bytes_max < 0 ? std::string{} : fmt::format("{}", c.bytes_max);
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}{}", look.time,
                        std::max<std::size_t>(look.instances.size(), 1), Quoted(c.name), Quoted(c.policy),
                        c.entries, c.entries_max, c.bytes, bytes_max, c.hits, c.misses,
                        NumberOrNothing(c.hit_ratio), NumberOrNothing(c.hits_per_second), c.loads,
                        c.load_failures, c.joined, c.load_ms, c.evictions.entries, c.evictions.bytes,
                        c.evictions.expired, c.evictions.invalidated, c.refused, c.outdated, c.oldest_ms,
                        kLineEnd);
  }
  return text;
}

std::string CachesPrometheus(const CachesLook& look) {
  std::string text;
  for (const Metric& metric : kMetrics) {
    text += Head(metric.name, metric.type, metric.help);
    for (const CacheLook& cache : look.caches) {
      if (const auto value = metric.read(cache))
        text += fmt::format("{}{{cache=\"{}\"}} {}\n", metric.name, Label(cache.name), *value);
    }
  }
  text += EvictionsExposed(look);
  if (look.instances.empty()) return text;
  return text + Head("gathering_instances", "gauge", "Daemons these numbers are of.") +
         fmt::format("gathering_instances {}\n", look.instances.size());
}

}  // namespace gathering::cmd
