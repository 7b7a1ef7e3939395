#include "tests/support/postgres.h"

#include <atomic>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/db/connection.h"
#include "core/db/migrate.h"

namespace gathering::test {

TestCluster::TestCluster()
    : server_({.data_dir = directory_.path(), .binaries_dir = "", .run_as = "", .durable = false},
              db::EmbeddedPostgres::Sharing::kOwnerOnly, clock_) {}

TestCluster& TestCluster::Instance() {
  static TestCluster cluster;
  return cluster;
}

std::string TestCluster::Url(const std::string& database) const {
  const std::string& url = server_.url();
  return url.substr(0, url.rfind("dbname=")) + "dbname=" + database;
}

std::string TestCluster::Socket() const {
  const std::string& url = server_.url();  // host='…' port=5432 …
  const std::size_t begin = url.find('\'') + 1;
  return url.substr(begin, url.find('\'', begin) - begin) + "/.s.PGSQL.5432";
}

void TestCluster::Administer(const std::string& sql) {
  std::scoped_lock lock{mutex_};
  if (!administration_) administration_.emplace(db::ConnectionOptions{.url = Url("postgres")});
  administration_->Script(sql);
}

const std::string& TestCluster::MigratedTemplate() {
  static const std::string name = [this] {
    Administer("CREATE DATABASE migrated");
    db::Migrator{{.url = Url("migrated")}, clock_}.Up();
    return std::string{"migrated"};
  }();
  return name;
}

FreshDatabase::FreshDatabase(Schema schema) {
  static std::atomic<int> last = 0;
  TestCluster& cluster = TestCluster::Instance();
  name_ = "t_" + std::to_string(++last);
  const std::string model = schema == Schema::kMigrated ? cluster.MigratedTemplate() : "template0";
  cluster.Administer("CREATE DATABASE " + name_ + " TEMPLATE " + model +
                     " STRATEGY file_copy");  // twice as quick as by WAL
  url_ = cluster.Url(name_);
}

// One that stays goes with its cluster.
FreshDatabase::~FreshDatabase() {
  try {
    TestCluster::Instance().Administer("DROP DATABASE " + name_ + " WITH (FORCE)");
  } catch (const Error& error) {
    log::Error("a test's database stays", {{"database", name_}, {"cause", error.MessageAndCause()}});
  }
}

}  // namespace gathering::test
