#pragma once
// Whether the Redis of rate_limits.redis_url will do.  Asks PING and INFO only.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/doctor/examination.h"

namespace gathering::doctor {

// What follows "name:" at the beginning of a line of an INFO answer; empty: nothing does.
[[nodiscard]] std::string InfoField(std::string_view info, std::string_view name);

// Scripts that read the clock and then write need Redis 5.
[[nodiscard]] Finding JudgeRedisVersion(const std::string& version);
// Every key of a limit has a lifetime, so it may be evicted by any policy that evicts at all; volatile-ttl
// takes first what would be forgotten next anyway.
[[nodiscard]] Finding JudgeEviction(std::string_view maxmemory_bytes, std::string_view policy);
// The median of some round trips against rate_limits.redis_timeout, after which decisions are made locally.
[[nodiscard]] Finding JudgeRoundTrip(std::chrono::microseconds median, std::chrono::milliseconds timeout);

struct RedisOptions {
  std::string url;
  std::chrono::milliseconds timeout{20};      // rate_limits.redis_timeout
  std::chrono::milliseconds deadline{5'000};  // of all questions together
};
[[nodiscard]] Subject RedisSubject(RedisOptions options, const Clock& clock);

}  // namespace gathering::doctor
