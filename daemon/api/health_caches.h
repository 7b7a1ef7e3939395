#pragma once
// GET /health/caches: every bounded store in memory, how full it is and what it is good for, for operators.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/timestamp.h"
#include "core/base/uuid.h"
#include "core/cache/registry.h"
#include "core/schema/fields.h"
#include "daemon/http/call.h"
#include "daemon/http/route.h"

namespace gathering::http {

struct EvictionReport {
  std::int64_t entries = 0;
  std::int64_t bytes = 0;
  std::int64_t expired = 0;
  std::int64_t invalidated = 0;

  static void Fields(auto& self, auto& visit) {
    visit("entries", self.entries, {.doc = "For the bound of entries"});
    visit("bytes", self.bytes, {.doc = "For the bound of bytes"});
    visit("expired", self.expired);
    visit("invalidated", self.invalidated, {.doc = "Because what they told of was changed"});
  }
};

struct AdviceReport {
  double factor = 1;
  std::int64_t entries_max = 0;
  std::optional<double> hit_ratio;

  static void Fields(auto& self, auto& visit) {
    visit("factor", self.factor, {.doc = "Of the size now"});
    visit("entries_max", self.entries_max);
    visit("hit_ratio", self.hit_ratio, {.doc = "Rehearsed with a sample of keys; null: too few to tell"});
  }
};

struct CacheReport {
  std::string name;
  std::string policy;
  std::int64_t entries = 0;
  std::int64_t entries_max = 0;
  std::int64_t bytes = 0;
  std::int64_t bytes_max = 0;
  std::int64_t hits = 0;
  std::int64_t misses = 0;
  std::optional<double> hit_ratio;
  std::int64_t loads = 0;
  std::int64_t load_failures = 0;
  std::int64_t joined = 0;
  double load_ms = 0;
  EvictionReport evictions;
  std::int64_t refused = 0;
  std::int64_t outdated = 0;
  std::int64_t oldest_ms = 0;
  std::vector<AdviceReport> advice;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.doc = "As in caches.NAME of the configuration"});
    visit("policy", self.policy, {.doc = "What leaves first: lru, sieve, s3fifo, or fifo, the oldest"});
    visit("entries", self.entries);
    visit("entries_max", self.entries_max);
    visit("bytes", self.bytes, {.doc = "Keys, values and what keeping them costs"});
    visit("bytes_max", self.bytes_max);
    visit("hits", self.hits, {.doc = "Since the start; counts below likewise"});
    visit("misses", self.misses, {.doc = "What was asked for was absent or too old"});
    visit("hit_ratio", self.hit_ratio, {.doc = "null: nothing was asked for"});
    visit("loads", self.loads, {.doc = "That answered"});
    visit("load_failures", self.load_failures);
    visit("joined", self.joined, {.doc = "Callers who waited for somebody else's load"});
    visit("load_ms", self.load_ms, {.doc = "All loads together"});
    visit("evictions", self.evictions);
    visit("refused", self.refused, {.doc = "Larger than all there may be"});
    visit("outdated", self.outdated, {.doc = "Answers that came after what made them wrong"});
    visit("oldest_ms", self.oldest_ms, {.doc = "Age of the oldest answer"});
    visit("advice", self.advice, {.doc = "What other sizes would bring; empty where nobody knows"});
  }
};

struct CachesWanted {
  bool all_instances = false;

  static void Fields(auto& self, auto& visit) {
    visit("all_instances", self.all_instances, {.doc = "Of every daemon on the database, too"});
  }
};

struct InstanceReport {
  Uuid instance;
  std::string name;
  std::string version;
  Timestamp started_at;
  std::int64_t age_ms = 0;
  schema::Json<std::vector<CacheReport>> caches{"[]"};

  static void Fields(auto& self, auto& visit) {
    visit("instance", self.instance);
    visit("name", self.name, {.doc = "HOST:PID"});
    visit("version", self.version);
    visit("started_at", self.started_at);
    visit("age_ms", self.age_ms, {.doc = "How long ago it said so; 0: this one"});
    visit("caches", self.caches);
  }
};

struct CachesReport {
  std::vector<CacheReport> caches;
  std::vector<InstanceReport> instances = {};
  std::int64_t budget_bytes = 0;
  double part = 1;
  std::int64_t shrinks = 0;
  bool current = false;
  std::int64_t bypassed = 0;

  static void Fields(auto& self, auto& visit) {
    visit("caches", self.caches, {.doc = "Of this daemon", .required = true});
    visit("instances", self.instances,
          {.doc = "With all_instances: every daemon heard of within 15 s, this one first"});
    visit("budget_bytes", self.budget_bytes, {.doc = "caches.bytes; 0: none", .required = true});
    visit("part", self.part,
          {.doc = "Of their bounds that caches have now: less with a budget, or while memory is short",
           .required = true});
    visit("shrinks", self.shrinks, {.doc = "How often memory was short", .required = true});
    visit("current", self.current,
          {.doc = "Changes are being heard of, so that answers may come from memory", .required = true});
    visit("bypassed", self.bypassed,
          {.doc = "Answers that did not come from memory because they were not", .required = true});
  }
};

[[nodiscard]] CachesReport ReportCaches(Call& call, Query<CachesWanted> wanted);

// The value of "caches" above, as what a daemon says of itself.  Safe from any thread.
[[nodiscard]] std::string CachesJson(const cache::Registry& caches);

}  // namespace gathering::http
