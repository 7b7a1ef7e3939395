#include "daemon/api/health_caches.h"

#include <utility>

#include "core/cache/budget.h"
#include "core/cache/registry.h"
#include "core/instances/instances.h"
#include "core/schema/writer.h"
#include "daemon/answers/answers.h"
#include "daemon/api/number.h"

namespace gathering::http {
namespace {

constexpr double kNanosPerMilli = 1e6;

CacheReport Report(const cache::Snapshot& seen) {
  const cache::Statistics& all = seen.statistics;
  CacheReport report{.name = seen.name,
                     .policy = std::string{seen.policy},
                     .entries = Number(seen.entries),
                     .entries_max = Number(seen.bounds.entries_max),
                     .bytes = Number(seen.bytes),
                     .bytes_max = Number(seen.bounds.bytes_max),
                     .hits = Number(all.hits),
                     .misses = Number(all.misses),
                     .hit_ratio = std::nullopt,
                     .loads = Number(all.loads),
                     .load_failures = Number(all.load_failures),
                     .joined = Number(all.joined),
                     .load_ms = static_cast<double>(all.load_time.count()) / kNanosPerMilli,
                     .evictions = {.entries = Number(all.evicted_for_entries),
                                   .bytes = Number(all.evicted_for_bytes),
                                   .expired = Number(all.expired),
                                   .invalidated = Number(all.invalidated)},
                     .refused = Number(all.refused),
                     .outdated = Number(all.outdated),
                     .oldest_ms = seen.oldest.count(),
                     .advice = {}};
  for (const cache::Advice& advice : seen.advice) {
    report.advice.push_back(
        {.factor = advice.factor, .entries_max = Number(advice.entries_max), .hit_ratio = advice.hit_ratio});
  }
  if (const std::uint64_t asked = all.hits + all.misses; asked > 0)
    report.hit_ratio = static_cast<double>(all.hits) / static_cast<double>(asked);
  return report;
}

std::vector<CacheReport> Report(const cache::Registry& caches) {
  std::vector<CacheReport> reports;
  for (const cache::Snapshot& seen : caches.Look()) reports.push_back(Report(seen));
  return reports;
}

InstanceReport Report(instances::Instance instance) {
  return {.instance = instance.instance,
          .name = std::move(instance.name),
          .version = std::move(instance.version),
          .started_at = instance.started_at,
          .age_ms = instance.age_ms,
          .caches = {std::move(instance.caches.text)}};
}

// What this one wrote last is older than what it can say.
std::vector<InstanceReport> Instances(Call& call) {
  std::vector<InstanceReport> reports;
  reports.push_back(Report(call.services().presence.Own()));
  for (instances::Instance& one : instances::Present(call.db())) {
    if (one.instance != reports.front().instance) reports.push_back(Report(std::move(one)));
  }
  return reports;
}

}  // namespace

CachesReport ReportCaches(Call& call, Query<CachesWanted> wanted) {
  CachesReport report{.caches = Report(call.services().caches)};
  if (wanted->all_instances) report.instances = Instances(call);
  const cache::BudgetStats budget = call.services().budget.Stats();
  report.budget_bytes = Number(budget.bytes_max);
  report.part = budget.part;
  report.shrinks = Number(budget.shrinks);
  const Answers& answers = call.services().answers;
  report.current = answers.current();
  report.bypassed = Number(answers.bypassed());
  return report;
}

std::string CachesJson(const cache::Registry& caches) {
  return schema::ToJson(Report(caches));
}

}  // namespace gathering::http
