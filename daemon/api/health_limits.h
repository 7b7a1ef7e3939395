#pragma once
// GET /health/limits: what the rate limits decide and how full their memory is, for operators.
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/http/call.h"

namespace gathering::http {

struct TierReport {
  std::string tier;
  std::int64_t allowed = 0;
  std::int64_t limited = 0;
  std::int64_t shadowed = 0;

  static void Fields(auto& self, auto& visit) {
    visit("tier", self.tier, {.doc = "Or a route with a limit of its own"});
    visit("allowed", self.allowed, {.doc = "Decisions since the start; counts below likewise"});
    visit("limited", self.limited, {.doc = "Refused, or in the shadow would have been"});
    visit("shadowed", self.shadowed, {.doc = "Of these, let through because the tier is in the shadow"});
  }
};

struct LimitStoreReport {
  std::int64_t keys = 0;
  std::int64_t keys_max = 0;
  std::int64_t bytes = 0;
  std::int64_t evictions = 0;
  std::int64_t overflow_allowed = 0;
  std::int64_t overflow_limited = 0;

  static void Fields(auto& self, auto& visit) {
    visit("keys", self.keys, {.doc = "Clients in a tier who have spent something that is not back yet"});
    visit("keys_max", self.keys_max);
    visit("bytes", self.bytes, {.doc = "Allocated once, at start"});
    visit("evictions", self.evictions, {.doc = "Of clients who had everything back"});
    visit("overflow_allowed", self.overflow_allowed,
          {.doc = "Decided in a bucket that newcomers share because there was no room for one of their own"});
    visit("overflow_limited", self.overflow_limited);
  }
};

struct LockoutReport {
  std::int64_t accounts = 0;
  std::int64_t waiting = 0;
  std::int64_t tries = 0;
  std::int64_t refused = 0;

  static void Fields(auto& self, auto& visit) {
    visit("accounts", self.accounts, {.doc = "Remembered for failed logins"});
    visit("waiting", self.waiting, {.doc = "Of these, backing off now"});
    visit("tries", self.tries, {.doc = "Passwords that were looked at"});
    visit("refused", self.refused, {.doc = "Tries while the account was backing off"});
  }
};

struct RedisReport {
  std::string breaker;
  std::int64_t instances = 0;
  std::int64_t shared_allowed = 0;
  std::int64_t shared_limited = 0;
  std::int64_t local_allowed = 0;
  std::int64_t local_limited = 0;
  std::int64_t timeouts = 0;
  std::int64_t errors = 0;
  std::int64_t opened = 0;
  std::int64_t connects = 0;
  std::int64_t connect_failures = 0;
  std::int64_t batches = 0;
  std::int64_t batch_max = 0;
  double latency_ms_max = 0;

  static void Fields(auto& self, auto& visit) {
    visit("breaker", self.breaker,
          {.doc = "closed: Redis decides; open: not trusted; no server: not connected"});
    visit("instances", self.instances, {.doc = "By which limits are divided while Redis does not decide"});
    visit("shared_allowed", self.shared_allowed);
    visit("shared_limited", self.shared_limited);
    visit("local_allowed", self.local_allowed);
    visit("local_limited", self.local_limited);
    visit("timeouts", self.timeouts, {.doc = "Decisions that Redis did not make in time"});
    visit("errors", self.errors);
    visit("opened", self.opened, {.doc = "Times the breaker opened"});
    visit("connects", self.connects);
    visit("connect_failures", self.connect_failures);
    visit("batches", self.batches);
    visit("batch_max", self.batch_max);
    visit("latency_ms_max", self.latency_ms_max);
  }
};

struct LimitsReport {
  bool enabled = true;
  std::vector<TierReport> tiers;
  std::int64_t exempt = 0;
  LimitStoreReport store;
  LockoutReport lockout;
  std::vector<RedisReport> redis;

  static void Fields(auto& self, auto& visit) {
    visit("enabled", self.enabled);
    visit("tiers", self.tiers);
    visit("exempt", self.exempt, {.doc = "Requests of clients who are never limited"});
    visit("store", self.store);
    visit("lockout", self.lockout);
    visit("redis", self.redis, {.doc = "One for each event loop; empty: limits are this daemon's alone"});
  }
};

[[nodiscard]] LimitsReport ReportLimits(Call& call);

}  // namespace gathering::http
