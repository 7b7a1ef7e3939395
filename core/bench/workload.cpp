#include "core/bench/workload.h"

#include <string>
#include <vector>

#include "core/base/timestamp.h"
#include "core/db/queries.h"
#include "core/schema/fields.h"

namespace gathering::bench {
namespace {

constexpr Variant kVariants[] = {
    {"point-read", "connection", "one agent by its id, all clients in turn on one connection",
     Path::kConnection, Work::kAgent},
    {"point-read", "pool", "a transaction each on a connection of the pool", Path::kPool, Work::kAgent},
    {"point-read", "pipeline", "single statements in batches, as the daemon sends them", Path::kPipeline,
     Work::kAgent},
    {"circle-members", "n-plus-one", "the ids of a circle's agents, then each agent", Path::kPool,
     Work::kMembersOneByOne},
    {"circle-members", "join", "one statement, a row each", Path::kPool, Work::kMembersJoined},
    {"circle-members", "json", "one statement, one JSON text made by PostgreSQL", Path::kPool,
     Work::kMembersJson},
    {"task-insert", "single", "one task a transaction, on the pool", Path::kPool, Work::kTask},
    {"task-insert", "batched", "many tasks a transaction; ops/s counts tasks, latency is the transaction's",
     Path::kPool, Work::kTaskBatch},
    {"task-insert", "pipelined", "one task a transaction, many waiting for the disk together",
     Path::kPipeline, Work::kTask},
    {"mixed", "pool", "80 % agents by id, 15 % circles with members, 5 % new tasks", Path::kPool,
     Work::kMixed},
    {"mixed", "pipeline", "the same, as the daemon sends them", Path::kPipeline, Work::kMixed},
};

constexpr std::string_view kDescription =
    "What is to be done, in about as many words as people use for it when they are in a hurry";

struct AgentRow {
  std::int64_t id = 0;
  std::string name;
  std::string role;
  std::string description;
  std::string model;
  std::string provider;
  Timestamp created_at;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("name", self.name);
    visit("role", self.role);
    visit("description", self.description);
    visit("model", self.model);
    visit("provider", self.provider);
    visit("created_at", self.created_at);
  }
};

void Require(bool complete, std::string_view what) {
  if (!complete) throw Error{Code::kInternal, "rows of the benchmark are missing", std::string{what}};
}

}  // namespace

std::span<const Variant> Variants() {
  return kVariants;
}

Draw::Draw(const Dimensions& dimensions, std::uint32_t client, std::uint32_t round)
    : dimensions_(dimensions) {
  std::seed_seq seed{static_cast<std::uint32_t>(dimensions.seed),
                     static_cast<std::uint32_t>(dimensions.seed >> 32), client, round};
  random_.seed(seed);
}

std::int64_t Draw::UpTo(std::int64_t last) {
  return std::uniform_int_distribution<std::int64_t>{1, last}(random_);
}

Operation Draw::Next(Work work) {
  if (work == Work::kMixed) {
    const std::int64_t percent = UpTo(100);
    work = percent <= 80 ? Work::kAgent : percent <= 95 ? Work::kMembersJoined : Work::kTask;
  }
  return {work, UpTo(work == Work::kAgent ? dimensions_.agents() : dimensions_.circles)};
}

void Perform(db::Executor& db, const Operation& operation, const Dimensions& dimensions) {
  const auto members = static_cast<std::size_t>(dimensions.members);
  switch (operation.work) {
    case Work::kAgent:
      Require(db.Maybe<AgentRow>(sql::kBenchAgent, operation.id).has_value(), "an agent");
      return;
    case Work::kMembersOneByOne: {
      const auto ids = db.All<std::int64_t>(sql::kBenchMemberIds, operation.id);
      Require(ids.size() == members, "members");
      for (const std::int64_t id : ids)
        Require(db.Maybe<AgentRow>(sql::kBenchAgent, id).has_value(), "an agent");
      return;
    }
    case Work::kMembersJoined:
      Require(db.All<AgentRow>(sql::kBenchMembersJoin, operation.id).size() == members, "members");
      return;
    case Work::kMembersJson:
      Require(db.One<std::string>(sql::kBenchMembersJson, operation.id).size() > 2 * members, "members");
      return;
    case Work::kTask:
      Require(db.One<std::int64_t>(sql::kBenchTaskAdd, operation.id, "A task", kDescription) > 0, "a task");
      return;
    case Work::kTaskBatch: {
      const auto ids =
          db.All<std::int64_t>(sql::kBenchTasksAdd, operation.id, "A task", kDescription, dimensions.batch);
      Require(std::ssize(ids) == dimensions.batch, "tasks");
      return;
    }
    case Work::kMixed:
      break;
  }
  Require(false, "an operation of its own");
}

}  // namespace gathering::bench
