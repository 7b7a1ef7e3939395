#pragma once
// Clients of a benchmark: each does one operation after the other, all at the same time.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/bench/workload.h"
#include "core/db/connection.h"
#include "core/db/pool.h"
#include "daemon/db/database.h"

namespace gathering::bench {

// A client's way to the database.
class Port {
 public:
  virtual void Perform(const Operation& operation) = 0;  // throws Error
  virtual void WaitUntil(Clock::Steady moment) = 0;

 protected:
  ~Port() = default;
};

// What everything so far cost, by all clients together.
struct Spent {
  std::uint64_t operations = 0;
  std::uint64_t round_trips = 0;
  std::chrono::microseconds waited{0};  // for a connection or in a queue, before the first statement
};

class Crew {
 public:
  virtual ~Crew() = default;

  // Runs `body` for each client and returns when all have ended.  `body` may be called from several
  // threads at once; what it throws comes out here.
  virtual void Run(std::uint32_t clients, const std::function<void(std::uint32_t, Port&)>& body) = 0;

  [[nodiscard]] virtual Spent Read() const = 0;
};

// A thread for each client, all in turn on one connection.
[[nodiscard]] std::unique_ptr<Crew> MakeConnectionCrew(const db::ConnectionOptions& options,
                                                       const Dimensions& dimensions, const Clock& clock);

// A thread for each client, transactions on the pool.
[[nodiscard]] std::unique_ptr<Crew> MakePoolCrew(const db::PoolOptions& options, const Dimensions& dimensions,
                                                 const Clock& clock);

// A fiber for each client, on `loops` event loops with pipelines as the daemon's.
[[nodiscard]] std::unique_ptr<Crew> MakePipelineCrew(const DatabaseConfig& config, std::uint32_t loops,
                                                     const Dimensions& dimensions, const Clock& clock);

}  // namespace gathering::bench
