#include "daemon/daemon.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "core/auth/authority.h"
#include "core/auth/users.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/timestamp.h"
#include "core/base/worker_pool.h"
#include "core/cache/budget.h"
#include "core/cache/registry.h"
#include "core/config/control_socket.h"
#include "core/config/load.h"
#include "core/events/consumers.h"
#include "core/events/counts.h"
#include "core/health/memory.h"
#include "core/health/monitor.h"
#include "core/instances/instances.h"
#include "core/tls/identity.h"
#include "daemon/answers/answers.h"
#include "daemon/api/health_caches.h"
#include "daemon/api/table.h"
#include "daemon/db/database.h"
#include "daemon/http/api.h"
#include "daemon/http/call.h"
#include "daemon/http/rate_limits.h"
#include "daemon/http/server.h"
#include "daemon/lifecycle.h"
#include "daemon/limits/limiter.h"
#include "daemon/state.h"
#include "daemon/streams/feed.h"

namespace gathering {
namespace {

constexpr std::uint32_t kFileThreads = 2;
constexpr std::uint32_t kFileQueueMax = 256;
constexpr std::chrono::milliseconds kLeaseMin{500};  // longer than a thread waits for a busy core

std::vector<cache::Observed*> StoresOf(auth::Authority& authority, streams::Feed& feed, Answers& answers) {
  std::vector<cache::Observed*> stores = {&authority.answers(), &feed.history()};
  for (cache::Observed* const store : answers.stores()) stores.push_back(store);
  return stores;
}

// None when nothing is to be served under TLS.
std::shared_ptr<const tls::Identity> LoadIdentity(const tls::Files& files) {
  if (files.certificate.empty()) return nullptr;
  try {
    return tls::Identity::Load(files);
  } catch (const Error& error) {
    throw ConfigError{fmt::format("http.tls: {}", error.MessageAndCause())};
  }
}

void TellOf(const tls::Certificate& certificate, Timestamp now) {
  const std::string not_after = ToText(certificate.not_after);
  const log::Fields facts = {
      {"subject", certificate.subject}, {"not_after", not_after}, {"fingerprint", certificate.fingerprint}};
  if (now < certificate.not_before || certificate.not_after <= now) {
    log::Error("clients will refuse the certificate: it is out of its time", facts);
  } else if (certificate.not_after.micros - now.micros < tls::kRenewalMicros) {
    log::Warn("the certificate ends soon; renew it and reload", facts);
  } else {
    log::Info("certificate", facts);
  }
}

}  // namespace

class Daemon::Parts {
 public:
  Parts(const Config& config, const Clock& clock)
      : config_(config),
        clock_(clock),
        lifecycle_(clock),
        answers_(config.caches, clock, std::max(kLeaseMin, 3 * config.events.poll_max)),
        feed_(config, clock, answers_),
        database_(config.database, clock, [this] { feed_.Wake(); }),
        file_workers_({.name = "file", .threads = kFileThreads, .queue_max = kFileQueueMax}),
        authority_(config.auth, clock, config.caches.tokens),
        consumers_(database_.pool(), [this] { return feed_.Stats().log.position; }, {events::Counter()}),
        caches_(StoresOf(authority_, feed_, answers_)),
        budget_(caches_.stores(), config.caches.bytes),
        presence_(database_.pool(), clock, [this] { return http::CachesJson(caches_); }),
        health_(clock, {.data_dir = config.data_dir}),
        limiter_(config.rate_limits, config.auth.secret_key, file_workers_, clock),
        rate_limits_(limiter_, authority_, clock),
        services_{config_,      clock,      database_, file_workers_, authority_, limiter_,
                  rate_limits_, lifecycle_, api_,      health_,       feed_,      consumers_,
                  caches_,      answers_,   budget_,   presence_,     server_},
        api_(http::RouteTables(), services_),
        server_(config.http, clock,
                {.handler = [this](const auto& request, const auto& context,
                                   auto& response) { api_.Serve(request, context, response); },
                 .refusal = [this](int status, std::string_view detail,
                                   auto& response) { api_.Refuse(status, detail, response); },
                 .admit = [this](const auto& request, const auto& context,
                                 auto& response) { return api_.Admit(request, context, response); },
                 .on_loop =
                     [this](loop::Loop& loop) {
                       database_.Attach(loop);
                       limiter_.Attach(loop);
                       feed_.Attach(loop);
                     }},
                ControlSocketOf(config)) {
    Show(LoadIdentity(config.http.tls));
  }

  // What is listened on under TLS stays so until a restart, and with it the certificate.
  void Show(std::shared_ptr<const tls::Identity> identity) {
    if (!identity) return;
    const tls::Certificate& certificate = identity->certificate();
    if (std::exchange(fingerprint_, certificate.fingerprint) != certificate.fingerprint)
      TellOf(certificate, clock_.WallNow());
    server_.Show(std::move(identity));
  }

  const Config& config_;
  const Clock& clock_;
  http::Lifecycle lifecycle_;
  Answers answers_;
  streams::Feed feed_;
  Database database_;
  WorkerPool file_workers_;
  auth::Authority authority_;
  events::Consumers consumers_;
  cache::Registry caches_;
  cache::Budget budget_;
  instances::Presence presence_;
  health::Monitor health_;
  Limiter limiter_;
  http::RateLimits rate_limits_;
  http::Services services_;
  http::Api api_;
  http::Server server_;
  std::string fingerprint_;  // of the certificate that is shown
};

Daemon::Daemon(const Config& config, const Clock& clock) : parts_(std::make_unique<Parts>(config, clock)) {}

Daemon::~Daemon() = default;

void Daemon::Check(const Config& config) {
  static_cast<void>(LoadIdentity(config.http.tls));
}

void Daemon::Start(std::vector<PassedSocket> passed) {
  parts_->database_.pool().Write([&](db::Tx& tx) { auth::EnsureAdmin(tx, parts_->config_.auth); });
  parts_->feed_.Start();
  parts_->consumers_.Start();
  parts_->budget_.Watch([]() -> std::optional<double> {
    const auto use = health::ReadMemoryUse();
    return use ? std::optional{use->part()} : std::nullopt;
  });
  parts_->presence_.Start();
  parts_->server_.Start(std::move(passed));
}

void Daemon::Heartbeat(std::chrono::microseconds every, std::function<void()> beat) {
  parts_->server_.Heartbeat(every, std::move(beat));
}

void Daemon::Reload(const Config& config) {
  auto identity = LoadIdentity(config.http.tls);
  parts_->limiter_.Reload(config.rate_limits);  // it looks, too, before it changes anything
  parts_->Show(std::move(identity));
  parts_->api_.Reload(config);
  parts_->authority_.Reload(config.caches.tokens);
  parts_->answers_.Reload(config.caches);
  parts_->feed_.Reload(config);
  parts_->budget_.Resize(config.caches.bytes);  // last: it shares out the bounds of all of them
}

void Daemon::LogState() {
  gathering::LogState(parts_->services_);
}

std::vector<std::string> Daemon::Addresses() const {
  return parts_->server_.Addresses();
}

std::string Daemon::ControlAddress() const {
  return parts_->server_.ControlAddress();
}

void Daemon::StopBeingReady() {
  parts_->lifecycle_.StartDraining();
  parts_->server_.Leave();
}

bool Daemon::Drain(std::chrono::milliseconds timeout, const std::stop_token& hurry) {
  StopBeingReady();
  return parts_->server_.Drain(timeout, hurry);
}

}  // namespace gathering
