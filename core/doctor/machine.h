#pragma once
// Whether this machine, and what it allows this process, will do for the daemon.  Looks only.
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/clock.h"
#include "core/config/config.h"
#include "core/doctor/examination.h"
#include "core/health/memory.h"

namespace gathering::doctor {

// What a daemon of a configuration takes when all its bounds are reached.
struct Need {
  std::int64_t database_connections = 0;
  std::int64_t files = 0;
  std::int64_t threads = 0;
  std::uint64_t memory_bytes = 0;  // of caches, limits and, where it is embedded, PostgreSQL's buffers
};
[[nodiscard]] Need NeedOf(const Config& config, std::uint32_t loops);

// Of the kernel's answer to adjtimex; negative: it refused.
[[nodiscard]] Finding JudgeSynchronisation(int state, int status, std::int64_t error_micros);
// `source` is the kernel's clocksource, empty when it is not known; `went_back` of two readings in turn.
[[nodiscard]] Finding JudgeMonotonic(std::string_view source, bool went_back);
[[nodiscard]] Finding JudgeFiles(std::uint64_t hard_limit, const Need& need);
[[nodiscard]] Finding JudgeMemory(const std::optional<health::MemoryUse>& use, const Need& need);
// `limit` is the nearest of several; none: there is none.
[[nodiscard]] Finding JudgeThreads(const std::optional<std::uint64_t>& limit, const Need& need);

[[nodiscard]] Subject ClockSubject(const Clock& clock);
[[nodiscard]] Subject LimitsSubject(const Need& need);

}  // namespace gathering::doctor
