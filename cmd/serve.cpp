#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "cmd/command.h"
#include "core/auth/secret_file.h"
#include "core/auth/users.h"
#include "core/base/log.h"
#include "core/db/embedded.h"
#include "core/db/migrate.h"
#include "daemon/daemon.h"

namespace gathering::cmd {
namespace {

// Signals reach only the thread that waits for them; every thread started later inherits the mask.
sigset_t BlockSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Every connection is a descriptor; the usual soft limit of 1,024 is for programs that use select().
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    log::Warn("the limit on open files stays low", {{"files", limit.rlim_cur}});
}

int WaitForSignal(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

// From here on a signal ends the process at once, as it would any other program.
void LetTheNextSignalKill(const sigset_t& signals) {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

// Without a database URL: a private server in the data directory, ours until we stop.
std::unique_ptr<db::EmbeddedPostgres> StartEmbedded(Config& config, const Clock& clock) {
  if (!config.database.pool.url.empty()) return nullptr;
  auto embedded = std::make_unique<db::EmbeddedPostgres>(
      db::EmbeddedOptions{.data_dir = config.data_dir,
                          .binaries_dir = config.database.binaries_dir,
                          .run_as = config.database.embedded_user,
                          .connections_max = config.database.pool.connections_max + 20},
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

}  // namespace

Exit Serve(const LoadedConfig& loaded, const ServeOptions& options) {
  const sigset_t signals = BlockSignals();
  const SystemClock clock;
  Config config = loaded.config;
  RequireServable(loaded);
  log::Start(config.log);
  RaiseFileLimit();

  const auto embedded = StartEmbedded(config, clock);
  BringSchemaUpToDate(config, clock, embedded != nullptr || options.migrate);
  if (embedded && config.auth.admin_email.empty()) CreateFirstAdministrator(config, clock);

  Daemon daemon{config, clock};
  daemon.Start();
  for (const std::string& address : daemon.Addresses()) log::Info("listening", {{"address", address}});

  const int signal = WaitForSignal(signals);
  log::Info("stopping", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
  LetTheNextSignalKill(signals);
  const bool drained = daemon.Drain();
  if (!drained) log::Warn("requests were still running at the drain timeout");
  log::Stop();
  return Exit::kOk;
}

}  // namespace gathering::cmd
