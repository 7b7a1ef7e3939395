#pragma once
// One request on its way through a handler: who asks, and the way to the database.
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/auth/principal.h"
#include "core/base/clock.h"
#include "core/base/worker_pool.h"
#include "core/db/pool.h"
#include "daemon/http/message.h"
#include "daemon/loop/fiber.h"

namespace gathering {
struct Config;
namespace auth {
class Authority;
}
namespace health {
class Monitor;
}
}  // namespace gathering

namespace gathering::http {

class Api;
class Lifecycle;

// Everything handlers may borrow.  Built once by the daemon, outlives every request.
struct Services {
  const Config& config;
  const Clock& clock;
  db::Pool& db;
  WorkerPool& db_workers;    // runs transactions; as many threads as the pool has connections
  WorkerPool& file_workers;  // runs what reads files or /proc
  auth::Authority& authority;
  const Lifecycle& lifecycle;
  const Api& api;  // the routes themselves, for /openapi.json
  health::Monitor& health;
};

class Call {
 public:
  Call(Services& services, const Request& request, const Context& context, std::string_view request_id)
      : services_(services), request_(request), deadline_(context.deadline), request_id_(request_id) {}

  [[nodiscard]] const Request& request() const { return request_; }
  [[nodiscard]] std::string_view request_id() const { return request_id_; }
  [[nodiscard]] Services& services() { return services_; }
  [[nodiscard]] const Clock& clock() const { return services_.clock; }
  [[nodiscard]] Clock::Steady deadline() const { return deadline_; }

  // Set for routes with Authority kUser or kAdmin.
  [[nodiscard]] const auth::Principal& principal() const { return *principal_; }
  void set_principal(auth::Principal principal) { principal_ = std::move(principal); }
  [[nodiscard]] bool has_principal() const { return principal_.has_value(); }

  // One transaction, run beside the loop while this request's fiber sleeps.
  template <class F>
  auto Read(F&& work) {
    return InTransaction(db::Mode::kRead, std::forward<F>(work));
  }
  template <class F>
  auto Write(F&& work) {
    return InTransaction(db::Mode::kWrite, std::forward<F>(work));
  }

 private:
  template <class F>
  auto InTransaction(db::Mode mode, F&& work) {
    return loop::RunOn(services_.db_workers, deadline_,
                       [&] { return services_.db.Run(mode, std::forward<F>(work), deadline_); });
  }

  Services& services_;
  const Request& request_;
  Clock::Steady deadline_;
  std::string_view request_id_;
  std::optional<auth::Principal> principal_;
};

}  // namespace gathering::http
