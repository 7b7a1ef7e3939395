#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cmd/command.h"
#include "cmd/tool_database.h"
#include "core/auth/secret_file.h"
#include "core/auth/users.h"
#include "core/base/log.h"
#include "core/db/embedded.h"
#include "core/db/migrate.h"
#include "daemon/api/table.h"
#include "daemon/daemon.h"

namespace gathering::cmd {
namespace {

// Takes SIGHUP, SIGINT and SIGTERM, which no other thread sees.  Until the daemon serves, the latter two end
// the process at once; then the first one asks for an orderly stop, and a SIGINT after that ends it at once.
// SIGHUP asks for the configuration to be read again; before serving and while stopping it does nothing.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&set_, signal);
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
  // The first SIGINT or SIGTERM, or SIGHUP each time it came since the last call.
  int WaitForOne() {
    std::unique_lock lock{mutex_};
    came_.wait(lock, [this] { return !seen_.empty() || hangup_; });
    if (!seen_.empty()) return seen_.front();
    hangup_ = false;
    return SIGHUP;
  }
  // A second signal cuts the wait short.
  void WaitForAnother(std::chrono::milliseconds at_most) {
    std::unique_lock lock{mutex_};
    came_.wait_for(lock, at_most, [this] { return seen_.size() > 1; });
  }

 private:
  void Watch() {
    for (;;) {
      int signal = 0;
      if (sigwait(&set_, &signal) != 0) continue;
      std::scoped_lock lock{mutex_};
      if (done_) return;
      if (signal == SIGHUP) {
        hangup_ = serving_;
        came_.notify_all();
        continue;
      }
      if (!serving_ || (signal == SIGINT && !seen_.empty())) EndAtOnce(signal);
      if (seen_.size() < 2) seen_.push_back(signal);
      came_.notify_all();
    }
  }
  void EndAtOnce(int signal) const {
    std::signal(signal, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
    std::raise(signal);
  }

  sigset_t set_{};
  std::mutex mutex_;  // guards everything below
  std::condition_variable came_;
  std::vector<int> seen_;
  bool hangup_ = false;
  bool serving_ = false;
  bool done_ = false;
  std::jthread watcher_;
};

// Every connection is a descriptor; the usual soft limit of 1,024 is for programs that use select().
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    log::Warn("the limit on open files stays low", {{"files", limit.rlim_cur}});
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
void BringSchemaUpToDate(const Config& config, const Clock& clock, bool may_migrate) {
  db::Migrator migrator{{.url = config.database.pool.url}, clock};
  if (may_migrate) {
    const auto applied = migrator.Up();
    if (!applied.empty()) log::Info("schema migrated", {{"migrations", applied.size()}});
    return;
  }
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

// What is wrong with the new configuration leaves the old one in place.
void Reload(const Context& context, Daemon& daemon) {
  try {
    const LoadedConfig loaded = context.Load();
    RequireServable(loaded, &http::IsRoute);
    daemon.Reload(loaded.config);
    log::SetLevel(loaded.config.log.level);
    log::Info("configuration read again", {{"applied", "rate_limits, log.level"}});
  } catch (const ConfigError& error) {
    for (const std::string& problem : error.problems)
      log::Error("the configuration was not read again", {{"problem", problem}});
  } catch (const Error& error) {
    log::Error("the configuration was not read again", {{"problem", error.message}});
  }
}

int ServeUntilStopped(const Context& context, Signals& signals, Daemon& daemon) {
  int signal = signals.WaitForOne();
  for (; signal == SIGHUP; signal = signals.WaitForOne()) Reload(context, daemon);
  return signal;
}

}  // namespace

Exit Serve(const Context& context, const ServeOptions& options) {
  Signals signals;
  const LoadedConfig loaded = context.Load();
  const SystemClock clock;
  Config config = loaded.config;
  RequireServable(loaded, &http::IsRoute);
  log::Start(config.log);
  RaiseFileLimit();

  const auto embedded = StartEmbedded(config, clock);
  BringSchemaUpToDate(config, clock, embedded != nullptr || options.migrate);
  if (embedded && config.auth.admin_email.empty()) CreateFirstAdministrator(config, clock);

  Daemon daemon{config, clock};
  signals.BeginServing();
  daemon.Start();
  for (const std::string& address : daemon.Addresses()) log::Info("listening", {{"address", address}});
  if (const std::string control = daemon.ControlAddress(); !control.empty())
    log::Info("listening for administrators", {{"address", control}});

  const int signal = ServeUntilStopped(context, signals, daemon);
  log::Info("stopping", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
  daemon.StopBeingReady();
  signals.WaitForAnother(config.http.drain_delay);
  const bool drained = daemon.Drain();
  if (!drained) log::Warn("requests were still running at the drain timeout");
  log::Stop();
  return Exit::kOk;
}

}  // namespace gathering::cmd
