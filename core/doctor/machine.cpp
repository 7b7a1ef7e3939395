#include "core/doctor/machine.h"

#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/doctor/files.h"

namespace gathering::doctor {
namespace {

constexpr int kReadings = 10'000;
constexpr std::int64_t kOtherFiles = 64;    // streams, logs, listeners, each loop's own
constexpr std::int64_t kOtherThreads = 16;  // those there is one of (ARCHITECTURE.md)
constexpr std::int64_t kEventThreads = 100;
constexpr std::int64_t kBucketBytes = 44;  // of a client, in each of the tiers
constexpr std::int64_t kTiers = 5;
constexpr std::uint64_t kSharedBuffers = 128ULL * 1'024 * 1'024;  // of the embedded PostgreSQL
constexpr std::uint64_t kUnlimited = 1ULL << 62;

std::optional<std::uint64_t> ReadNumber(const std::string& path) {
  const std::string text = ReadText(path);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return number;
}

// The nearest of what the kernel, the user and the control group allow.
std::optional<std::uint64_t> ThreadLimit() {
  std::optional<std::uint64_t> nearest = ReadNumber("/proc/sys/kernel/threads-max");
  const auto bound = [&](std::optional<std::uint64_t> limit) {
    if (limit && *limit < kUnlimited) nearest = std::min(nearest.value_or(*limit), *limit);
  };
  rlimit limit{};
  if (::geteuid() != 0 && ::getrlimit(RLIMIT_NPROC, &limit) == 0) bound(limit.rlim_cur);
  for (const std::string& line : Split(ReadText("/proc/self/cgroup"), '\n')) {
    if (line.starts_with("0::")) bound(ReadNumber("/sys/fs/cgroup" + line.substr(3) + "/pids.max"));
  }
  return nearest;
}

Finding LookAtSynchronisation() {
  timex answer{};
  const int state = ::adjtimex(&answer);
  return JudgeSynchronisation(state, answer.status, answer.maxerror);
}

Finding LookAtMonotonic(const Clock& clock) {
  bool went_back = false;
  Clock::Steady last = clock.Now();
  for (int i = 0; i < kReadings; ++i) {
    const Clock::Steady now = clock.Now();
    went_back = went_back || now < last;
    last = now;
  }
  const std::string source = ReadText("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  return JudgeMonotonic(Trimmed(source), went_back);
}

}  // namespace

Need NeedOf(const Config& config, std::uint32_t loops) {
  const CachesConfig& caches = config.caches;
  std::uint64_t bytes = 0;
  for (const std::uint32_t one :
       {caches.tokens.bytes, caches.event_history.bytes, caches.agents.bytes, caches.sessions.bytes,
        caches.circles.bytes, caches.personas.bytes, caches.providers.bytes, caches.models.bytes}) {
    bytes += one;
  }
  if (caches.bytes > 0) bytes = std::min<std::uint64_t>(bytes, caches.bytes);
  if (config.rate_limits.enabled) bytes += std::uint64_t{config.rate_limits.keys_max} * kTiers * kBucketBytes;
  if (config.database.pool.url.empty()) bytes += kSharedBuffers;
  constexpr std::int64_t kReadsAndWrites = 2;
  constexpr std::int64_t kLogAndCancellations = 2;
  const std::int64_t pool = config.database.pool.connections_max;
  Need need;
  need.database_connections =
      pool + kReadsAndWrites * loops * config.database.pipeline.connections + kLogAndCancellations;
  need.files = config.http.limits.connections_max + need.database_connections + loops + kOtherFiles;
  need.threads = loops + pool + config.auth.hash_threads + kEventThreads + kOtherThreads;
  need.memory_bytes = bytes;
  return need;
}

Finding JudgeSynchronisation(int state, int status, std::int64_t error_micros) {
  const std::string name = "clock.synchronised";
  if (state < 0) return Skipped(name, "the kernel does not tell");
  if (state == TIME_ERROR || (status & STA_UNSYNC) != 0) {
    return Warning(name, "nothing keeps the system's clock right",
                   "run an NTP client such as chrony or systemd-timesyncd");
  }
  constexpr double kMicrosPerMilli = 1'000;
  return Ok(name, fmt::format("right within {:.0f} ms", static_cast<double>(error_micros) / kMicrosPerMilli));
}

Finding JudgeMonotonic(std::string_view source, bool went_back) {
  const std::string name = "clock.monotonic";
  if (went_back) {
    return Failed(name, "the monotonic clock goes back, and with it every deadline",
                  "choose another clock source of the kernel, or mend the hypervisor");
  }
  for (const std::string_view slow : {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"}) {
    if (source == slow) {
      return Warning(name, fmt::format("the clock source {} takes long to read", source),
                     "see why the kernel does not use tsc or kvm-clock");
    }
  }
  return Ok(name, source.empty() ? "never goes back" : fmt::format("never goes back; read from {}", source));
}

Finding JudgeFiles(std::uint64_t hard_limit, const Need& need) {
  const std::string name = "limits.files";
  const auto wanted = static_cast<std::uint64_t>(need.files);
  if (hard_limit >= kUnlimited) return Ok(name, fmt::format("no limit; {} may be needed", wanted));
  const std::string found = fmt::format("{} may be open; {} may be needed", hard_limit, wanted);
  if (hard_limit >= wanted) return Ok(name, found);
  return Failed(name, found,
                fmt::format("raise the hard limit to {} (LimitNOFILE= of the unit, ulimit -Hn), or lower "
                            "http.limits.connections_max",
                            wanted));
}

Finding JudgeMemory(const std::optional<health::MemoryUse>& use, const Need& need) {
  const std::string name = "limits.memory";
  if (!use) return Skipped(name, "the kernel does not tell");
  const std::uint64_t available = use->max - std::min(use->used, use->max);
  const std::string found = fmt::format("{} of {} available; caches and limits may take {}",
                                        SizeText(available), SizeText(use->max), SizeText(need.memory_bytes));
  if (available >= need.memory_bytes) return Ok(name, found);
  return Warning(name, found, "lower caches.bytes, or give the daemon more memory");
}

Finding JudgeThreads(const std::optional<std::uint64_t>& limit, const Need& need) {
  const std::string name = "limits.threads";
  if (!limit) return Ok(name, fmt::format("no limit; {} may be needed", need.threads));
  const std::string found = fmt::format("{} may run; {} may be needed", *limit, need.threads);
  if (*limit >= static_cast<std::uint64_t>(need.threads)) return Ok(name, found);
  return Failed(name, found,
                "raise the limit (TasksMax= of the unit, ulimit -u), or lower database.pool.connections_max");
}

Subject ClockSubject(const Clock& clock) {
  return {.checks = {"clock.synchronised", "clock.monotonic"}, .look = [&clock](const Tell& tell) {
            tell(LookAtSynchronisation());
            tell(LookAtMonotonic(clock));
          }};
}

Subject LimitsSubject(const Need& need) {
  return {.checks = {"limits.files", "limits.memory", "limits.threads"}, .look = [need](const Tell& tell) {
            rlimit files{};
            if (::getrlimit(RLIMIT_NOFILE, &files) != 0)
              throw Error{Code::kInternal, "the limit on open files cannot be read"};
            tell(JudgeFiles(files.rlim_max, need));
            tell(JudgeMemory(health::ReadMemoryUse(), need));
            tell(JudgeThreads(ThreadLimit(), need));
          }};
}

}  // namespace gathering::doctor
