#pragma once
// Whether caches are well, for monitoring that runs Nagios plugins:
//
//   hit_ratio<0.6             critical while it holds of any cache
//   warn:fill>=0.95           a warning
//   tokens:load_failures>0    of one cache
//
// [warn:][CACHE:]METRIC OP VALUE, where METRIC is hit_ratio, entries, bytes, fill (entries of the most there
// may be), load_failures, evictions (for want of room) or refused, and OP is < <= > or >=.  The hit ratio of
// a cache that nothing was asked of is none and meets no condition.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/cache_look.h"

namespace gathering::cmd {

// The exit codes of plugins.
enum class Health : std::uint8_t { kOk = 0, kWarning = 1, kCritical = 2, kUnknown = 3 };

class CacheCondition {
 public:
  // Throws UsageError that says what is wrong with `text`.
  explicit CacheCondition(std::string_view text);

  [[nodiscard]] const std::string& cache() const { return cache_; }  // empty: all
  [[nodiscard]] Health severity() const { return severity_; }

  // "tokens: hit_ratio is 0.52, <0.6" when it holds.
  [[nodiscard]] std::optional<std::string> Find(const CacheLook& cache) const;

 private:
  enum class Relation : std::uint8_t { kLess, kAtMost, kMore, kAtLeast };

  void ReadMetric(std::string_view name);
  void ReadRelation(std::string_view text);
  [[nodiscard]] bool Holds(double measured) const;
  [[noreturn]] void Refuse(std::string_view reason) const;

  std::string text_;
  Health severity_ = Health::kCritical;
  std::string cache_;
  std::size_t metric_ = 0;
  std::string bound_;  // operator and value, as typed
  Relation relation_ = Relation::kLess;
  double value_ = 0;
};

struct CheckResult {
  Health health = Health::kOk;
  std::string line;  // "CACHES OK - … | performance data", without its end
};

// Throws UsageError when a condition names a cache there is none of.
[[nodiscard]] CheckResult CheckCaches(const std::vector<CacheCondition>& conditions, const CachesLook& look);

// When the caches could not be looked at.
[[nodiscard]] CheckResult UnknownCaches(std::string_view why);

}  // namespace gathering::cmd
