#pragma once
// The daemon's own view of its health: the machine, the database, and both
// condensed into a list of checks.  Safe from any thread.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/guarded.h"
#include "core/base/timestamp.h"
#include "core/db/tx.h"
#include "core/health/system.h"
#include "core/schema/fields.h"

namespace gathering::health {

// Probes come often and from several sides: one answer of the database serves those of a second,
// and a question may take as long.
inline constexpr std::chrono::seconds kAnswerRemembered{1};
inline constexpr std::chrono::seconds kQuestionMax{1};

enum class CheckStatus : std::uint8_t { kHealthy, kWarning, kCritical };

struct Check {
  std::string name;
  CheckStatus status = CheckStatus::kHealthy;
  std::optional<std::string> message;
  std::optional<std::string> value;
  Timestamp last_check;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.required = true});
    visit("status", self.status, {.required = true});
    visit("message", self.message);
    visit("value", self.value);
    visit("last_check", self.last_check, {.required = true});
  }
};

struct CheckList {
  std::vector<Check> checks;
  CheckStatus overall_status = CheckStatus::kHealthy;  // the worst of them

  static void Fields(auto& self, auto& visit) {
    visit("checks", self.checks, {.required = true});
    visit("overall_status", self.overall_status, {.doc = "The worst of the checks", .required = true});
  }
};

struct Counts {
  std::int64_t agents = 0;
  std::int64_t circles = 0;
  std::int64_t active_tasks = 0;

  static void Fields(auto& self, auto& visit) {
    visit("agents", self.agents);
    visit("circles", self.circles);
    visit("active_tasks", self.active_tasks);
  }
};
[[nodiscard]] Counts Count(db::Executor& db);

// The least a database can be asked.
void Ask(db::Executor& db);

struct MonitorOptions {
  std::string data_dir;  // whose file system is watched; the root's when this does not exist
  std::string proc_dir = "/proc";
};

class Monitor {
 public:
  Monitor(const Clock& clock, MonitorOptions options);

  [[nodiscard]] double UptimeSeconds() const;  // since the monitor was made

  // Reads /proc: quick, but blocks.  CPU use counts from the last reading that is at least
  // 100 ms old, so that nobody has to wait for a second sample; the first one counts from boot.
  [[nodiscard]] SystemMetrics System();

  // Whether the database answered lately; nullopt asks the caller to find out and to call
  // DatabaseAnswered.  While somebody is finding out, others are told the last answer.
  [[nodiscard]] std::optional<bool> DatabaseKnown();
  void DatabaseAnswered(bool answered);

 private:
  struct Cpu {
    CpuTimes times;
    std::optional<Clock::Steady> read_at;
    double percent = 0;
  };
  struct Database {
    bool answered = false;
    std::optional<Clock::Steady> answered_at;
    std::optional<Clock::Steady> asked_at;
  };

  const Clock& clock_;
  const MonitorOptions options_;
  const Clock::Steady started_;
  Guarded<Cpu> cpu_;
  Guarded<Database> database_;
};

struct Findings {
  SystemMetrics system = {};
  bool database_answers = false;
  Timestamp now = {};
};
// Memory warns from 70 % and is critical from 90 %, the disk from 80 % and 90 %, the load from one
// and two waiting for each CPU.
[[nodiscard]] CheckList Judge(const Findings& findings);

}  // namespace gathering::health

template <>
struct gathering::schema::Names<gathering::health::CheckStatus> {
  static constexpr std::string_view kTexts[] = {"healthy", "warning", "critical"};
};
