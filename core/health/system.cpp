#include "core/health/system.h"

#include <sys/statvfs.h>

#include <charconv>
#include <cmath>

namespace gathering::health {
namespace {

constexpr double kGigabyte = 1024.0 * 1024.0 * 1024.0;

double Rounded(double value, double steps) {
  return std::round(value * steps) / steps;
}

double Gigabytes(double bytes) {
  return Rounded(bytes / kGigabyte, 100);
}

double Percent(double part, double whole) {
  return whole > 0 ? Rounded(part / whole * 100, 10) : 0;
}

// Takes the text up to `separator` off the front of `rest`.
std::string_view Next(std::string_view& rest, char separator) {
  const auto end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return part;
}

std::string_view SkipSpaces(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t:");
  return begin == std::string_view::npos ? std::string_view{} : text.substr(begin);
}

template <class T>
T Number(std::string_view text) {
  T value = 0;
  text = SkipSpaces(text);
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

CpuTimes ParseStat(std::string_view text) {
  constexpr int kIdle = 3;
  constexpr int kIowait = 4;
  constexpr int kColumns = 8;  // the columns behind count guests' time, which user and nice have already
  CpuTimes times;
  while (!text.empty()) {
    std::string_view line = Next(text, '\n');
    if (!line.starts_with("cpu")) continue;
    const std::string_view name = Next(line, ' ');
    if (name.size() > 3) {
      ++times.cpus;
      continue;
    }
    line = SkipSpaces(line);
    for (int column = 0; column < kColumns && !line.empty(); ++column) {
      const auto ticks = Number<std::uint64_t>(Next(line, ' '));
      times.total += ticks;
      if (column != kIdle && column != kIowait) times.busy += ticks;
    }
  }
  return times;
}

double BusyPercent(const CpuTimes& before, const CpuTimes& now) {
  if (now.total <= before.total || now.busy < before.busy) return 0;
  const auto busy = static_cast<double>(now.busy - before.busy);
  return std::min(100.0, Percent(busy, static_cast<double>(now.total - before.total)));
}

MemoryMetrics ParseMeminfo(std::string_view text) {
  constexpr double kKilobyte = 1024;
  double total = 0;
  double available = 0;
  double idle = 0;  // free, buffers and cached: what nobody would miss
  while (!text.empty()) {
    std::string_view line = Next(text, '\n');
    const std::string_view name = Next(line, ':');
    const double bytes = Number<double>(line) * kKilobyte;
    if (name == "MemTotal") total = bytes;
    if (name == "MemAvailable") available = bytes;
    if (name == "MemFree" || name == "Buffers" || name == "Cached" || name == "SReclaimable") idle += bytes;
  }
  return {.total_gb = Gigabytes(total),
          .available_gb = Gigabytes(available),
          .used_gb = Gigabytes(std::max(0.0, total - idle)),
          .percent = Percent(total - available, total)};
}

LoadAverage ParseLoadavg(std::string_view text) {
  LoadAverage load;
  load.one = Number<double>(Next(text, ' '));
  load.five = Number<double>(Next(text, ' '));
  load.fifteen = Number<double>(Next(text, ' '));
  return load;
}

std::optional<double> ParseCpuinfoMhz(std::string_view text) {
  double sum = 0;
  int cpus = 0;
  while (!text.empty()) {
    const std::string_view line = Next(text, '\n');
    if (!line.starts_with("cpu MHz")) continue;
    sum += Number<double>(line.substr(std::string_view{"cpu MHz"}.size()));
    ++cpus;
  }
  if (cpus == 0) return std::nullopt;
  return Rounded(sum / cpus, 1000);
}

DiskMetrics ReadDisk(const std::string& path) {
  struct statvfs stat {};
  if (::statvfs(path.c_str(), &stat) != 0) return {};
  const auto block = static_cast<double>(stat.f_frsize);
  const double used = block * static_cast<double>(stat.f_blocks - stat.f_bfree);
  const double available = block * static_cast<double>(stat.f_bavail);
  return {.total_gb = Gigabytes(block * static_cast<double>(stat.f_blocks)),
          .used_gb = Gigabytes(used),
          .free_gb = Gigabytes(available),
          .percent = Percent(used, used + available)};
}

}  // namespace gathering::health
