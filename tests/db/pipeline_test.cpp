// The pipeline against a real server.
#include "core/db/pipeline.h"

#include <thread>

#include <catch2/catch.hpp>

#include "core/db/pool.h"
#include "tests/support/pipeline_driver.h"
#include "tests/support/postgres.h"

namespace gathering::db {
namespace {

using namespace std::chrono_literals;
using Outcome = Pending::Outcome;

constexpr Query kEcho{"echo", "SELECT $1::bigint", Effect::kRead};
constexpr Query kDivide{"divide", "SELECT 100 / $1::bigint", Effect::kRead};
constexpr Query kSleep{"sleep", "SELECT pg_sleep($1::float8)::text", Effect::kRead};
constexpr Query kBroken{"broken", "SELECT no_such_column FROM no_such_table", Effect::kRead};
constexpr Query kAll{"all_rows", "SELECT * FROM things ORDER BY 1", Effect::kRead};
constexpr Query kInsert{"insert", "INSERT INTO things (id) VALUES ($1::bigint) RETURNING id"};
constexpr Query kInsertSlowly{
    "insert_slowly", "INSERT INTO things (id) SELECT $1::bigint FROM pg_sleep($2::float8) RETURNING id"};
constexpr Query kInsertAt{
    "insert_at", "INSERT INTO things (id) VALUES ($1::bigint) RETURNING pg_current_wal_insert_lsn()::text"};
constexpr Query kUpdate{"touch",
                        "UPDATE things SET touched = touched + 1 WHERE id = $1::bigint RETURNING id"};

class Fixture {
 public:
  Fixture() : side({.url = database.url()}) {
    side.Script("ALTER DATABASE " + database.name() + " SET synchronous_commit = on");
    side.Script("CREATE TABLE things (id bigint PRIMARY KEY, touched bigint NOT NULL DEFAULT 0)");
  }

  PipelineOptions Reads() { return {.traffic = Traffic::kReads}; }
  PipelineOptions Writes() { return {.traffic = Traffic::kWrites}; }
  std::int64_t CountThings() { return side.Execute("SELECT count(*) FROM things").As<std::int64_t>(0); }
  void Kill(const test::PipelineDriver& driver) {
    side.Execute("SELECT pg_terminate_backend($1::int)", {std::to_string(driver.backend_pid())});
  }
  // Waits for the server to run a statement of this driver.
  void AwaitRunning(test::PipelineDriver& driver, const std::string& part) {
    driver.Until([&] {
      return side.Execute(
                     "SELECT count(*) FROM pg_stat_activity WHERE pid = $1::int AND state = 'active' "
                     "AND position($2 IN query) > 0",
                     {std::to_string(driver.backend_pid()), part})
                 .As<std::int64_t>(0) == 1;
    });
  }

  test::FreshDatabase database{test::FreshDatabase::Schema::kEmpty};
  Connection side;
};

std::int64_t NumberIn(const Pending& pending) {
  REQUIRE(pending.outcome == Outcome::kRows);
  return pending.rows->As<std::int64_t>(0);
}

}  // namespace

TEST_CASE_METHOD(Fixture, "reads that gathered leave in one batch with one sync", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Reads()};
  driver.UntilConnected();
  std::vector<test::PipelineDriver::Statement*> sent;
  for (int i = 0; i < 50; ++i) sent.push_back(&driver.Send(kEcho, {std::to_string(i)}));
  driver.UntilAnswered();
  for (int i = 0; i < 50; ++i) CHECK(NumberIn(*sent[static_cast<std::size_t>(i)]) == i);
  CHECK(driver.stats().batches == 1);
  CHECK(driver.stats().batch_max == 50);
  CHECK(driver.stats().syncs == 1);
}

TEST_CASE_METHOD(Fixture, "a read that fails hurts only its caller", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Reads()};
  auto& before = driver.Send(kEcho, {"1"});
  auto& broken = driver.Send(kBroken);
  auto& failing = driver.Send(kDivide, {"0"});
  auto& after = driver.Send(kDivide, {"4"});
  driver.UntilAnswered();
  CHECK(NumberIn(before) == 1);
  CHECK(broken.code() == Code::kInternal);
  CHECK(failing.code() == Code::kRejected);
  CHECK(NumberIn(after) == 25);
  CHECK(driver.stats().resent > 0);  // those behind went down with it and came again
  CHECK(driver.stats().failed == 2);
}

TEST_CASE_METHOD(Fixture, "a write is a transaction of its own", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Writes()};
  auto& first = driver.Send(kInsert, {"1"});
  auto& twice = driver.Send(kInsert, {"1"});
  auto& other = driver.Send(kInsert, {"2"});
  driver.UntilAnswered();
  CHECK(NumberIn(first) == 1);
  CHECK(twice.code() == Code::kConflict);
  CHECK(twice.error->constraint == "things_pkey");
  CHECK(NumberIn(other) == 2);
  CHECK(CountThings() == 2);
  CHECK(driver.stats().resent == 0);
  CHECK(driver.stats().batches == 1);
  CHECK(driver.stats().syncs == 4);  // one a write, one for the disk
}

TEST_CASE_METHOD(Fixture, "a write that fails at its commit fails", "[pipeline]") {
  side.Script("ALTER TABLE things ADD CONSTRAINT late UNIQUE (touched) DEFERRABLE INITIALLY DEFERRED");
  test::PipelineDriver driver{database.url(), Writes()};
  auto& first = driver.Send(kInsert, {"1"});
  auto& second = driver.Send(kInsert, {"2"});  // both rows were touched 0 times
  driver.UntilAnswered();
  CHECK(NumberIn(first) == 1);
  CHECK(second.code() == Code::kConflict);
  CHECK(second.error->constraint == "late");
  CHECK(CountThings() == 1);
}

TEST_CASE_METHOD(Fixture, "a write is answered when it is on disk", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Writes()};
  for (int i = 0; i < 20; ++i) {
    auto& write = driver.Send(kInsertAt, {std::to_string(i)});
    driver.UntilAnswered();
    REQUIRE(write.outcome == Outcome::kRows);
    const auto flushed =
        side.Execute("SELECT pg_current_wal_flush_lsn() >= $1::pg_lsn", {write.rows->As<std::string>(0)});
    CHECK(flushed.As<bool>(0));
  }
}

TEST_CASE_METHOD(Fixture, "where the server itself does not wait for the disk, no one does", "[pipeline]") {
  side.Script("ALTER DATABASE " + database.name() + " SET synchronous_commit = off");
  test::PipelineDriver driver{database.url(), Writes()};
  auto& write = driver.Send(kInsert, {"1"});
  driver.UntilAnswered();
  CHECK(NumberIn(write) == 1);
  CHECK(driver.stats().syncs == 1);
}

TEST_CASE_METHOD(Fixture, "a write holds its locks no longer than it runs", "[pipeline]") {
  side.Script("INSERT INTO things (id) VALUES (1)");
  test::PipelineDriver driver{database.url(), Writes()};
  driver.Send(kUpdate, {"1"});
  auto& slow = driver.Send(kInsertSlowly, {"7", "4"});
  AwaitRunning(driver, "pg_sleep");
  // The first write of the batch has committed, though nobody was told yet.
  side.Script("SET lock_timeout = '100ms'");
  CHECK(side.Execute("UPDATE things SET touched = touched + 1 WHERE id = 1 RETURNING touched")
            .As<std::int64_t>(0) == 2);
  CHECK_FALSE(slow.answered);
}

TEST_CASE_METHOD(Fixture, "reads are sent again when their connection is lost", "[pipeline]") {
  PipelineOptions options = Reads();
  options.patience = 10s;
  test::PipelineDriver driver{database.url(), options};
  auto& slow = driver.Send(kSleep, {"1"});
  auto& quick = driver.Send(kEcho, {"7"});
  AwaitRunning(driver, "pg_sleep");
  Kill(driver);
  driver.UntilAnswered();
  CHECK(slow.outcome == Outcome::kRows);
  CHECK(NumberIn(quick) == 7);
  CHECK(driver.stats().lost == 1);
  CHECK(driver.stats().resent == 2);
}

TEST_CASE_METHOD(Fixture, "a read is not sent a third time", "[pipeline]") {
  PipelineOptions options = Reads();
  options.statement_timeout = 60s;
  test::PipelineDriver driver{database.url(), options};
  auto& slow = driver.Send(kSleep, {"60"});
  for (std::uint64_t round = 1; round <= 2; ++round) {
    driver.Until([&] { return driver.stats().connects == round; });
    AwaitRunning(driver, "pg_sleep");
    Kill(driver);
    driver.Until([&] { return driver.stats().lost == round; });
  }
  driver.UntilAnswered();
  CHECK(slow.code() == Code::kUnavailable);
}

TEST_CASE_METHOD(Fixture, "a write whose connection is lost is in doubt and never sent again", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Writes()};
  auto& slow = driver.Send(kInsertSlowly, {"1", "3"});
  auto& behind = driver.Send(kInsert, {"2"});
  AwaitRunning(driver, "pg_sleep");
  auto& later = driver.Send(kInsert, {"3"});  // not sent before the batch is done
  Kill(driver);
  driver.UntilAnswered();
  CHECK(slow.code() == Code::kInDoubt);
  CHECK(behind.code() == Code::kInDoubt);
  CHECK(NumberIn(later) == 3);
  CHECK(driver.stats().in_doubt == 2);
  CHECK(CountThings() == 1);
}

TEST_CASE_METHOD(Fixture, "a statement that holds up others is cancelled and moved", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Reads()};
  auto& slow = driver.Send(kSleep, {"9"});
  auto& quick = driver.Send(kEcho, {"7"});
  driver.UntilAnswered();
  CHECK(slow.outcome == Outcome::kMoved);
  CHECK(NumberIn(quick) == 7);
  CHECK(driver.stats().cancels >= 1);
  CHECK(driver.stats().lost == 0);
}

TEST_CASE_METHOD(Fixture, "one statement pays for finding out that all of its kind wait", "[pipeline]") {
  side.Script("BEGIN; LOCK TABLE things");
  test::PipelineDriver driver{database.url(), Reads()};
  std::vector<test::PipelineDriver::Statement*> stuck;
  for (int i = 0; i < 30; ++i) stuck.push_back(&driver.Send(kAll));
  auto& quick = driver.Send(kEcho, {"7"});
  driver.UntilAnswered();
  for (const auto* one : stuck) CHECK(one->outcome == Outcome::kMoved);
  CHECK(NumberIn(quick) == 7);
  CHECK(driver.stats().cancels <= 3);
  CHECK(driver.pipeline().Avoids(kAll));
  CHECK_FALSE(driver.pipeline().Avoids(kEcho));
}

TEST_CASE_METHOD(Fixture, "a slow statement that nobody waits behind is left alone", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Reads()};
  auto& slow = driver.Send(kSleep, {"0.5"});
  driver.UntilAnswered();
  CHECK(slow.outcome == Outcome::kRows);
  CHECK(driver.stats().cancels == 0);
}

TEST_CASE_METHOD(Fixture, "a write that waits for a lock is moved without its effect", "[pipeline]") {
  side.Script("INSERT INTO things (id) VALUES (1)");
  Connection holder{{.url = database.url()}};
  holder.Script("BEGIN");
  holder.Script("UPDATE things SET touched = 5 WHERE id = 1");
  test::PipelineDriver driver{database.url(), Writes()};
  auto& stuck = driver.Send(kUpdate, {"1"});
  auto& free = driver.Send(kInsert, {"2"});
  driver.UntilAnswered();
  CHECK(stuck.outcome == Outcome::kMoved);
  CHECK(NumberIn(free) == 2);
  holder.Script("COMMIT");
  CHECK(side.Execute("SELECT touched FROM things WHERE id = 1").As<std::int64_t>(0) == 5);
}

TEST_CASE_METHOD(Fixture, "a statement over the server's time ends with a timeout", "[pipeline]") {
  PipelineOptions options = Reads();
  options.statement_timeout = 200ms;
  test::PipelineDriver driver{database.url(), options};
  auto& slow = driver.Send(kSleep, {"9"});
  driver.UntilAnswered();
  CHECK(slow.code() == Code::kTimeout);
}

TEST_CASE_METHOD(Fixture, "who relied on a preparation that failed has a try of their own", "[pipeline]") {
  const bool reads = GENERATE(true, false);
  PipelineOptions options = reads ? Reads() : Writes();
  options.patience = 10s;  // the server's own limit ends the wait for the lock
  options.statement_timeout = 300ms;
  test::PipelineDriver driver{database.url(), options};
  driver.UntilConnected();
  side.Script("BEGIN; LOCK TABLE things");  // preparing waits for it as well
  std::vector<test::PipelineDriver::Statement*> stuck;
  for (int i = 0; i < 4; ++i) {
    stuck.push_back(reads ? &driver.Send(kAll) : &driver.Send(kInsert, {std::to_string(i)}));
  }
  driver.UntilAnswered();
  for (const auto* one : stuck) CHECK(one->code() == Code::kTimeout);
  side.Script("COMMIT");
  auto& later = reads ? driver.Send(kAll) : driver.Send(kInsert, {"7"});
  driver.UntilAnswered();
  CHECK(later.outcome == Outcome::kRows);
  CHECK(CountThings() == (reads ? 0 : 1));
}

TEST_CASE_METHOD(Fixture, "a server that keeps to no timeout is left", "[pipeline]") {
  PipelineOptions options = Reads();
  options.statement_timeout = 100ms;
  test::PipelineDriver driver{database.url(), options};
  side.Script("ALTER DATABASE " + database.name() + " SET statement_timeout = 0");
  driver.UntilConnected();
  // The session's own limit is taken away, as a server does that has stopped altogether.
  constexpr Query kUnlimited{"unlimited", "SELECT set_config('statement_timeout', '0', false)",
                             Effect::kRead};
  driver.Send(kUnlimited);
  driver.UntilAnswered();
  auto& slow = driver.Send(kSleep, {"30"});
  driver.Until([&] { return driver.stats().lost == 1; });
  driver.Until([&] { return slow.answered; });
  CHECK(slow.code() == Code::kTimeout);  // the new connection keeps to its limit
}

TEST_CASE_METHOD(Fixture, "who gives up frees the place", "[pipeline]") {
  PipelineOptions options = Reads();
  options.in_flight_max = 1;
  test::PipelineDriver driver{database.url(), options};
  auto& slow = driver.Send(kSleep, {"9"});
  auto& waiting = driver.Send(kEcho, {"1"});
  auto& last = driver.Send(kEcho, {"2"});
  AwaitRunning(driver, "pg_sleep");
  CHECK_FALSE(driver.pipeline().GiveUp(waiting));
  CHECK_FALSE(driver.pipeline().GiveUp(slow));
  slow.answered = waiting.answered = true;
  driver.UntilAnswered();
  CHECK(NumberIn(last) == 2);
  CHECK(driver.stats().given_up == 2);
  CHECK(driver.stats().queued == 0);
}

TEST_CASE_METHOD(Fixture, "who gives up on a write that was sent cannot know", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Writes()};
  auto& slow = driver.Send(kInsertSlowly, {"1", "9"});
  AwaitRunning(driver, "pg_sleep");
  CHECK(driver.pipeline().GiveUp(slow));
  slow.answered = true;
  driver.Until([&] { return driver.stats().in_flight == 0; });
}

TEST_CASE_METHOD(Fixture, "a full queue refuses at once", "[pipeline]") {
  PipelineOptions options = Reads();
  options.queue_max = 3;
  test::PipelineDriver driver{database.url(), options};
  for (int i = 0; i < 3; ++i) driver.Send(kEcho, {"1"});
  try {
    driver.Send(kEcho, {"1"});
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.code == Code::kUnavailable);
    CHECK(error.retry_after);
  }
  CHECK(driver.stats().refused == 1);
  driver.UntilAnswered();
}

TEST_CASE_METHOD(Fixture, "a statement waits so long to be sent and no longer", "[pipeline]") {
  PipelineOptions options = Reads();
  options.in_flight_max = 1;
  options.queue_timeout = 100ms;
  options.patience = 10s;
  test::PipelineDriver driver{database.url(), options};
  auto& slow = driver.Send(kSleep, {"2"});
  AwaitRunning(driver, "pg_sleep");
  auto& waiting = driver.Send(kEcho, {"1"});
  driver.Until([&] { return waiting.answered; });
  CHECK(waiting.code() == Code::kUnavailable);
  CHECK_FALSE(slow.answered);
  CHECK(driver.stats().expired == 1);
  driver.UntilAnswered();
}

TEST_CASE_METHOD(Fixture, "when connecting fails all who wait are told, and it recovers", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Reads()};
  driver.FailConnects(Unavailable("the database is away", 1s));
  auto& first = driver.Send(kEcho, {"1"});
  auto& second = driver.Send(kEcho, {"2"});
  driver.UntilAnswered();
  CHECK(first.code() == Code::kUnavailable);
  CHECK(second.code() == Code::kUnavailable);
  CHECK_THROWS_AS(driver.Send(kEcho, {"3"}), Error);  // known to be away: refused without waiting
  driver.AllowConnects();
  driver.UntilConnected();
  auto& third = driver.Send(kEcho, {"3"});
  driver.UntilAnswered();
  CHECK(NumberIn(third) == 3);
}

TEST_CASE_METHOD(Fixture, "a changed schema is no error", "[pipeline]") {
  side.Script("INSERT INTO things (id) VALUES (1)");
  test::PipelineDriver driver{database.url(), Reads()};
  driver.Send(kAll);
  driver.UntilAnswered();
  side.Script("ALTER TABLE things ADD COLUMN more text");
  auto& again = driver.Send(kAll);
  auto& behind = driver.Send(kEcho, {"5"});
  driver.UntilAnswered();
  CHECK(again.outcome == Outcome::kRows);
  CHECK(NumberIn(behind) == 5);
}

TEST_CASE_METHOD(Fixture, "forgotten prepared statements are prepared again", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Reads()};
  driver.Send(kEcho, {"1"});
  driver.UntilAnswered();
  constexpr Query kForget{"forget", "DEALLOCATE ALL", Effect::kRead};
  driver.Send(kForget);
  driver.UntilAnswered();
  auto& again = driver.Send(kEcho, {"2"});
  auto& more = driver.Send(kDivide, {"10"});
  driver.UntilAnswered();
  CHECK(NumberIn(again) == 2);
  CHECK(NumberIn(more) == 10);
}

TEST_CASE_METHOD(Fixture, "a connection past its lifetime is replaced without a gap", "[pipeline]") {
  PipelineOptions options = Reads();
  options.lifetime_max = 0s;
  test::PipelineDriver driver{database.url(), options};
  driver.UntilConnected();
  const int first = driver.backend_pid();
  for (int i = 0; i < 5; ++i) {
    driver.Send(kEcho, {"1"});
    driver.UntilAnswered();
  }
  driver.Until([&] { return driver.stats().retired >= 1; });
  CHECK(driver.backend_pid() != first);
  CHECK(driver.stats().lost == 0);
  CHECK(driver.stats().failed == 0);
}

TEST_CASE_METHOD(Fixture, "a deadlock moves the statement to where it can be run again", "[pipeline]") {
  side.Script("INSERT INTO things (id) VALUES (1), (2)");
  side.Script("ALTER DATABASE " + database.name() + " SET deadlock_timeout = '50ms'");
  // The other transaction is patient, so it is the pipeline's statement that is chosen.
  Connection other{{.url = database.url()}};
  other.Script("SET deadlock_timeout = '100s'");
  other.Script("BEGIN");
  other.Script("UPDATE things SET touched = 1 WHERE id = 1");
  constexpr Query kBoth{"both",
                        "WITH a AS (UPDATE things SET touched = 2 WHERE id = 2 RETURNING id), "
                        "b AS (UPDATE things SET touched = 2 WHERE id = 1 RETURNING id) "
                        "SELECT (SELECT id FROM a) + (SELECT id FROM b)"};
  PipelineOptions options = Writes();
  options.patience = 10s;
  test::PipelineDriver driver{database.url(), options};
  auto& write = driver.Send(kBoth);
  AwaitRunning(driver, "UPDATE");
  std::jthread waits{[&] { other.Script("UPDATE things SET touched = 1 WHERE id = 2"); }};
  driver.UntilAnswered();
  CHECK(write.outcome == Outcome::kMoved);
}

TEST_CASE_METHOD(Fixture, "a text with a NUL is refused before it is queued", "[pipeline]") {
  test::PipelineDriver driver{database.url(), Reads()};
  CHECK_THROWS_AS(driver.Send(kEcho, {std::string(1, '\0')}), Error);
  CHECK(driver.stats().queued == 0);
}

}  // namespace gathering::db
