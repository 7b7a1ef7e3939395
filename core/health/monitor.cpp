#include "core/health/monitor.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/base/text.h"
#include "core/db/queries.h"

namespace gathering::health {
namespace {

// The kernel counts ticks of 10 ms: two readings closer than this say nothing.
constexpr std::chrono::milliseconds kCpuWindowMin{100};

std::string Existing(const std::string& path) {
  struct stat found {};
  return !path.empty() && ::stat(path.c_str(), &found) == 0 ? path : "/";
}

std::string OneDecimal(double value, const char* unit) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.1f%s", value, unit);
  return text.data();
}

std::string Duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%lldh %lldm %llds", static_cast<long long>(whole / 3600),
                static_cast<long long>(whole / 60 % 60), static_cast<long long>(whole % 60));
  return text.data();
}

struct Bounds {
  double warning = 0;
  double critical = 0;
};

CheckStatus StatusOf(double value, const Bounds& bounds) {
  if (value >= bounds.critical) return CheckStatus::kCritical;
  return value >= bounds.warning ? CheckStatus::kWarning : CheckStatus::kHealthy;
}

std::string_view Words(CheckStatus status) {
  switch (status) {
    case CheckStatus::kHealthy:
      return "Normal";
    case CheckStatus::kWarning:
      return "High";
    case CheckStatus::kCritical:
      return "Critically high";
  }
  return {};
}

}  // namespace

Counts Count(db::Executor& db) {
  return db.One<Counts>(sql::kHealthCounts);
}

void Ask(db::Executor& db) {
  db.Run(sql::kHealthAsk);
}

Monitor::Monitor(const Clock& clock, MonitorOptions options)
    : clock_(clock), options_(std::move(options)), started_(clock.Now()) {}

double Monitor::UptimeSeconds() const {
  return std::chrono::duration<double>(clock_.Now() - started_).count();
}

SystemMetrics Monitor::System() {
  SystemMetrics metrics;
  const CpuTimes times = ParseStat(ReadText(options_.proc_dir + "/stat"));
  const Clock::Steady now = clock_.Now();
  metrics.cpu.percent = cpu_.With([&](Cpu& cpu) {
    if (!cpu.read_at || now - *cpu.read_at >= kCpuWindowMin) {
      cpu.percent = BusyPercent(cpu.times, times);
      cpu.times = times;
      cpu.read_at = now;
    }
    return cpu.percent;
  });
  metrics.cpu.count = times.cpus;
  metrics.cpu.frequency_mhz = ParseCpuinfoMhz(ReadText(options_.proc_dir + "/cpuinfo"));
  metrics.memory = ParseMeminfo(ReadText(options_.proc_dir + "/meminfo"));
  metrics.disk = ReadDisk(Existing(options_.data_dir));
  metrics.load_average = ParseLoadavg(ReadText(options_.proc_dir + "/loadavg"));
  metrics.uptime_seconds = UptimeSeconds();
  return metrics;
}

std::optional<bool> Monitor::DatabaseKnown() {
  const Clock::Steady now = clock_.Now();
  return database_.With([&](Database& database) -> std::optional<bool> {
    if (database.answered_at) {
      const auto age = now - *database.answered_at;
      const bool being_asked = database.asked_at && now - *database.asked_at < kQuestionMax;
      if (age < kAnswerRemembered || (being_asked && age < kAnswerRemembered + kQuestionMax)) {
        return database.answered;
      }
    }
    database.asked_at = now;
    return std::nullopt;
  });
}

void Monitor::DatabaseAnswered(bool answered) {
  const Clock::Steady now = clock_.Now();
  database_.With([&](Database& database) {
    database.answered = answered;
    database.answered_at = now;
    database.asked_at.reset();
  });
}

CheckList Judge(const Findings& findings) {
  CheckList list;
  const auto add = [&](std::string name, CheckStatus status, std::string_view message,
                       std::optional<std::string> value) {
    list.overall_status = std::max(list.overall_status, status);
    list.checks.push_back({std::move(name), status, std::string{message}, std::move(value), findings.now});
  };
  const auto measure = [&](std::string name, double value, const Bounds& bounds, const char* unit) {
    const CheckStatus status = StatusOf(value, bounds);
    add(std::move(name), status, Words(status), OneDecimal(value, unit));
  };
  const SystemMetrics& system = findings.system;
  const double load =
      system.load_average.one / static_cast<double>(std::max<std::int64_t>(1, system.cpu.count));
  add("API Server", CheckStatus::kHealthy, "Responding normally", std::nullopt);
  if (findings.database_answers) {
    add("Database", CheckStatus::kHealthy, "PostgreSQL connected", std::nullopt);
  } else {
    add("Database", CheckStatus::kCritical, "PostgreSQL does not answer", std::nullopt);
  }
  measure("Memory Usage", system.memory.percent, {.warning = 70, .critical = 90}, "%");
  measure("Disk Usage", system.disk.percent, {.warning = 80, .critical = 90}, "%");
  measure("CPU Load", load, {.warning = 1, .critical = 2}, " per CPU");
  add("Uptime", CheckStatus::kHealthy, "Running", Duration(system.uptime_seconds));
  return list;
}

}  // namespace gathering::health
