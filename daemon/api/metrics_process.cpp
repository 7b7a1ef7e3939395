#include "core/base/log.h"
#include "core/health/process.h"
#include "daemon/api/metrics_families.h"

namespace gathering::http {
namespace {

using health::ProcessMetrics;
using metrics::Exposition;
using metrics::Kind;

constexpr Column<ProcessMetrics, std::optional<double>> kSeconds[] = {
    {{Kind::kCounter, "process_cpu_seconds_total", "Time of all threads on a CPU"},
     &ProcessMetrics::cpu_seconds},
    {{Kind::kGauge, "process_start_time_seconds", "When the process started, since 1970"},
     &ProcessMetrics::start_time_seconds},
};

constexpr Column<ProcessMetrics, std::optional<std::int64_t>> kNumbers[] = {
    {{Kind::kGauge, "process_virtual_memory_bytes", "Address space"}, &ProcessMetrics::virtual_memory_bytes},
    {{Kind::kGauge, "process_resident_memory_bytes", "Memory that is resident"},
     &ProcessMetrics::resident_memory_bytes},
    {{Kind::kGauge, "process_open_fds", "File descriptors that are open"}, &ProcessMetrics::open_fds},
    {{Kind::kGauge, "process_max_fds", "File descriptors that may be open"}, &ProcessMetrics::max_fds},
    {{Kind::kGauge, "process_threads", "Threads"}, &ProcessMetrics::threads},
};

void WriteKnown(const auto& columns, const ProcessMetrics& process, Exposition& out) {
  for (const auto& column : columns) {
    out.Begin(column.family);
    if (const auto& value = process.*column.member) out.Sample({}, *value);
  }
}

}  // namespace

void WriteProcessMetrics(Exposition& out) {
  const ProcessMetrics process = health::ReadProcess();
  WriteKnown(kSeconds, process, out);
  WriteKnown(kNumbers, process, out);
  out.Begin(
      {Kind::kCounter, "gathering_log_lines_dropped_total", "Log lines that nobody could take in time"});
  out.Sample({}, log::Dropped());
  out.Begin({Kind::kInfo, "gathering_build_info", "Which program this is"});
  out.Sample({{"version", GATHERING_VERSION}}, 1);
}

}  // namespace gathering::http
