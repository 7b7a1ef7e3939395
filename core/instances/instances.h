#pragma once
// The daemons on one database, and what each says of itself.
//
// Every daemon has a row, which it writes every few seconds and takes away when it stops; whoever writes also
// forgets those not seen for a minute.  Nobody depends on it: while the database is away nothing is told, and
// the daemon goes on.
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/base/uuid.h"
#include "core/db/executor.h"
#include "core/db/pool.h"
#include "core/schema/fields.h"

namespace gathering::instances {

inline constexpr std::chrono::seconds kPresentFor{15};  // after it was seen last
inline constexpr std::chrono::seconds kForgottenAfter{60};
inline constexpr std::int64_t kInstancesMax = 1'000;  // of those present

struct Instance {
  Uuid instance;
  std::string name;  // host:pid
  std::string version;
  Timestamp started_at;
  std::int64_t age_ms = 0;  // of what it says
  schema::Json<> caches;    // of GET /health/caches

  static void Fields(auto& self, auto& visit) {
    visit("instance", self.instance);
    visit("name", self.name);
    visit("version", self.version);
    visit("started_at", self.started_at);
    visit("age_ms", self.age_ms);
    visit("caches", self.caches);
  }
};

// Those present, by name.  One statement.
[[nodiscard]] std::vector<Instance> Present(db::Executor& db);

struct PresenceOptions {
  // After the start, when requests need the first connections more; and between the turns of the log's
  // consumers, so that one connection of the pool does for both.
  std::chrono::milliseconds tell_first{500};
  std::chrono::milliseconds tell_every{5'000};
  std::chrono::milliseconds patience{2'000};  // with the database, each time
};

// This daemon's row.
class Presence {
 public:
  // `caches` gives JSON, from a thread of its own.
  Presence(db::Pool& pool, const Clock& clock, std::function<std::string()> caches,
           PresenceOptions options = {});
  ~Presence();  // takes the row away
  Presence(const Presence&) = delete;
  Presence& operator=(const Presence&) = delete;

  // The schema is current.
  void Start();

  // As the others see it, and fresh.
  [[nodiscard]] Instance Own() const;

 private:
  void Run(const std::stop_token& stop);
  void Rest(const std::stop_token& stop, std::chrono::milliseconds duration);
  void TryToTell();
  void TryToLeave();
  [[nodiscard]] Clock::Steady Deadline() const { return clock_.Now() + options_.patience; }

  db::Pool& pool_;
  const Clock& clock_;
  const std::function<std::string()> caches_;
  const PresenceOptions options_;
  const Uuid id_;
  const std::string name_;
  const Timestamp started_at_;

  bool failing_ = false;  // of the thread alone
  std::mutex mutex_;      // for the rest between two times
  std::condition_variable_any rest_;
  std::jthread thread_;
};

}  // namespace gathering::instances
