#include <chrono>
#include <limits>

#include "core/cache/budget.h"
#include "core/cache/registry.h"
#include "daemon/answers/answers.h"
#include "daemon/api/metrics_families.h"

namespace gathering::http {
namespace {

using cache::Snapshot;
using cache::Statistics;
using metrics::Exposition;
using metrics::Kind;

constexpr Column<Snapshot, std::uint64_t> kSizes[] = {
    {{Kind::kGauge, "gathering_cache_entries", "Entries that are kept"}, &Snapshot::entries},
    {{Kind::kGauge, "gathering_cache_bytes", "Memory of keys, values and what keeping them costs"},
     &Snapshot::bytes},
};

constexpr Column<Statistics, std::uint64_t> kCounters[] = {
    {{Kind::kCounter, "gathering_cache_hits_total", "Questions that were answered"}, &Statistics::hits},
    {{Kind::kCounter, "gathering_cache_misses_total", "Questions whose answer was absent or too old"},
     &Statistics::misses},
    {{Kind::kCounter, "gathering_cache_loads_total", "Loads that answered"}, &Statistics::loads},
    {{Kind::kCounter, "gathering_cache_load_failures_total", "Loads that failed"},
     &Statistics::load_failures},
    {{Kind::kCounter, "gathering_cache_joined_total", "Callers who waited for somebody else's load"},
     &Statistics::joined},
    {{Kind::kCounter, "gathering_cache_refused_total", "Entries larger than all there may be"},
     &Statistics::refused},
    {{Kind::kCounter, "gathering_cache_outdated_total", "Answers that came after what made them wrong"},
     &Statistics::outdated},
};

struct Cause {
  std::string_view name;
  std::uint64_t Statistics::*count;
};
constexpr Cause kCauses[] = {{"entries", &Statistics::evicted_for_entries},
                             {"bytes", &Statistics::evicted_for_bytes},
                             {"expired", &Statistics::expired},
                             {"invalidated", &Statistics::invalidated}};

void WriteBounds(const std::vector<Snapshot>& caches, Exposition& out) {
  constexpr std::uint64_t kUnbounded = std::numeric_limits<std::uint64_t>::max();
  out.Begin({Kind::kGauge, "gathering_cache_max_entries", "Entries that may be kept"});
  for (const Snapshot& one : caches) out.Sample({{"cache", one.name}}, one.bounds.entries_max);
  out.Begin({Kind::kGauge, "gathering_cache_max_bytes", "Memory they may take"});
  for (const Snapshot& one : caches) {
    if (one.bounds.bytes_max != kUnbounded) out.Sample({{"cache", one.name}}, one.bounds.bytes_max);
  }
}

void WriteCounters(const std::vector<Snapshot>& caches, Exposition& out) {
  for (const auto& column : kCounters) {
    out.Begin(column.family);
    for (const Snapshot& one : caches) out.Sample({{"cache", one.name}}, one.statistics.*column.member);
  }
  out.Begin({Kind::kCounter, "gathering_cache_load_seconds_total", "Time of all loads together"});
  for (const Snapshot& one : caches) {
    out.Sample({{"cache", one.name}}, std::chrono::duration<double>(one.statistics.load_time).count());
  }
  out.Begin({Kind::kCounter, "gathering_cache_evictions_total",
             "Entries that left, by the bound they were over, or why they did not hold any more"});
  for (const Snapshot& one : caches) {
    for (const Cause& cause : kCauses)
      out.Sample({{"cache", one.name}, {"cause", cause.name}}, one.statistics.*cause.count);
  }
}

// Of all caches together.
void WriteAll(const Services& services, Exposition& out) {
  const cache::BudgetStats budget = services.budget.Stats();
  out.Begin({Kind::kGauge, "gathering_caches_part_ratio",
             "Of their bounds that caches have now: less with a budget, or while memory is short"});
  out.Sample({}, budget.part);
  out.Begin({Kind::kCounter, "gathering_caches_shrinks_total", "How often memory was short"});
  out.Sample({}, budget.shrinks);
  out.Begin({Kind::kGauge, "gathering_answers_current",
             "1: changes are being heard of, so that answers may come from memory"});
  out.Sample({}, services.answers.current() ? 1 : 0);
  out.Begin({Kind::kCounter, "gathering_answers_bypassed_total",
             "Answers that did not come from memory because changes were not being heard of"});
  out.Sample({}, services.answers.bypassed());
}

}  // namespace

void WriteCacheMetrics(const Services& services, Exposition& out) {
  const std::vector<Snapshot> caches = services.caches.Look();
  WriteColumns(out, kSizes, caches, [](const Snapshot& one) { return metrics::Label{"cache", one.name}; });
  WriteBounds(caches, out);
  WriteCounters(caches, out);
  out.Begin({Kind::kGauge, "gathering_cache_oldest_age_seconds", "Age of the oldest answer"});
  for (const Snapshot& one : caches) {
    if (one.entries > 0) out.Sample({{"cache", one.name}}, std::chrono::duration<double>(one.oldest).count());
  }
  WriteAll(services, out);
}

}  // namespace gathering::http
