#pragma once
// A real PostgreSQL for tests: one cluster for each test binary, one database for each test.
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/db/connection.h"
#include "core/db/embedded.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {

// Started when first asked for, in memory and without fsync; stopped and removed when the binary ends.
class TestCluster {
 public:
  static TestCluster& Instance();

  // libpq's words for a database of the cluster; the role is a superuser.
  std::string Url(const std::string& database) const;

  // The path of its unix socket, for a DbProxy.
  std::string Socket() const;

  // Runs a statement beside its databases, on the one connection there is for that.  Thread-safe.
  void Administer(const std::string& sql);

  // The name of a database with the binary's schema and nothing else, made at the first call.
  const std::string& MigratedTemplate();

 private:
  TestCluster();

  SystemClock clock_;
  TemporaryDirectory directory_{TemporaryDirectory::Place::kMemory};
  db::EmbeddedPostgres server_;
  std::mutex mutex_;
  std::optional<db::Connection> administration_;
};

// A database of one's own, dropped at the end (whoever is still connected).
class FreshDatabase {
 public:
  enum class Schema { kMigrated, kEmpty };

  explicit FreshDatabase(Schema schema = Schema::kMigrated);
  ~FreshDatabase();
  FreshDatabase(const FreshDatabase&) = delete;
  FreshDatabase& operator=(const FreshDatabase&) = delete;

  const std::string& url() const { return url_; }
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  std::string url_;
};

}  // namespace gathering::test
