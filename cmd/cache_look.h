#pragma once
// What a daemon, or all of them together, said of its caches at one moment.
//
// Read from GET /health/caches; what a newer daemon says beyond this is passed over.  Counts are since the
// start of the daemon, times in milliseconds unless the name says otherwise.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/timestamp.h"

namespace gathering::cmd {

// What the hit ratio would be at another size.
struct CacheAdvice {
  double factor = 0;  // of the bound there is
  std::int64_t entries_max = 0;
  std::optional<double> hit_ratio = {};  // none: not known yet

  static void Fields(auto& self, auto& visit) {
    visit("factor", self.factor);
    visit("entries_max", self.entries_max);
    visit("hit_ratio", self.hit_ratio);
  }
};

struct CacheEvictions {
  std::int64_t entries = 0;  // for the bound of entries
  std::int64_t bytes = 0;    // for the bound of bytes
  std::int64_t expired = 0;
  std::int64_t invalidated = 0;

  static void Fields(auto& self, auto& visit) {
    visit("entries", self.entries);
    visit("bytes", self.bytes);
    visit("expired", self.expired);
    visit("invalidated", self.invalidated);
  }
};

struct CacheLook {
  std::string name;
  std::string policy;
  std::int64_t entries = 0;
  std::int64_t entries_max = 0;
  std::int64_t bytes = 0;
  std::int64_t bytes_max = 0;  // negative: without a bound
  std::int64_t hits = 0;
  std::int64_t misses = 0;
  std::optional<double> hit_ratio = {};        // none: nothing was asked for
  std::optional<double> hits_per_second = {};  // since the look before
  std::int64_t loads = 0;
  std::int64_t load_failures = 0;
  std::int64_t joined = 0;
  double load_ms = 0;  // all loads together
  CacheEvictions evictions = {};
  std::int64_t refused = 0;
  std::int64_t outdated = 0;
  std::int64_t oldest_ms = 0;
  std::vector<CacheAdvice> advice = {};

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("policy", self.policy);
    visit("entries", self.entries);
    visit("entries_max", self.entries_max);
    visit("bytes", self.bytes);
    visit("bytes_max", self.bytes_max);
    visit("hits", self.hits);
    visit("misses", self.misses);
    visit("hit_ratio", self.hit_ratio);
    visit("hits_per_second", self.hits_per_second);
    visit("loads", self.loads);
    visit("load_failures", self.load_failures);
    visit("joined", self.joined);
    visit("load_ms", self.load_ms);
    visit("evictions", self.evictions);
    visit("refused", self.refused);
    visit("outdated", self.outdated);
    visit("oldest_ms", self.oldest_ms);
    visit("advice", self.advice);
  }
};

struct InstanceLook {
  std::string instance;   // a UUID
  std::string name = {};  // host:pid
  std::string version = {};
  std::int64_t age_ms = 0;
  std::vector<CacheLook> caches = {};

  static void Fields(auto& self, auto& visit) {
    visit("instance", self.instance);
    visit("name", self.name);
    visit("version", self.version);
    visit("age_ms", self.age_ms);
    visit("caches", self.caches);
  }
};

struct CachesLook {
  std::int64_t schema = 1;
  std::string time = {};  // RFC 3339
  std::vector<CacheLook> caches = {};
  std::vector<InstanceLook> instances = {};  // empty: one was asked, for itself

  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("time", self.time);
    visit("caches", self.caches);
    visit("instances", self.instances);
  }
};

// Throws Error kInternal when it is no such answer.
[[nodiscard]] CachesLook ReadLook(const std::string& json, Timestamp now);

// With instances, makes `caches` what they are together: sums, the oldest of all, ratios of the sums.
void MergeInstances(CachesLook& look);

// Leaves only these; throws UsageError when there is none of a name.  Empty: all.
void KeepCaches(CachesLook& look, const std::vector<std::string>& names);

// From the same look before.  Nothing when other instances were asked, or a count went back.
void AddRates(CachesLook& look, const CachesLook& before, std::chrono::duration<double> between);

}  // namespace gathering::cmd
