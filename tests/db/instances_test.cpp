// The daemons on a database: each has a row while it runs, and nobody is held up by one that cannot write it.
#include "core/instances/instances.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "core/db/connection.h"
#include "core/db/pool.h"
#include "tests/support/eventually.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;

// What a daemon has of this.
struct Daemon {
  explicit Daemon(const std::string& url, std::string caches = "[]")
      : pool({.url = url, .connect_timeout = 500ms}, clock),
        presence(pool, clock, [caches = std::move(caches)] { return caches; },
                 {.tell_every = 5ms, .patience = 500ms}) {
    presence.Start();
  }

  SystemClock clock;
  db::Pool pool;
  instances::Presence presence;
};

std::vector<instances::Instance> Present(db::Pool& pool) {
  return pool.Read([](db::Tx& tx) { return instances::Present(tx); });
}

}  // namespace

TEST_CASE("every daemon is present while it runs, and gone when it stopped", "[instances]") {
  const FreshDatabase database;
  Daemon first{database.url(), R"([{"name": "tokens"}])"};
  {
    Daemon second{database.url()};
    Await([&] { return Present(first.pool).size() == 2; });
  }
  const auto present = Present(first.pool);
  REQUIRE(present.size() == 1);
  const instances::Instance own = first.presence.Own();
  CHECK(present[0].instance == own.instance);
  CHECK(present[0].name == own.name);
  CHECK(present[0].name.ends_with(":" + std::to_string(::getpid())));
  CHECK(present[0].version == GATHERING_VERSION);
  CHECK(present[0].started_at == own.started_at);
  CHECK(present[0].age_ms < 15'000);
  CHECK(present[0].caches.text == R"([{"name": "tokens"}])");
}

TEST_CASE("who is silent for 15 seconds is not present, and after a minute forgotten", "[instances]") {
  const FreshDatabase database;
  db::Connection connection{{.url = database.url()}};
  connection.Script(
      "INSERT INTO instances (instance, name, version, started_at, seen_at, caches) VALUES "
      "(gen_random_uuid(), 'slow:1', '1', now(), now() - interval '14 s', '[]'), "
      "(gen_random_uuid(), 'silent:2', '1', now(), now() - interval '16 s', '[]'), "
      "(gen_random_uuid(), 'dead:3', '1', now(), now() - interval '61 s', '[]')");
  Daemon daemon{database.url()};
  const auto rows = [&](const std::string& which) {
    return connection.Execute("SELECT count(*) FROM instances WHERE " + which).As<std::int64_t>(0);
  };
  Await([&] { return rows("name = 'dead:3'") == 0; });
  CHECK(rows("true") == 3);
  std::vector<std::string> names;
  for (const instances::Instance& one : Present(daemon.pool)) names.push_back(one.name);
  CHECK(names.size() == 2);
  CHECK(std::ranges::count(names, "slow:1") == 1);
}

TEST_CASE("a row that was taken away is back at the next time", "[instances]") {
  const FreshDatabase database;
  Daemon daemon{database.url()};
  Await([&] { return Present(daemon.pool).size() == 1; });
  db::Connection connection{{.url = database.url()}};
  connection.Script("TRUNCATE instances");
  Await([&] { return Present(daemon.pool).size() == 1; });
}

TEST_CASE("a database that is away ends neither the daemon nor its end", "[instances]") {
  auto daemon = std::make_unique<Daemon>("host=/nonexistent dbname=none user=none");
  Await([&] { return daemon->pool.Stats().connect_failures > 1; });
  daemon.reset();
}

}  // namespace gathering::test
