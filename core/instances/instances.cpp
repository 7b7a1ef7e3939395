#include "core/instances/instances.h"

#include <pthread.h>
#include <unistd.h>

#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/db/queries.h"

namespace gathering::instances {
namespace {

constexpr std::size_t kHostBytesMax = 256;

std::string HostAndPid() {
  char host[kHostBytesMax] = "";
  if (::gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') return fmt::format("?:{}", ::getpid());
  return fmt::format("{}:{}", host, ::getpid());
}

}  // namespace

std::vector<Instance> Present(db::Executor& db) {
  return db.All<Instance>(sql::kInstancesSeen, kPresentFor.count(), kInstancesMax);
}

Presence::Presence(db::Pool& pool, const Clock& clock, std::function<std::string()> caches,
                   PresenceOptions options)
    : pool_(pool),
      clock_(clock),
      caches_(std::move(caches)),
      options_(options),
      id_(Uuids{}.Next(clock.WallNow())),
      name_(HostAndPid()),
      started_at_(clock.WallNow()) {}

Presence::~Presence() {
  thread_.request_stop();
}

void Presence::Start() {
  thread_ = std::jthread{[this](const std::stop_token& stop) { Run(stop); }};
}

Instance Presence::Own() const {
  return {.instance = id_,
          .name = name_,
          .version = GATHERING_VERSION,
          .started_at = started_at_,
          .age_ms = 0,
          .caches = {caches_()}};
}

void Presence::Run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "presence");
  Rest(stop, options_.tell_first);
  while (!stop.stop_requested()) {
    TryToTell();
    Rest(stop, options_.tell_every);
  }
  TryToLeave();
}

void Presence::Rest(const std::stop_token& stop, std::chrono::milliseconds duration) {
  std::unique_lock lock{mutex_};
  rest_.wait_for(lock, stop, duration, [] { return false; });
}

void Presence::TryToTell() {
  std::string cause;
  try {
    const Instance own = Own();
    pool_.Run(
        db::Mode::kWrite,
        [&](db::Tx& tx) {
          tx.Run(sql::kInstanceTell, own.instance, own.name, own.version, own.started_at, own.caches);
          tx.Run(sql::kInstanceForget, kForgottenAfter.count());
        },
        Deadline());
    failing_ = false;
    return;
  } catch (const Error& error) {
    cause = error.reason();
  } catch (const std::exception& error) {
    cause = error.what();
  }
  if (std::exchange(failing_, true)) return;
  log::Warn("the other daemons do not hear of this one; trying again", {{"cause", cause}});
}

// Without it the row is forgotten in a minute.
void Presence::TryToLeave() {
  try {
    pool_.Run(
        db::Mode::kWrite, [&](db::Tx& tx) { tx.Run(sql::kInstanceLeave, id_); }, Deadline());
  } catch (const std::exception&) {
    return;
  }
}

}  // namespace gathering::instances
