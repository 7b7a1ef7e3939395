#pragma once
// Connects pipelines to the database, on a thread of its own, for connecting blocks.
//
// One attempt at a time, whoever asks.  After a failed one there is a pause (100 ms doubling to
// 2 s, with jitter) in which every request fails at once: a database that comes back is not met by
// all connections together.  Safe from any thread.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <variant>

#include "core/base/clock.h"
#include "core/base/guarded.h"
#include "core/base/worker_pool.h"
#include "core/db/connection.h"
#include "core/db/pipeline.h"

namespace gathering {

class Connector {
 public:
  using Outcome = std::variant<std::unique_ptr<db::PipelineLink>, Error>;

  Connector(db::ConnectionOptions options, const Clock& clock);

  // Connects and calls `done` on the connector's thread.
  void Connect(db::Traffic traffic, std::function<void(Outcome)> done);

  // Set during the pause after a failure.
  [[nodiscard]] std::optional<Error> Away() const;

 private:
  struct Failures {
    std::uint32_t in_a_row = 0;
    Clock::Steady pause_until{};
    std::optional<Error> last = {};
  };

  Outcome Try(db::Traffic traffic);
  void NoteFailure(const Error& error);

  const db::ConnectionOptions options_;
  const Clock& clock_;
  Guarded<Failures> failures_;
  std::minstd_rand random_{std::random_device{}()};  // of the connector's thread
  WorkerPool thread_;
};

}  // namespace gathering
