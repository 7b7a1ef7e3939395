#include "daemon/api/health_limits.h"

#include "daemon/api/number.h"
#include "daemon/limits/limiter.h"

namespace gathering::http {
namespace {

constexpr std::string_view kBreakers[] = {"closed", "open", "no server"};

RedisReport ReportRedis(const limits::RedisLimiterStats& lane) {
  return {.breaker = std::string{kBreakers[static_cast<std::size_t>(lane.breaker)]},
          .instances = lane.instances,
          .shared_allowed = Number(lane.shared_allowed),
          .shared_limited = Number(lane.shared_limited),
          .local_allowed = Number(lane.local_allowed),
          .local_limited = Number(lane.local_limited),
          .timeouts = Number(lane.timeouts),
          .errors = Number(lane.errors),
          .opened = Number(lane.opened),
          .connects = Number(lane.connects),
          .connect_failures = Number(lane.connect_failures),
          .batches = Number(lane.batches),
          .batch_max = Number(lane.batch_max),
          .latency_ms_max = static_cast<double>(lane.latency_max_us) / kMicrosPerMilli};
}

}  // namespace

LimitsReport ReportLimits(Call& call) {
  const Limiter& limiter = call.services().limiter;
  const LimiterStats stats = limiter.Stats();
  LimitsReport report{.enabled = limiter.policy()->enabled(),
                      .tiers = {},
                      .exempt = Number(stats.exempt),
                      .store = {.keys = Number(stats.store.keys),
                                .keys_max = Number(stats.store.keys_max),
                                .bytes = Number(stats.store.bytes),
                                .evictions = Number(stats.store.evictions),
                                .overflow_allowed = Number(stats.store.overflow_allowed),
                                .overflow_limited = Number(stats.store.overflow_limited)},
                      .lockout = {.accounts = Number(stats.lockout.accounts),
                                  .waiting = Number(stats.lockout.waiting),
                                  .tries = Number(stats.lockout.allowed),
                                  .refused = Number(stats.lockout.refused)},
                      .redis = {}};
  for (const TierStats& tier : stats.tiers) {
    report.tiers.push_back({.tier = tier.name,
                            .allowed = Number(tier.allowed),
                            .limited = Number(tier.limited),
                            .shadowed = Number(tier.shadowed)});
  }
  for (const limits::RedisLimiterStats& lane : stats.lanes) report.redis.push_back(ReportRedis(lane));
  return report;
}

}  // namespace gathering::http
