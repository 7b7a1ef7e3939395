#pragma once
// One request on its way through a handler: who asks, and the way to the database.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/auth/principal.h"
#include "core/base/clock.h"
#include "core/base/worker_pool.h"
#include "core/db/costs.h"
#include "core/db/executor.h"
#include "core/db/pool.h"
#include "daemon/db/database.h"
#include "daemon/http/message.h"

namespace gathering {
class Answers;
struct Config;
class Limiter;
namespace auth {
class Authority;
}
namespace cache {
class Budget;
class Registry;
}  // namespace cache
namespace events {
class Consumers;
}
namespace health {
class Monitor;
}
namespace instances {
class Presence;
}
namespace streams {
class Feed;
}
}  // namespace gathering

namespace gathering::http {

class Api;
class Lifecycle;
class RateLimits;
class Server;
struct Route;

// Everything handlers may borrow.  Built once by the daemon, outlives every request.
struct Services {
  const Config& config;  // as the daemon started; what a reload changes is asked of its part
  const Clock& clock;
  Database& database;
  WorkerPool& file_workers;  // runs what reads files or /proc
  auth::Authority& authority;
  Limiter& limiter;
  RateLimits& rate_limits;
  const Lifecycle& lifecycle;
  const Api& api;  // the routes themselves, for /openapi.json
  health::Monitor& health;
  streams::Feed& feed;
  const events::Consumers& consumers;
  const cache::Registry& caches;
  Answers& answers;
  const cache::Budget& budget;
  const instances::Presence& presence;
  const Server& server;  // the front, for its figures
};

class Call final : private db::Executor {
 public:
  // `context` has an standing.
  Call(Services& services, const Request& request, const Context& context, std::string_view request_id)
      : services_(services),
        request_(request),
        deadline_(context.deadline),
        standing_(*context.standing),
        request_id_(request_id) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  [[nodiscard]] const Request& request() const { return request_; }
  [[nodiscard]] std::string_view request_id() const { return request_id_; }
  [[nodiscard]] Services& services() { return services_; }
  [[nodiscard]] const Clock& clock() const { return services_.clock; }
  [[nodiscard]] Clock::Steady deadline() const { return deadline_; }

  // What the rate limits said of this request.
  [[nodiscard]] Standing& standing() { return standing_; }
  [[nodiscard]] const Standing& standing() const { return standing_; }

  // Set before anything a route says is looked at.
  [[nodiscard]] const Route& route() const { return *route_; }
  void set_route(const Route& route) { route_ = &route; }
  [[nodiscard]] bool has_route() const { return route_ != nullptr; }

  // Of a stream whose token came in the query: as an Authorization header would have it; otherwise empty.
  [[nodiscard]] const std::string& query_token() const { return query_token_; }
  void set_query_token(std::string token) { query_token_ = std::move(token); }

  // Set for routes with Authority kUser or kAdmin.
  [[nodiscard]] const auth::Principal& principal() const { return *principal_; }
  void set_principal(std::shared_ptr<const auth::Principal> principal) { principal_ = std::move(principal); }
  [[nodiscard]] bool has_principal() const { return principal_ != nullptr; }

  // For statements that stand alone, one after the other while this request's fiber sleeps.
  [[nodiscard]] db::Executor& db() { return *this; }
  // The same with less time than the request has.
  [[nodiscard]] db::Executor& db(Clock::Steady deadline) {
    deadline_ = std::min(deadline_, deadline);
    return *this;
  }

  // Statements that hold together: one transaction, run beside the loop while this request's fiber sleeps.
  template <class F>
  auto Write(F&& work) {
    if (joined_ != nullptr) return work(*joined_);
    return services_.database.Transact(
        db::Mode::kWrite,
        [&](db::Tx& tx) {
          const Tally tally{tx, statements_};
          return work(tx);
        },
        deadline_, &costs_);
  }

  // While it lives, db() and Write use this transaction, whoever asks.
  class Joined {
   public:
    Joined(Call& call, db::Tx& tx) : call_(call) { call_.joined_ = &tx; }
    ~Joined() { call_.joined_ = nullptr; }
    Joined(const Joined&) = delete;
    Joined& operator=(const Joined&) = delete;

   private:
    Call& call_;
  };

  // How many statements this request has run so far.
  [[nodiscard]] std::uint32_t statements() const { return statements_; }

  // What these cost.
  [[nodiscard]] const db::Costs& costs() const { return costs_; }

 private:
  // Adds what a transaction ran, however it ends.
  struct Tally {
    db::Tx& tx;
    std::uint32_t& statements;
    Tally(db::Tx& t, std::uint32_t& s) : tx(t), statements(s) {}
    ~Tally() { statements += tx.statements(); }
  };

  db::Rows Execute(const db::Query& query, const db::Params& params) override {
    if (joined_ != nullptr) return joined_->Execute(query, params);
    ++statements_;
    return services_.database.Execute(query, params, deadline_, &costs_);
  }

  Services& services_;
  const Request& request_;
  Clock::Steady deadline_;
  Standing& standing_;
  const Route* route_ = nullptr;
  std::string query_token_;
  std::string_view request_id_;
  std::uint32_t statements_ = 0;
  db::Costs costs_;
  db::Tx* joined_ = nullptr;
  std::shared_ptr<const auth::Principal> principal_;
};

}  // namespace gathering::http
