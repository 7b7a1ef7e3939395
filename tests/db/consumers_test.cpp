// Durable consumers: every event once in effect and in order, whoever ends in between.
#include "core/events/consumers.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/base/error.h"
#include "core/db/connection.h"
#include "core/db/queries.h"
#include "core/events/counts.h"
#include "core/events/log_reader.h"
#include "tests/support/eventually.h"
#include "tests/support/executor.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;

// What a daemon has of this: a pool, a reader of the log, and consumers behind it.
struct Instance {
  Instance(const std::string& url, std::vector<events::Consumer> all, std::int64_t events_max = 1'000)
      : pool({.url = url, .application_name = "instance"}, clock),
        reader({.url = url, .poll_min = 1ms, .poll_max = 10ms}, clock, [](const events::Event&) {}),
        consumers(pool, [this] { return reader.Stats().position; }, std::move(all),
                  {.poll_every = 2ms, .events_max = events_max}) {
    reader.Start();
    consumers.Start();
  }
  [[nodiscard]] events::ConsumerStats Stats() const { return consumers.Stats().front(); }

  SystemClock clock;
  db::Pool pool;
  events::LogReader reader;
  events::Consumers consumers;
};

std::int64_t Number(db::Connection& connection, const char* sql) {
  return connection.Execute(sql).As<std::int64_t>(0);
}

void Tell(db::Connection& connection, int events) {
  connection.Script(
      "INSERT INTO events (type, circle_id) SELECT 'task.created', i % 3 FROM "
      "(SELECT pg_current_xact_id() AS id) me, generate_series(1, " +
      std::to_string(events) + ") i WHERE me.id IS NOT NULL");
}

// Writes down what it takes: an event taken twice would break the primary key.
events::Consumer Witness() {
  return {.name = "witness", .handle = [](db::Tx& tx, const events::Span& span) {
            static constexpr db::Query kWitness{
                "witness",
                "INSERT INTO witnessed (sequence) SELECT sequence FROM events "
                "WHERE sequence > $1 AND sequence <= $2 ORDER BY sequence"};
            tx.Run(kWitness, span.after, span.up_to);
          }};
}

constexpr const char* kWitnessed =
    "CREATE TABLE witnessed (place bigserial, sequence bigint PRIMARY KEY, by int DEFAULT pg_backend_pid())";

}  // namespace

TEST_CASE("every event counts once, while connections are cut and instances come and go", "[events]") {
  const FreshDatabase database;
  const std::string& url = database.url();
  db::Connection connection{{.url = url}};
  connection.Script(kWitnessed);
  const std::vector<events::Consumer> both = {events::Counter(), Witness()};
  Instance stays{url, both, 7};
  std::unique_ptr<Instance> other = std::make_unique<Instance>(url, both, 11);
  std::jthread writer{[&] {
    db::Connection writing{{.url = url}};
    for (int i = 0; i < 300; ++i) Tell(writing, 1 + i % 20);
  }};
  for (int round = 0; round < 20; ++round) {
    const auto taken = Number(connection, "SELECT count(*) FROM witnessed");
    connection.Execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'instance' AND "
        "datname = current_database()");
    if (round % 5 == 4) other = std::make_unique<Instance>(url, both, 11);
    Await([&] {
      return Number(connection, "SELECT count(*) FROM witnessed") > taken ||
             Number(connection, "SELECT count(*) FROM events") == taken;
    });
  }
  writer.join();
  Await([&] { return Number(connection, "SELECT count(*) FROM witnessed") == 3'150; });
  CHECK(Number(connection, "SELECT count(*) FROM events") == 3'150);
  CHECK(Number(connection,
               "SELECT count(*) FROM witnessed a JOIN witnessed b ON a.place < b.place AND "
               "a.sequence > b.sequence") == 0);
  Await([&] {
    return Number(connection, "SELECT coalesce(sum(events), 0)::bigint FROM event_counts") == 3'150;
  });
  CHECK(Number(connection,
               "SELECT count(*) FROM (SELECT circle_id, count(*) AS events FROM events GROUP BY 1) e "
               "JOIN event_counts c USING (circle_id, events)") == 3);
}

TEST_CASE("a consumer that fails is tried again, loses nothing, and holds up nobody else", "[events]") {
  const FreshDatabase database;
  db::Connection connection{{.url = database.url()}};
  connection.Script(kWitnessed);
  std::atomic<bool> broken = true;
  const events::Consumer fragile{.name = "fragile", .handle = [&](db::Tx& tx, const events::Span& span) {
                                   Witness().handle(tx, span);
                                   if (broken) throw std::runtime_error{"not now"};
                                 }};
  Instance here{database.url(), {fragile, events::Counter()}};
  Tell(connection, 5);
  Await([&] { return here.Stats().failures >= 3; });
  Await([&] { return Number(connection, "SELECT coalesce(sum(events), 0)::bigint FROM event_counts") == 5; });
  CHECK(Number(connection, "SELECT count(*) FROM witnessed") == 0);
  CHECK(here.Stats().position == 0);
  broken = false;
  Await([&] { return Number(connection, "SELECT count(*) FROM witnessed") == 5; });
  Await([&] { return here.Stats().taken == 5; });
  CHECK(Number(connection, "SELECT position FROM event_consumers WHERE name = 'fragile'") == 5);
}

TEST_CASE("while one instance is at a consumer, others pass it over and take it up when that one is gone",
          "[events]") {
  const FreshDatabase database;
  db::Connection holder{{.url = database.url()}};
  Tell(holder, 2);
  holder.Script("INSERT INTO event_consumers (name) VALUES ('counts')");
  holder.Script("BEGIN");
  holder.Execute("SELECT position FROM event_consumers WHERE name = 'counts' FOR UPDATE");
  SystemClock clock;
  db::Pool pool{{.url = database.url()}, clock};
  // Who holds the row holds up readers of the log, too: they are left out here.
  events::Consumers consumers{
      pool, [] { return std::optional<std::int64_t>{2}; }, {events::Counter()}, {.poll_every = 2ms}};
  consumers.Start();
  Await([&] { return pool.Stats().acquired > 5; });
  CHECK(consumers.Stats().front().failures == 0);
  CHECK(consumers.Stats().front().taken == 0);
  holder.Script("ROLLBACK");
  Await([&] { return consumers.Stats().front().taken == 2; });
}

TEST_CASE("the log keeps a day until every consumer has taken it", "[events]") {
  const FreshDatabase database;
  db::Connection connection{{.url = database.url()}};
  connection.Script(
      "CREATE TABLE events_20200101 PARTITION OF events FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z');"
      "INSERT INTO events (type, time) VALUES ('task.created', '2020-01-01T12:00Z'), ('task.created', "
      "'2019-01-01T12:00Z');"
      "INSERT INTO event_consumers (name, position) VALUES ('late', 0), ('done', 2)");
  const auto kept = [&] {
    connection.Execute("SELECT events_maintain('1 day')");
    return Number(connection, "SELECT count(*) FROM events");
  };
  CHECK(kept() == 2);
  connection.Script("UPDATE event_consumers SET position = 1 WHERE name = 'late'");
  CHECK(kept() == 1);
  connection.Script("UPDATE event_consumers SET position = 2 WHERE name = 'late'");
  CHECK(kept() == 0);
}

TEST_CASE("who may only read and write has the log's days made and dropped, and nobody else has",
          "[events]") {
  const FreshDatabase database;
  db::Connection connection{{.url = database.url()}};
  const std::string role = database.name() + "_app";
  connection.Script(
      "CREATE TABLE events_20200101 PARTITION OF events FOR VALUES FROM ('2020-01-01Z') TO "
      "('2020-01-02Z'); CREATE ROLE " +
      role + "; SET ROLE " + role);
  const auto refused = [&](const char* sql) {
    try {
      connection.Execute(sql);
    } catch (const Error& error) {
      return error.cause.find("permission denied") != std::string::npos;
    }
    return false;
  };
  CHECK(refused("SELECT events_maintain('1 day')"));
  connection.Script("RESET ROLE; GRANT EXECUTE ON FUNCTION events_maintain TO " + role + "; SET ROLE " +
                    role);
  CHECK(refused("CREATE TABLE mine (id int)"));
  connection.Execute("SELECT events_maintain('1 day')");
  const char* const days =
      "SELECT count(*) FROM pg_inherits WHERE inhparent = 'public.events'::regclass AND "
      "inhrelid::regclass::text ~ '_20[0-9]{6}$'";
  CHECK(Number(connection, "SELECT count(to_regclass('events_20200101'))") == 0);
  CHECK(Number(connection, days) == 3);
  // A table of the caller's that has the name of one of the log's is not taken for it.
  connection.Script(
      "CREATE TEMPORARY TABLE event_consumers (position bigint); CREATE TEMPORARY TABLE events (x int)");
  CHECK_NOTHROW(connection.Execute("SELECT events_maintain('1 day')"));
  connection.Script("RESET ROLE; DROP TABLE pg_temp.events, pg_temp.event_consumers; DROP OWNED BY " + role +
                    "; DROP ROLE " + role);
}

TEST_CASE("counts are listed by day, type and circle, and at most for a year at a time", "[events]") {
  const FreshDatabase database;
  db::Connection connection{{.url = database.url()}};
  connection.Script(
      "INSERT INTO event_counts VALUES ('2026-01-31', 'task.created', 1, 5), ('2026-01-31', 'task.created', "
      "2, 6), ('2026-01-31', 'task.completed', 1, 1), ('2026-02-01', 'circle.created', 0, 2), ('2026-03-01', "
      "'task.created', 1, 9)");
  SystemClock clock;
  db::Pool pool{{.url = database.url()}, clock};
  const auto list = [&](const events::CountFilter& filter, const char* from, const char* to) {
    std::string told;
    for (const auto& count :
         pool.Read([&](db::Tx& tx) { return events::ListCounts(tx, filter, {from}, {to}); }))
      told += count.day.text + " " + count.type + " " + std::to_string(count.events) + "; ";
    return told;
  };
  CHECK(list({}, "2026-01-01", "2026-02-28") ==
        "2026-01-31 task.completed 1; 2026-01-31 task.created 11; 2026-02-01 circle.created 2; ");
  CHECK(list({.types = {"task.c*"}, .circle_id = 1}, "2026-01-31", "2026-03-01") ==
        "2026-01-31 task.completed 1; 2026-01-31 task.created 5; 2026-03-01 task.created 9; ");
  CHECK(list({}, "2025-03-01", "2026-03-01").size() > 0);
  CHECK_THROWS_AS(list({}, "2025-02-28", "2026-03-01"), Error);
  CHECK_THROWS_AS(list({}, "2026-03-02", "2026-03-01"), Error);
}

}  // namespace gathering::test
