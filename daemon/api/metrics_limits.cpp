#include <algorithm>

#include "daemon/api/metrics_families.h"
#include "daemon/limits/limiter.h"

namespace gathering::http {
namespace {

using limits::BreakerState;
using limits::RedisLimiterStats;
using metrics::Exposition;
using metrics::Kind;

constexpr Column<limits::StoreStats, std::uint64_t> kStoreGauges[] = {
    {{Kind::kGauge, "gathering_rate_limit_keys", "Clients in a tier who have spent something"},
     &limits::StoreStats::keys},
    {{Kind::kGauge, "gathering_rate_limit_max_keys", "Those of whom can be remembered"},
     &limits::StoreStats::keys_max},
    {{Kind::kGauge, "gathering_rate_limit_memory_bytes", "Memory that is kept for them"},
     &limits::StoreStats::bytes},
};

constexpr Column<limits::LockoutStats, std::uint64_t> kLockoutGauges[] = {
    {{Kind::kGauge, "gathering_login_backoff_accounts", "Accounts remembered for failed logins"},
     &limits::LockoutStats::accounts},
    {{Kind::kGauge, "gathering_login_backoff_accounts_waiting", "Accounts that may not try a password now"},
     &limits::LockoutStats::waiting},
};

constexpr Column<RedisLimiterStats, std::uint64_t> kRedisCounters[] = {
    {{Kind::kCounter, "gathering_rate_limit_redis_connects_total", "Connections made"},
     &RedisLimiterStats::connects},
    {{Kind::kCounter, "gathering_rate_limit_redis_connect_failures_total",
      "Connections that could not be made"},
     &RedisLimiterStats::connect_failures},
    {{Kind::kCounter, "gathering_rate_limit_redis_breaker_opened_total", "Times Redis was given up"},
     &RedisLimiterStats::opened},
    {{Kind::kCounter, "gathering_rate_limit_redis_memory_lost_total", "Times Redis turned out to be empty"},
     &RedisLimiterStats::memory_lost},
    {{Kind::kCounter, "gathering_rate_limit_redis_batches_total", "Batches of questions sent"},
     &RedisLimiterStats::batches},
};

struct BreakerName {
  BreakerState state;
  std::string_view name;
};
constexpr BreakerName kBreakers[] = {
    {BreakerState::kClosed, "closed"}, {BreakerState::kOpen, "open"}, {BreakerState::kNoServer, "no_server"}};

struct Answer {
  std::string_view by;
  std::string_view outcome;
  std::uint64_t RedisLimiterStats::*count;
};
constexpr Answer kRedisAnswers[] = {{"redis", "allowed", &RedisLimiterStats::shared_allowed},
                                    {"redis", "refused", &RedisLimiterStats::shared_limited},
                                    {"local", "allowed", &RedisLimiterStats::local_allowed},
                                    {"local", "refused", &RedisLimiterStats::local_limited}};

struct Cause {
  std::string_view name;
  std::uint64_t RedisLimiterStats::*count;
};
constexpr Cause kCauses[] = {{"away", &RedisLimiterStats::away},
                             {"timeout", &RedisLimiterStats::timeouts},
                             {"error", &RedisLimiterStats::errors},
                             {"lost", &RedisLimiterStats::lost},
                             {"full", &RedisLimiterStats::full}};

void WriteDecisions(const std::vector<TierStats>& tiers, Exposition& out) {
  out.Begin({Kind::kCounter, "gathering_rate_limit_decisions_total",
             "Decisions on requests by tier; shadowed: would have been refused"});
  for (const TierStats& tier : tiers) {
    // Counted one after the other, so for a moment there may be more of the second.
    const std::uint64_t refused = tier.limited - std::min(tier.limited, tier.shadowed);
    out.Sample({{"tier", tier.name}, {"outcome", "allowed"}}, tier.allowed);
    out.Sample({{"tier", tier.name}, {"outcome", "refused"}}, refused);
    out.Sample({{"tier", tier.name}, {"outcome", "shadowed"}}, tier.shadowed);
  }
}

void WriteStore(const limits::StoreStats& store, Exposition& out) {
  WriteColumns(out, kStoreGauges, store);
  WriteOne(out, {Kind::kCounter, "gathering_rate_limit_evictions_total", "Clients forgotten to make room"},
           store.evictions);
  out.Begin({Kind::kCounter, "gathering_rate_limit_overflow_decisions_total",
             "Decisions in a bucket that newcomers share for lack of room"});
  out.Sample({{"outcome", "allowed"}}, store.overflow_allowed);
  out.Sample({{"outcome", "refused"}}, store.overflow_limited);
}

void WriteLockout(const limits::LockoutStats& lockout, Exposition& out) {
  WriteColumns(out, kLockoutGauges, lockout);
  out.Begin({Kind::kCounter, "gathering_login_backoff_tries_total",
             "Tries at a password; refused: while the account had to wait"});
  out.Sample({{"outcome", "allowed"}}, lockout.allowed);
  out.Sample({{"outcome", "refused"}}, lockout.refused);
}

std::uint64_t Sum(const std::vector<RedisLimiterStats>& lanes, std::uint64_t RedisLimiterStats::*count) {
  std::uint64_t sum = 0;
  for (const RedisLimiterStats& lane : lanes) sum += lane.*count;
  return sum;
}

// Of all loops together.  Without Redis there are no samples.
void WriteRedis(const std::vector<RedisLimiterStats>& lanes, Exposition& out) {
  const bool used = !lanes.empty();
  out.Begin({Kind::kGauge, "gathering_rate_limit_redis_loops",
             "Loops by what they think of Redis; closed: it decides"});
  for (const BreakerName& breaker : kBreakers) {
    if (used)
      out.Sample({{"breaker", breaker.name}},
                 std::ranges::count(lanes, breaker.state, &RedisLimiterStats::breaker));
  }
  out.Begin({Kind::kGauge, "gathering_rate_limit_redis_instances",
             "Daemons by which limits are divided while Redis does not decide"});
  if (used) out.Sample({}, std::ranges::max(lanes, {}, &RedisLimiterStats::instances).instances);
  out.Begin({Kind::kCounter, "gathering_rate_limit_redis_decisions_total", "Decisions by who made them"});
  for (const Answer& answer : kRedisAnswers) {
    if (used) out.Sample({{"by", answer.by}, {"outcome", answer.outcome}}, Sum(lanes, answer.count));
  }
  out.Begin(
      {Kind::kCounter, "gathering_rate_limit_redis_fallbacks_total", "Why decisions were made locally"});
  for (const Cause& cause : kCauses) {
    if (used) out.Sample({{"cause", cause.name}}, Sum(lanes, cause.count));
  }
  for (const auto& column : kRedisCounters) {
    out.Begin(column.family);
    if (used) out.Sample({}, Sum(lanes, column.member));
  }
}

}  // namespace

void WriteLimitMetrics(const Services& services, Exposition& out) {
  const LimiterStats stats = services.limiter.Stats();
  WriteOne(out, {Kind::kGauge, "gathering_rate_limit_enabled", "Whether requests are limited"},
           services.limiter.policy()->enabled());
  WriteDecisions(stats.tiers, out);
  WriteOne(out, {Kind::kCounter, "gathering_rate_limit_exempt_total", "Requests of clients without limits"},
           stats.exempt);
  WriteStore(stats.store, out);
  WriteLockout(stats.lockout, out);
  WriteRedis(stats.lanes, out);
}

}  // namespace gathering::http
