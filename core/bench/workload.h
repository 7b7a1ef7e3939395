#pragma once
// What `gathering bench-db` measures: scenarios, the ways to do each, and the statements they run.
#include <cstdint>
#include <random>
#include <span>
#include <string_view>

#include "core/db/executor.h"

namespace gathering::bench {

// Who carries the statements.
enum class Path : std::uint8_t {
  kConnection,  // one blocking connection, shared by all clients in turn
  kPool,        // a transaction each, on a connection of the pool
  kPipeline,    // as the daemon's routes: fibers on event loops, statements in batches
};

enum class Work : std::uint8_t {
  kAgent,            // one agent by its id
  kMembersOneByOne,  // a circle's agents: their ids, then each
  kMembersJoined,    // the same as one statement, a row each
  kMembersJson,      // the same as one statement, one JSON text
  kTask,             // a new task
  kTaskBatch,        // Dimensions::batch new tasks in one statement
  kMixed,            // 80 % kAgent, 15 % kMembersJoined, 5 % kTask
};

// One line of the result for each number of clients.
struct Variant {
  std::string_view scenario;
  std::string_view name;
  std::string_view about;
  Path path;
  Work work;
};

// Those of a scenario stand together, first the one that the others are compared with.
[[nodiscard]] std::span<const Variant> Variants();

struct Dimensions {
  std::int64_t circles = 100;
  std::int64_t members = 20;  // of each circle; nobody is in two
  std::int64_t batch = 50;
  std::int64_t seed = 1;

  [[nodiscard]] std::int64_t agents() const { return circles * members; }
};

// `work` is not kMixed, and `id` names what it is about.
struct Operation {
  Work work;
  std::int64_t id = 0;

  [[nodiscard]] bool writes() const { return work == Work::kTask || work == Work::kTaskBatch; }
};

// A client's sequence of operations: the same for the same seed.
class Draw {
 public:
  Draw(const Dimensions& dimensions, std::uint32_t client, std::uint32_t round);
  [[nodiscard]] Operation Next(Work work);

 private:
  [[nodiscard]] std::int64_t UpTo(std::int64_t last);

  const Dimensions& dimensions_;
  std::mt19937_64 random_;
};

// Runs an operation's statements and reads all of their answers.  Throws as db::Executor::Execute
// does, and kInternal when rows are missing.
void Perform(db::Executor& db, const Operation& operation, const Dimensions& dimensions);

}  // namespace gathering::bench
