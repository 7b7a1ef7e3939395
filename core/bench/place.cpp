#include "core/bench/place.h"

#include <utility>

#include "core/base/log.h"
#include "core/db/queries.h"

namespace gathering::bench {
namespace {

constexpr std::int64_t kLockKey = 0x6761'7468'6265'6e63;  // "gathbenc"

struct Sight {
  std::int64_t user_tables = 0;
  std::string database;
  bool exists = false;
  bool ours = false;

  static void Fields(auto& self, auto& visit) {
    visit("user_tables", self.user_tables);
    visit("database", self.database);
    visit("exists", self.exists);
    visit("ours", self.ours);
  }
};

}  // namespace

Place::Place(db::ConnectionOptions options) : options_(std::move(options)) {
  Connect();
  const Sight sight = connection_->Execute(sql::kBenchPlace, {}).As<Sight>(0);
  if (sight.exists && !sight.ours) {
    throw Error{
        Code::kRejected,
        "the database has a schema gathering_bench that bench-db did not make; rename it or use another "
        "database"};
  }
  database_ = sight.database;
  user_tables_ = sight.user_tables;
  exists_ = sight.exists;
}

Place::~Place() {
  try {
    Remove();
  } catch (const Error& error) {
    log::Error("the schema gathering_bench was not removed; the next bench-db does it",
               {{"cause", error.cause}});
  }
}

void Place::Connect() {
  connection_.reset();
  connection_ = std::make_unique<db::Connection>(options_);
  Lock();
}

void Place::Lock() {
  if (connection_->Execute(sql::kTryAdvisoryLock, db::ToParams(kLockKey)).As<bool>(0)) return;
  throw Busy{Code::kUnavailable, "another bench-db runs in this database; try again when it has ended"};
}

Environment Place::ReadEnvironment() {
  return connection_->Execute(sql::kBenchEnvironment, {}).As<Environment>(0);
}

void Place::Make(const Dimensions& dimensions) {
  Remove();
  connection_->Script(sql::kBenchSchema);
  exists_ = true;
  connection_->Execute(sql::kBenchSeedCatalog, {});
  connection_->Execute(sql::kBenchSeedCircles,
                       db::ToParams(dimensions.circles, dimensions.members, dimensions.seed));
  connection_->Script(sql::kBenchAnalyze);
}

void Place::Remove() {
  if (!exists_) return;
  if (!connection_->Ping()) Connect();
  connection_->Script(sql::kBenchRemove);
  exists_ = false;
}

}  // namespace gathering::bench
