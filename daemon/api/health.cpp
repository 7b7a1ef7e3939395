// /health: whether the daemon lives, can serve, and how the machine does.
#include "core/config/config.h"
#include "core/health/monitor.h"
#include "daemon/api/health_caches.h"
#include "daemon/api/health_database.h"
#include "daemon/api/health_events.h"
#include "daemon/api/health_limits.h"
#include "daemon/api/table.h"
#include "daemon/lifecycle.h"

namespace gathering::http {
namespace {

struct Health {
  std::string status;  // "healthy", or "unhealthy" when the counts are not known
  std::string version;
  double uptime_seconds = 0;
  std::int64_t agents_count = 0;
  std::int64_t circles_count = 0;
  std::int64_t active_tasks = 0;

  static void Fields(auto& self, auto& visit) {
    visit("status", self.status, {.doc = "unhealthy: the database is away and the counts are not known"});
    visit("version", self.version, {.required = true});
    visit("uptime_seconds", self.uptime_seconds, {.required = true});
    visit("agents_count", self.agents_count, {.required = true});
    visit("circles_count", self.circles_count, {.required = true});
    visit("active_tasks", self.active_tasks, {.required = true});
  }
};

struct Liveness {
  bool alive = true;

  static void Fields(auto& self, auto& visit) { visit("alive", self.alive, {.required = true}); }
};

// Runs `work` on the database for at most kQuestionMax; false when the database is away.
template <class F>
bool Asked(Call& call, F&& work) {
  try {
    work(call.db(call.clock().Now() + health::kQuestionMax));
    return true;
  } catch (const Error& error) {
    if (error.code != Code::kUnavailable && error.code != Code::kTimeout) throw;
    return false;
  }
}

bool DatabaseAnswers(Call& call) {
  health::Monitor& monitor = call.services().health;
  if (const auto known = monitor.DatabaseKnown()) return *known;
  const bool answers = Asked(call, [](db::Executor& db) { health::Ask(db); });
  monitor.DatabaseAnswered(answers);
  return answers;
}

health::SystemMetrics ReadSystem(Call& call) {
  return loop::RunOn(call.services().file_workers, call.deadline(),
                     [&] { return call.services().health.System(); });
}

Health Get(Call& call) {
  health::Counts counts;
  const bool known = Asked(call, [&](db::Executor& db) { counts = health::Count(db); });
  return {.status = known ? "healthy" : "unhealthy",
          .version = GATHERING_VERSION,
          .uptime_seconds = call.services().health.UptimeSeconds(),
          .agents_count = counts.agents,
          .circles_count = counts.circles,
          .active_tasks = counts.active_tasks};
}

Liveness Live(Call&) {
  return {};
}

Document Ready(Call& call) {
  if (call.services().lifecycle.draining()) {
    return {.status = 503, .body = R"({"ready":false,"reason":"shutting down"})"};
  }
  if (!DatabaseAnswers(call)) {
    return {.status = 503, .body = R"({"ready":false,"reason":"the database does not answer"})"};
  }
  return {.body = R"({"ready":true})"};
}

health::SystemMetrics System(Call& call) {
  return ReadSystem(call);
}

health::CheckList Checks(Call& call) {
  return health::Judge(
      {.system = ReadSystem(call), .database_answers = DatabaseAnswers(call), .now = call.clock().WallNow()});
}

constexpr Route kRoutes[] = {
    {"health.get", Method::kGet, "/health", Authority::kPublic, Tier::kHealth, Statements{1}, Handle<&Get>,
     "Version, uptime and what there is to count."},
    {"health.ready", Method::kGet, "/health/ready", Authority::kPublic, Tier::kHealth, Statements{1},
     Handle<&Ready>, "200 while requests can be served, else 503."},
    {"health.live", Method::kGet, "/health/live", Authority::kPublic, Tier::kHealth, kNoStatements,
     Handle<&Live>, "200 while the process answers."},
    {"health.system", Method::kGet, "/health/system", Authority::kUser, Tier::kHealth, kNoStatements,
     Handle<&System>, "CPU, memory, disk and load of the machine."},
    {"health.checks", Method::kGet, "/health/checks", Authority::kUser, Tier::kHealth, Statements{1},
     Handle<&Checks>, "The daemon, its database and its machine, judged."},
    {"health.caches", Method::kGet, "/health/caches", Authority::kAdmin, Tier::kHealth, Statements{1},
     Handle<&ReportCaches>, "The bounded stores in memory: how full they are, and how often they answer."},
    {"health.database", Method::kGet, "/health/database", Authority::kAdmin, Tier::kHealth, kNoStatements,
     Handle<&ReportDatabase>, "Connections, pipelines, statements and what each route needs of them."},
    {"health.events", Method::kGet, "/health/events", Authority::kAdmin, Tier::kHealth, kNoStatements,
     Handle<&ReportEvents>, "How the log of events is read, published and streamed."},
    {"health.limits", Method::kGet, "/health/limits", Authority::kAdmin, Tier::kHealth, kNoStatements,
     Handle<&ReportLimits>, "What the rate limits decide, and how full their memory is."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> HealthRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
