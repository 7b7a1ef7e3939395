#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cmd/command.h"
#include "cmd/tool_database.h"
#include "core/auth/secret_file.h"
#include "core/auth/users.h"
#include "core/base/log.h"
#include "core/base/service_manager.h"
#include "core/config/passed_sockets.h"
#include "core/config/reload.h"
#include "core/db/embedded.h"
#include "core/db/migrate.h"
#include "daemon/api/table.h"
#include "daemon/daemon.h"

namespace gathering::cmd {
namespace {

using std::chrono::microseconds;

constexpr std::chrono::seconds kStatesApart{1};  // whoever asks sooner has just been told

// How long the service manager is asked to wait, whatever its unit says.
constexpr std::chrono::minutes kDatabaseStart{8};  // a new cluster and a recovery, with bounds of their own
constexpr std::chrono::minutes kMigration{60};     // of large tables
constexpr std::chrono::seconds kStopRest{30};      // after the last request: the pool, the private PostgreSQL

// Takes SIGHUP, SIGINT, SIGTERM and SIGUSR1, which no other thread sees.  Until the daemon serves, SIGINT and
// SIGTERM end the process at once; then the first one asks for an orderly stop, a SIGTERM after that for one
// that waits for nobody, and a SIGINT after that ends it at once.  SIGHUP asks for the configuration to be
// read again, SIGUSR1 for the state to be told, once a second at most; before serving they do nothing, and
// nor does SIGHUP while stopping.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGUSR1}) sigaddset(&set_, signal);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);  // every thread started later inherits this
    watcher_ = std::jthread{[this] { Watch(); }};
  }
  ~Signals() {
    {
      std::scoped_lock lock{mutex_};
      done_ = true;
    }
    pthread_kill(watcher_.native_handle(), SIGTERM);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  void BeginServing() {
    std::scoped_lock lock{mutex_};
    serving_ = true;
  }
  // The first SIGINT or SIGTERM, or one of the others, if it came since it was answered last.
  int WaitForOne() {
    std::unique_lock lock{mutex_};
    came_.wait(lock, [this] { return !seen_.empty() || hangup_ || asked_; });
    if (!seen_.empty()) return seen_.front();
    if (std::exchange(hangup_, false)) return SIGHUP;
    asked_ = false;
    return SIGUSR1;
  }
  // A second signal cuts the wait short.
  void WaitForAnother(std::chrono::milliseconds at_most) {
    std::unique_lock lock{mutex_};
    came_.wait_for(lock, at_most, [this] { return seen_.size() > 1; });
  }
  // SIGUSR1, or another one after the first, once; nothing when `stopped`.
  std::optional<int> WaitWhileStopping(const std::stop_token& stopped) {
    std::unique_lock lock{mutex_};
    const auto hurried = [this] { return seen_.size() > 1 && !hurried_; };
    if (!came_.wait(lock, stopped, [&] { return hurried() || asked_; })) return std::nullopt;
    if (std::exchange(asked_, false)) return SIGUSR1;
    hurried_ = true;
    return seen_.back();
  }

 private:
  void Watch() {
    for (;;) {
      int signal = 0;
      if (sigwait(&set_, &signal) != 0) continue;
      std::scoped_lock lock{mutex_};
      if (done_) return;
      if (signal == SIGHUP || signal == SIGUSR1) {
        if (serving_) Ask(signal);
        continue;
      }
      if (!serving_ || (signal == SIGINT && !seen_.empty())) EndAtOnce(signal);
      if (seen_.size() < 2) seen_.push_back(signal);
      came_.notify_all();
    }
  }
  // The lock is held.
  void Ask(int signal) {
    if (signal == SIGHUP) {
      hangup_ = true;
    } else {
      const Clock::Steady now = clock_.Now();
      if (now - asked_at_ < kStatesApart) return;
      asked_at_ = now;
      asked_ = true;
    }
    came_.notify_all();
  }
  void EndAtOnce(int signal) const {
    std::signal(signal, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
    std::raise(signal);
  }

  const SystemClock clock_;
  sigset_t set_{};
  std::mutex mutex_;  // guards everything below
  std::condition_variable_any came_;
  std::vector<int> seen_;
  bool hurried_ = false;
  bool hangup_ = false;
  bool asked_ = false;
  Clock::Steady asked_at_{};
  bool serving_ = false;
  bool done_ = false;
  std::jthread watcher_;
};

// What the service manager hears of this daemon's life.
class Reports {
 public:
  Reports(const ServiceManager& manager, const Clock& clock) : manager_(manager), clock_(clock) {}

  // Without `at_most` the unit's own patience is enough.
  void Starting(std::string_view phase, microseconds at_most = {}) const {
    const std::string extension =
        at_most.count() > 0 ? fmt::format("\nEXTEND_TIMEOUT_USEC={}", at_most.count()) : "";
    manager_.Notify(StatusLine(phase) + extension);
  }
  void Serving(const Daemon& daemon, std::string_view remark = {}) const {
    const std::string addresses = fmt::format("{}", fmt::join(daemon.Addresses(), ", "));
    manager_.Notify("READY=1\n" + StatusLine(fmt::format("serving on {}{}", addresses, remark)));
  }
  void Reloading() const {
    const auto now = std::chrono::duration_cast<microseconds>(clock_.Now().time_since_epoch());
    manager_.Notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n{}", now.count(),
                                StatusLine("reading the configuration again")));
  }
  void Stopping(std::string_view signal, microseconds at_most) const {
    manager_.Notify(fmt::format("STOPPING=1\n{}\nEXTEND_TIMEOUT_USEC={}",
                                StatusLine(fmt::format("stopping at {}; requests are finished", signal)),
                                at_most.count()));
  }
  // Twice in the time after which the daemon would be taken for dead, and only while its loops turn.
  void ProveLife(Daemon& daemon) const {
    const auto interval = manager_.WatchdogInterval();
    if (!interval) return;
    daemon.Heartbeat(*interval / 2, [&manager = manager_] { manager.Notify("WATCHDOG=1"); });
  }

 private:
  const ServiceManager& manager_;
  const Clock& clock_;
};

// Every connection is a descriptor; the usual soft limit of 1,024 is for programs that use select().
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    log::Warn("the limit on open files stays low", {{"files", limit.rlim_cur}});
}

// A block as large as a password's hash takes goes back to the system when it is freed.  Left to itself,
// glibc takes the first one freed for a sign that such blocks belong into its heaps, and keeps each heap's
// largest.
void GiveLargeBlocksBack() {
  constexpr int kLargeBytes = 4 << 20;
  mallopt(M_MMAP_THRESHOLD, kLargeBytes);
  mallopt(M_TRIM_THRESHOLD, kLargeBytes);
}

// Without a database URL: a private server in the data directory, ours until we stop.
std::unique_ptr<db::EmbeddedPostgres> StartEmbedded(Config& config, const Clock& clock) {
  if (!config.database.pool.url.empty()) return nullptr;
  auto embedded = std::make_unique<db::EmbeddedPostgres>(EmbeddedOptionsOf(config),
                                                         db::EmbeddedPostgres::Sharing::kOwnerOnly, clock);
  config.database.pool.url = embedded->url();
  if (config.auth.secret_key.empty()) config.auth.secret_key = auth::LoadOrCreateSecret(config.data_dir);
  return embedded;
}

// The embedded database is ours to migrate; another one only when told to.
void BringSchemaUpToDate(const Config& config, const Clock& clock, bool may_migrate, const Reports& reports) {
  db::Migrator migrator{{.url = config.database.pool.url}, clock};
  if (may_migrate) {
    reports.Starting("bringing the schema up to date", kMigration);
    const auto applied = migrator.Up();
    if (!applied.empty()) log::Info("schema migrated", {{"migrations", applied.size()}});
    return;
  }
  reports.Starting("checking the schema");
  migrator.RequireCurrent();
}

void CreateFirstAdministrator(const Config& config, const Clock& clock) {
  db::Pool pool{config.database.pool, clock};
  const auto password =
      pool.Write([&](db::Tx& tx) -> std::optional<std::string> { return auth::CreateFirstAdmin(tx); });
  if (!password) return;
  fmt::print(stderr,
             "The first administrator is {} with the password {}\n"
             "It is shown only this once.\n",
             auth::kFirstAdminEmail, *password);
}

// The configuration in force, and how another one comes into it.
class Configuration {
 public:
  Configuration(const Context& context, const LoadedConfig& loaded) : context_(context), now_(loaded) {}

  [[nodiscard]] const Config& now() const { return now_.config; }

  // Reads it again.  What is wrong with it leaves everything as it is; then this is false.
  bool Reload(Daemon& daemon) {
    try {
      RequireReadable();
      LoadedConfig next = context_.Read();
      RequireServable(next, &http::IsRoute);
      config::ReloadPlan plan = config::PlanReload(now_, next);
      daemon.Reload(plan.config);
      TellOf(next, plan);
      now_ = {.config = std::move(plan.config), .origins = {}, .warnings = {}, .file = std::move(next.file)};
      return true;
    } catch (const ConfigError& error) {
      for (const std::string& problem : error.problems | std::views::take(kProblemsMax)) Refuse(problem);
      if (error.problems.size() > kProblemsMax)
        Refuse(fmt::format("and {} more", error.problems.size() - kProblemsMax));
    } catch (const std::exception& error) {
      Refuse(error.what());
    }
    return false;
  }

 private:
  static constexpr std::size_t kProblemsMax = 100;

  static void Refuse(std::string_view problem) {
    log::Error("the configuration was not read again", {{"problem", problem}});
  }

  // Of a pipe that was read at the start nobody writes the other end any more.
  void RequireReadable() const {
    std::error_code error;
    if (std::filesystem::is_fifo(now_.file, error))
      throw ConfigError{fmt::format("file {}: it is a pipe, which can be read only once", now_.file)};
  }

  // With the more talkative of both levels, so that a change of the level is told of, too.
  void TellOf(const LoadedConfig& next, const config::ReloadPlan& plan) const {
    log::SetLevel(std::min(now_.config.log.level, plan.config.log.level));
    for (const std::string& warning : next.warnings) log::Warn("configuration", {{"warning", warning}});
    for (const config::KeyChange& change : plan.changes)
      log::Info("setting changed", {{"key", change.key}, {"before", change.before}, {"after", change.after}});
    if (!plan.for_restart.empty())
      log::Warn("some settings take a restart",
                {{"keys", fmt::format("{}", fmt::join(plan.for_restart, ", "))}});
    log::Info("configuration read again", {{"changed", plan.changes.size()}});
    log::SetLevel(plan.config.log.level);
  }

  const Context& context_;
  LoadedConfig now_;
};

void Reload(Configuration& configuration, Daemon& daemon, const Reports& reports) {
  reports.Reloading();
  const bool applied = configuration.Reload(daemon);
  reports.Serving(daemon, applied ? "" : "; the configuration was not read again, see the log");
}

// SIGINT or SIGTERM, which came.
int ServeUntilStopped(Configuration& configuration, Signals& signals, Daemon& daemon,
                      const Reports& reports) {
  for (;;) {
    switch (const int signal = signals.WaitForOne()) {
      case SIGHUP:
        Reload(configuration, daemon, reports);
        break;
      case SIGUSR1:
        daemon.LogState();
        break;
      default:
        return signal;
    }
  }
}

// The addresses are logged before the manager hears that we are ready.
void Start(Daemon& daemon, std::vector<PassedSocket> sockets, const Reports& reports) {
  daemon.Start(std::move(sockets));
  for (const std::string& address : daemon.Addresses()) log::Info("listening", {{"address", address}});
  if (const std::string control = daemon.ControlAddress(); !control.empty())
    log::Info("listening for administrators", {{"address", control}});
  reports.Serving(daemon);
  reports.ProveLife(daemon);
}

// False when connections were cut off in the end.
bool StopServing(const HttpConfig& config, Signals& signals, int signal, Daemon& daemon,
                 const Reports& reports) {
  const std::string_view name = signal == SIGINT ? "SIGINT" : "SIGTERM";
  log::Info("stopping", {{"signal", name}});
  reports.Stopping(name, config.drain_delay + config.drain_timeout + kStopRest);
  std::stop_source hurry;
  const std::jthread attendant{[&](const std::stop_token& stopped) {
    while (const auto another = signals.WaitWhileStopping(stopped)) {
      if (*another == SIGUSR1) {
        daemon.LogState();
      } else {
        hurry.request_stop();
      }
    }
  }};
  daemon.StopBeingReady();
  signals.WaitForAnother(config.drain_delay);
  return daemon.Drain(config.drain_timeout, hurry.get_token());
}

}  // namespace

Exit Serve(const Context& context, const ServeOptions& options) {
  ServiceManager manager{context.environment};
  ForgetServiceManager();
  Signals signals;
  const LoadedConfig loaded = context.Load();
  const SystemClock clock;
  Config config = loaded.config;
  RequireServable(loaded, &http::IsRoute);
  Daemon::Check(config);
  std::vector<PassedSocket> sockets = TakePassedSockets(manager);
  log::Start(config.log);
  GiveLargeBlocksBack();
  RaiseFileLimit();

  const Reports reports{manager, clock};
  if (config.database.pool.url.empty()) reports.Starting("starting a private PostgreSQL", kDatabaseStart);
  const auto embedded = StartEmbedded(config, clock);
  BringSchemaUpToDate(config, clock, embedded != nullptr || options.migrate, reports);
  if (embedded && config.auth.admin_email.empty()) CreateFirstAdministrator(config, clock);

  Daemon daemon{config, clock};
  Configuration configuration{context, loaded};
  signals.BeginServing();
  Start(daemon, std::move(sockets), reports);
  const int signal = ServeUntilStopped(configuration, signals, daemon, reports);
  const bool drained = StopServing(configuration.now().http, signals, signal, daemon, reports);
  if (!drained) log::Warn("connections were cut off");
  log::Stop();
  return Exit::kOk;
}

}  // namespace gathering::cmd
