#pragma once
// What this process takes of its machine, as /proc tells it.
//
// What a text does not say is absent, never a guess.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gathering::health {

struct ProcessMetrics {
  std::optional<double> cpu_seconds = {};         // of all threads, in the kernel and outside
  std::optional<double> start_time_seconds = {};  // since 1970
  std::optional<std::int64_t> threads = {};
  std::optional<std::int64_t> virtual_memory_bytes = {};
  std::optional<std::int64_t> resident_memory_bytes = {};
  std::optional<std::int64_t> open_fds = {};
  std::optional<std::int64_t> max_fds = {};
};

// The units in which the kernel counts.
struct KernelUnits {
  double ticks_per_second = 100;
  std::int64_t page_bytes = 4'096;
};

// Fills in what /proc/PID/stat says, for which `boot_time_seconds` (since 1970) is needed to tell the start.
void ParseProcessStat(std::string_view text, const KernelUnits& units,
                      std::optional<double> boot_time_seconds, ProcessMetrics& metrics);

// When the machine started, in seconds since 1970, from /proc/stat.
[[nodiscard]] std::optional<double> ParseBootTime(std::string_view text);

// Of this process.  Reads files: quick, but blocks.
[[nodiscard]] ProcessMetrics ReadProcess(const std::string& proc_dir = "/proc");

}  // namespace gathering::health
