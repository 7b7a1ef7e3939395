// The benchmark's schema and its measurements, on a real server.
#include <atomic>
#include <map>

#include <catch2/catch.hpp>

#include "core/bench/place.h"
#include "core/db/connection.h"
#include "daemon/bench/bench.h"
#include "tests/support/postgres.h"

namespace gathering::test {

using namespace std::chrono_literals;

namespace {

bool SchemaExists(db::Connection& connection) {
  return connection.Execute("SELECT to_regnamespace('gathering_bench') IS NOT NULL AS there").As<bool>(0);
}

class Bench {
 public:
  Bench() {
    options.database.pool.url = database_.url();
    options.database.pool.connections_max = 4;
    options.loops = 2;
    options.clients = {4};
    options.duration = 200ms;
    options.warmup = 20ms;
    options.dimensions = {.circles = 5, .members = 7, .batch = 10};
  }

  void Choose(std::string_view scenario, std::string_view name = {}) {
    for (const bench::Variant& variant : bench::Variants()) {
      if (variant.scenario == scenario && (name.empty() || variant.name == name))
        options.variants.push_back(variant);
    }
  }

  std::map<std::string, bench::Result> Run() {
    std::map<std::string, bench::Result> by_name;
    for (bench::Result& result : bench::RunBench(options, clock_)) {
      CHECK(result.slices.size() <= bench::kRounds);
      by_name[result.variant] = std::move(result);
    }
    return by_name;
  }

  const std::string& url() const { return database_.url(); }

  bench::BenchOptions options;

 private:
  FreshDatabase database_{FreshDatabase::Schema::kEmpty};
  SystemClock clock_;

 public:
  bench::Place place{{.url = database_.url()}};
};

}  // namespace

TEST_CASE("the benchmark's schema is made, seeded and removed", "[bench]") {
  const FreshDatabase database{FreshDatabase::Schema::kEmpty};
  db::Connection connection{{.url = database.url()}};
  {
    bench::Place place{{.url = database.url()}};
    CHECK(place.user_tables() == 0);
    CHECK_FALSE(place.ReadEnvironment().server_version.empty());
    CHECK_FALSE(SchemaExists(connection));
    place.Make({.circles = 3, .members = 4});
    CHECK(connection.Execute("SELECT count(*) AS n FROM gathering_bench.members").As<std::int64_t>(0) == 12);
    CHECK(connection.Execute("SELECT count(*) AS n FROM gathering_bench.agents").As<std::int64_t>(0) == 12);
    place.Remove();
    CHECK_FALSE(SchemaExists(connection));
    place.Make({.circles = 1, .members = 1});
  }
  CHECK_FALSE(SchemaExists(connection));
}

TEST_CASE("tables of others are counted, and what a killed run left is replaced", "[bench]") {
  const FreshDatabase database{FreshDatabase::Schema::kEmpty};
  db::Connection connection{{.url = database.url()}};
  connection.Script(
      "CREATE TABLE mine (id bigint);"
      "CREATE SCHEMA gathering_bench;"
      "COMMENT ON SCHEMA gathering_bench IS 'made by gathering bench-db, which removes it';"
      "CREATE TABLE gathering_bench.agents (id bigint)");
  bench::Place place{{.url = database.url()}};
  CHECK(place.user_tables() == 1);
  place.Make({.circles = 1, .members = 2});
  CHECK(connection.Execute("SELECT count(*) AS n FROM gathering_bench.agents").As<std::int64_t>(0) == 2);
}

TEST_CASE("a schema of the same name that somebody else made is left alone", "[bench]") {
  const FreshDatabase database{FreshDatabase::Schema::kEmpty};
  db::Connection connection{{.url = database.url()}};
  connection.Script("CREATE SCHEMA gathering_bench");
  CHECK_THROWS_AS((bench::Place{{.url = database.url()}}), Error);
  CHECK(SchemaExists(connection));
}

TEST_CASE("one benchmark at a time runs in a database", "[bench]") {
  const FreshDatabase database{FreshDatabase::Schema::kEmpty};
  const bench::Place first{{.url = database.url()}};
  CHECK_THROWS_AS((bench::Place{{.url = database.url()}}), bench::Busy);
}

TEST_CASE("the schema is removed although the connection that made it was lost", "[bench]") {
  const FreshDatabase database{FreshDatabase::Schema::kEmpty};
  db::Connection connection{{.url = database.url()}};
  bench::Place place{{.url = database.url(), .application_name = "the benchmark"}};
  place.Make({.circles = 1, .members = 1});
  const auto ended = connection.Execute(
      "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) AS n FROM pg_stat_activity "
      "WHERE application_name = 'the benchmark' AND datname = current_database()");
  REQUIRE(ended.As<std::int64_t>(0) == 1);
  place.Remove();
  CHECK_FALSE(SchemaExists(connection));
}

TEST_CASE("round trips are those of each way", "[bench]") {
  Bench bench;
  bench.Choose("point-read");
  bench.Choose("circle-members");
  bench.place.Make(bench.options.dimensions);
  auto results = bench.Run();
  REQUIRE(results.size() == 6);
  for (const auto& [name, result] : results) {
    INFO(name);
    CHECK(result.errors == 0);
    CHECK(result.operations > 0);
    CHECK(result.rate > 0);
    CHECK(result.latency_us.p50 <= result.latency_us.p99);
    CHECK(result.latency_us.p99 <= result.latency_us.max);
    CHECK(result.wait_us + result.execution_us == Approx(result.latency_us.mean));
  }
  CHECK(results["connection"].round_trips == 1);
  CHECK(results["pool"].round_trips == Approx(3));
  CHECK(results["pipeline"].round_trips <= 1.05);  // the batch that was on its way when counting began
  CHECK(results["n-plus-one"].round_trips == Approx(2 + 1 + 7));
  CHECK(results["join"].round_trips == Approx(3));
  CHECK(results["json"].round_trips == Approx(3));
}

TEST_CASE("every operation of task-insert leaves its rows", "[bench]") {
  Bench bench;
  bench.Choose("task-insert");
  bench.place.Make(bench.options.dimensions);
  auto results = bench.Run();
  REQUIRE(results.size() == 3);
  std::int64_t counted = 0;
  for (const auto& [name, result] : results) {
    CHECK(result.errors == 0);
    counted += result.operations;
  }
  CHECK(results["batched"].operations % 10 == 0);
  CHECK(results["batched"].round_trips == Approx(0.4));
  db::Connection connection{{.url = bench.url()}};
  const auto stored =
      connection.Execute("SELECT count(*) AS n FROM gathering_bench.tasks").As<std::int64_t>(0);
  CHECK(stored >= counted);  // the warm-up leaves some too
}

TEST_CASE("at a rate below what is possible nothing is missed, far above it most is", "[bench]") {
  Bench bench;
  bench.Choose("mixed");
  bench.options.rate = 200;
  bench.place.Make(bench.options.dimensions);
  for (const auto& [name, result] : bench.Run()) {
    INFO(name);
    CHECK(result.errors == 0);
    CHECK(result.operations > 0);
    CHECK(result.operations + result.missed >= 40);  // 200 a second for 0.2 s
    CHECK(result.missed < 10);                       // only what came too close to the end of a round
  }
  bench.options.rate = 10'000'000;
  for (const auto& [name, result] : bench.Run()) {
    INFO(name);
    CHECK(result.missed > result.operations);
    // Counted from when it was due: the last one begun had waited for most of the window.
    CHECK(result.latency_us.max > 5'000);
  }
}

TEST_CASE("errors are counted by SQLSTATE, and a way that only fails is given up", "[bench]") {
  Bench bench;
  bench.Choose("point-read");
  bench.options.warmup = 0ms;    // else these failures could fall into it
  bench.options.duration = 60s;  // a way that is given up ends before
  bench.place.Make(bench.options.dimensions);
  db::Connection connection{{.url = bench.url()}};
  connection.Script("ALTER TABLE gathering_bench.agents RENAME TO gone");
  auto results = bench.Run();
  connection.Script("ALTER TABLE gathering_bench.gone RENAME TO agents");
  REQUIRE(results.size() == 3);
  for (const auto& [name, result] : results) {
    INFO(name);
    CHECK(result.given_up);
    CHECK(result.operations == 0);
    REQUIRE(result.errors_by_state.size() == 1);
    CHECK(result.errors_by_state.front().state == "42P01");
    CHECK(result.errors_by_state.front().count >= bench::kErrorsInARowMax);
  }
}

TEST_CASE("a run that is stopped answers what it has", "[bench]") {
  Bench bench;
  bench.Choose("point-read", "connection");
  bench.options.clients = {1, 2};
  std::atomic<bool> stop{false};
  bench.options.stop = &stop;
  bench.options.on_progress = [&](const bench::Progress& progress) { stop = progress.done == 3; };
  bench.place.Make(bench.options.dimensions);
  const auto results = bench::RunBench(bench.options, SystemClock{});
  REQUIRE(results.size() == 2);
  CHECK(results[0].slices.size() + results[1].slices.size() <= 4);
  CHECK(results[0].operations > 0);
}

}  // namespace gathering::test
