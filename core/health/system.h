#pragma once
// How busy and how full the machine is, as /proc and the file system tell it.
// The Parse functions read the texts of the files they are named after; what a
// text does not say is zero or absent, never a guess.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/schema/fields.h"

namespace gathering::health {

struct CpuMetrics {
  double percent = 0;  // 0 to 100, of all CPUs together, since the metrics were last read
  std::int64_t count = 0;
  std::optional<double> frequency_mhz = {};  // the mean of the CPUs that tell theirs

  static void Fields(auto& self, auto& visit) {
    visit("percent", self.percent, {.doc = "Since the metrics were last read", .required = true});
    visit("count", self.count, {.required = true});
    visit("frequency_mhz", self.frequency_mhz);
  }
};

// GB are 2^30 bytes, here and below.
struct MemoryMetrics {
  double total_gb = 0;
  double available_gb = 0;
  double used_gb = 0;
  double percent = 0;  // what is not available

  static void Fields(auto& self, auto& visit) {
    visit("total_gb", self.total_gb, {.required = true});
    visit("available_gb", self.available_gb, {.required = true});
    visit("used_gb", self.used_gb, {.required = true});
    visit("percent", self.percent, {.doc = "Of the memory that is not available", .required = true});
  }
};

struct DiskMetrics {
  double total_gb = 0;
  double used_gb = 0;
  double free_gb = 0;  // for users who are not root
  double percent = 0;  // used, of used and free

  static void Fields(auto& self, auto& visit) {
    visit("total_gb", self.total_gb, {.required = true});
    visit("used_gb", self.used_gb, {.required = true});
    visit("free_gb", self.free_gb, {.required = true});
    visit("percent", self.percent, {.required = true});
  }
};

struct LoadAverage {
  double one = 0;
  double five = 0;
  double fifteen = 0;

  static void Fields(auto& self, auto& visit) {
    visit("1min", self.one, {.required = true});
    visit("5min", self.five, {.required = true});
    visit("15min", self.fifteen, {.required = true});
  }
};

struct SystemMetrics {
  CpuMetrics cpu = {};
  MemoryMetrics memory = {};
  DiskMetrics disk = {};
  LoadAverage load_average = {};
  double uptime_seconds = 0;  // of the daemon

  static void Fields(auto& self, auto& visit) {
    visit("cpu", self.cpu, {.required = true});
    visit("memory", self.memory, {.required = true});
    visit("disk", self.disk, {.doc = "The file system of the data directory", .required = true});
    visit("load_average", self.load_average, {.required = true});
    visit("uptime_seconds", self.uptime_seconds, {.doc = "Of the daemon", .required = true});
  }
};

// Ticks since the machine started, of all CPUs together.
struct CpuTimes {
  std::uint64_t busy = 0;
  std::uint64_t total = 0;
  std::int64_t cpus = 0;
};

[[nodiscard]] CpuTimes ParseStat(std::string_view text);
[[nodiscard]] MemoryMetrics ParseMeminfo(std::string_view text);
[[nodiscard]] LoadAverage ParseLoadavg(std::string_view text);
[[nodiscard]] std::optional<double> ParseCpuinfoMhz(std::string_view text);

// The share of busy ticks between two readings, 0 to 100 with one decimal; 0 when no time passed.
[[nodiscard]] double BusyPercent(const CpuTimes& before, const CpuTimes& now);

// Zero when nothing is mounted there.
[[nodiscard]] DiskMetrics ReadDisk(const std::string& path);

}  // namespace gathering::health
