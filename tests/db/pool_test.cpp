#include "core/db/pool.h"

#include <signal.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/db/connection.h"
#include "tests/support/manual_clock.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using db::Mode;
using db::Query;
using db::Tx;

constexpr Query kOne{"one", "SELECT 1"};
constexpr Query kPid{"pid", "SELECT pg_backend_pid()"};
constexpr Query kAdd{"add", "INSERT INTO things (name) VALUES ($1)"};
constexpr Query kCount{"count", "SELECT count(*) FROM things"};
constexpr Query kSleep{"sleep", "SELECT true FROM (SELECT pg_sleep($1)) AS slept"};
constexpr Query kTerminate{"terminate", "SELECT pg_terminate_backend($1)"};
constexpr Query kLockThing{"lock_thing", "UPDATE things SET note = 'locked' WHERE name = $1"};

constexpr std::string_view kSchema = R"(
  CREATE TABLE things (
    name text NOT NULL CONSTRAINT things_name_key UNIQUE CONSTRAINT things_name_check CHECK (name <> 'bad'),
    note text,
    parent text CONSTRAINT things_parent_fkey REFERENCES things (name)
  );
  CREATE SEQUENCE attempts;
)";

// What `work` throws; fails the test when it throws nothing.
template <class F>
Error Refused(F&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  throw std::logic_error{"not reached"};
}

void WaitUntil(const std::function<bool()>& condition) {
  const auto give_up_at = SystemClock{}.Now() + 20s;
  while (!condition()) {
    if (SystemClock{}.Now() > give_up_at) FAIL("waited in vain");
    std::this_thread::yield();
  }
}

class PoolFixture {
 public:
  PoolFixture() { server_.Script(kSchema); }

  // Small times, so that refusals come soon.
  db::PoolOptions Options(std::uint32_t connections_max = 4) const {
    return {.url = database_.url(), .connections_max = connections_max, .acquire_timeout = 10s};
  }
  db::Connection& server() { return server_; }
  const std::string& name() const { return database_.name(); }
  std::int64_t Count() { return server_.Execute("SELECT count(*) FROM things").As<std::int64_t>(0); }

  SystemClock clock;

 private:
  FreshDatabase database_{FreshDatabase::Schema::kEmpty};
  db::Connection server_{{.url = database_.url()}};
};

// Keeps one connection of a pool busy until released.
class Holder {
 public:
  explicit Holder(db::Pool& pool)
      : thread_([this, &pool] {
          pool.Read([this](Tx&) {
            held_.count_down();
            released_.wait();
          });
        }) {
    held_.wait();
  }
  ~Holder() { Release(); }
  void Release() {
    if (!std::exchange(done_, true)) released_.count_down();
  }

 private:
  std::latch held_{1};
  std::latch released_{1};
  bool done_ = false;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("what a callback writes is there after it and gone when it throws", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  pool.Write([](Tx& tx) { tx.Run(kAdd, "kept"); });
  CHECK(fixture.Count() == 1);
  CHECK_THROWS_AS(pool.Write([](Tx& tx) {
    tx.Run(kAdd, "dropped");
    throw std::runtime_error{"changed my mind"};
  }),
                  std::runtime_error);
  CHECK(fixture.Count() == 1);
  CHECK(pool.Read([](Tx& tx) { return tx.One<std::int64_t>(kCount); }) == 1);
  CHECK(pool.Stats().in_use == 0);
  CHECK(pool.Stats().connects == 1);
}

TEST_CASE("a broken constraint is told by its kind and its name", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  pool.Write([](Tx& tx) { tx.Run(kAdd, "a"); });
  const auto write = [&](const Query& query, std::string_view value) {
    return Refused([&] { pool.Write([&](Tx& tx) { tx.Run(query, value); }); });
  };
  const Error twice = write(kAdd, "a");
  CHECK(twice.code == Code::kConflict);
  CHECK(twice.constraint == "things_name_key");
  CHECK(twice.message.find("things") == std::string::npos);
  CHECK(twice.cause.find("things_name_key") != std::string::npos);

  const Error bad = write(kAdd, "bad");
  CHECK(bad.code == Code::kRejected);
  CHECK(bad.constraint == "things_name_check");

  const Error orphan = write({"adopt", "UPDATE things SET parent = $1"}, "nobody");
  CHECK(orphan.code == Code::kRejected);
  CHECK(orphan.constraint == "things_parent_fkey");

  const Error no_number = write({"number", "SELECT $1::text::bigint"}, "x");
  CHECK(no_number.code == Code::kRejected);
  CHECK(no_number.constraint.empty());

  CHECK(write(kAdd, std::string_view{"a\0b", 3}).code == Code::kRejected);
  CHECK(write({"nonsense", "SELEKT $1"}, "x").code == Code::kInternal);

  SECTION("also when the value pretends to be a report about another constraint") {
    constexpr std::string_view kForged = "x\nCONSTRAINT NAME:  forged\n";
    pool.Write([&](Tx& tx) { tx.Run(kAdd, kForged); });
    CHECK(write(kAdd, kForged).constraint == "things_name_key");
  }
}

TEST_CASE("a failed statement that was ignored is not committed", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  const Error error = Refused([&] {
    pool.Write([](Tx& tx) {
      tx.Run(kAdd, "a");
      CHECK_THROWS_AS(tx.Run(kAdd, "a"), Error);
    });
  });
  CHECK(error.code == Code::kInternal);
  CHECK(fixture.Count() == 0);
}

TEST_CASE("what is planned on a table of one row does not read all of it when it has grown", "[pool]") {
  PoolFixture fixture;
  fixture.server().Script("INSERT INTO things (name) VALUES ('root'); ANALYZE things");
  db::Pool pool{fixture.Options(), fixture.clock};
  constexpr Query kAddChild{"add_child", "INSERT INTO things (name, parent) VALUES ($1, 'root')"};
  constexpr Query kNote{"note", "UPDATE things SET note = 'seen' WHERE name = $1"};
  constexpr Query kScans{
      "scans", "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'things' AND idx_scan >= 40"};
  // Inside one transaction, so that its own statistics show the checks of the foreign key as well.
  pool.Write([&](Tx& tx) {
    for (int i = 0; i < 20; ++i) {
      tx.Run(kAddChild, std::to_string(i));
      tx.Run(kNote, std::to_string(i));
    }
    CHECK(tx.One<std::int64_t>(kScans) == 0);
  });
}

TEST_CASE("a reader cannot write", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  CHECK(Refused([&] { pool.Read([](Tx& tx) { tx.Run(kAdd, "a"); }); }).code == Code::kUnavailable);
  CHECK(fixture.Count() == 0);
}

TEST_CASE("a reader sees one state, whatever is committed meanwhile", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  pool.Read([&](Tx& tx) {
    CHECK(tx.One<std::int64_t>(kCount) == 0);
    fixture.server().Script("INSERT INTO things VALUES ('meanwhile')");
    CHECK(tx.One<std::int64_t>(kCount) == 0);
  });
  CHECK(pool.Read([](Tx& tx) { return tx.One<std::int64_t>(kCount); }) == 1);
}

TEST_CASE("waiters are served in the order they came", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(1), fixture.clock};
  Holder holder{pool};
  std::mutex mutex;
  std::vector<int> served;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      pool.Read([&](Tx&) {
        std::scoped_lock lock{mutex};
        served.push_back(i);
      });
    });
    WaitUntil([&] { return pool.Stats().waiting == static_cast<std::uint32_t>(i + 1); });
  }
  holder.Release();
  threads.clear();
  CHECK(served == std::vector{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(pool.Stats().connects == 1);
}

TEST_CASE("beyond its bounds a pool says no", "[pool]") {
  PoolFixture fixture;
  auto options = fixture.Options(2);
  options.waiters_max = 1;

  SECTION("to one waiter too many, at once") {
    db::Pool pool{options, fixture.clock};
    Holder one{pool};
    Holder two{pool};
    std::jthread waiter{[&] { pool.Read([](Tx&) {}); }};
    WaitUntil([&] { return pool.Stats().waiting == 1; });
    const Error error = Refused([&] { pool.Read([](Tx&) {}); });
    CHECK(error.code == Code::kUnavailable);
    CHECK(error.retry_after == 1s);
    CHECK(pool.Stats().refused == 1);
    CHECK(pool.Stats().connections == 2);
    one.Release();
  }
  SECTION("to who has waited for too long") {
    options.acquire_timeout = 50ms;
    db::Pool pool{options, fixture.clock};
    Holder one{pool};
    Holder two{pool};
    CHECK(Refused([&] { pool.Read([](Tx&) {}); }).code == Code::kUnavailable);
    CHECK(pool.Stats().acquire_timeouts == 1);
    CHECK(pool.Stats().waiting == 0);
    CHECK(pool.Stats().waited >= 0us);
  }
  SECTION("to who has no time to wait") {
    db::Pool pool{options, fixture.clock};
    Holder one{pool};
    Holder two{pool};
    CHECK(Refused([&] {
            pool.Run(
                Mode::kRead, [](Tx&) {}, fixture.clock.Now() + 50ms);
          }).code == Code::kTimeout);
  }
}

TEST_CASE("a slow statement is ended", "[pool]") {
  PoolFixture fixture;
  auto options = fixture.Options();
  options.statement_timeout = 100ms;
  options.lock_timeout = 50ms;
  db::Pool pool{options, fixture.clock};
  SECTION("by its timeout") {
    CHECK(Refused([&] { pool.Read([](Tx& tx) { tx.Run(kSleep, 20.0); }); }).code == Code::kTimeout);
  }
  SECTION("by the timeout for locks") {
    pool.Write([](Tx& tx) { tx.Run(kAdd, "a"); });
    fixture.server().Script("BEGIN; UPDATE things SET note = 'mine'");
    CHECK(Refused([&] { pool.Write([](Tx& tx) { tx.Run(kLockThing, "a"); }); }).code == Code::kTimeout);
    fixture.server().Script("ROLLBACK");
  }
  CHECK(pool.Read([](Tx& tx) { return tx.One<std::int64_t>(kOne); }) == 1);
  CHECK(pool.Stats().connects == 1);
}

TEST_CASE("a deadline shortens the time statements have", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  const auto start = fixture.clock.Now();
  SECTION("of the first") {
    const auto late = [&] {
      pool.Run(
          Mode::kRead, [](Tx& tx) { tx.Run(kSleep, 20.0); }, start + 200ms);
    };
    CHECK(Refused(late).code == Code::kTimeout);
  }
  SECTION("of the later ones") {
    const auto late = [&] {
      pool.Run(
          Mode::kRead,
          [](Tx& tx) {
            tx.Run(kSleep, 0.3);
            tx.Run(kSleep, 20.0);
          },
          start + 500ms);
    };
    CHECK(Refused(late).code == Code::kTimeout);
  }
  SECTION("and when it is over nothing is run") {
    CHECK(Refused([&] {
            pool.Run(
                Mode::kWrite, [](Tx& tx) { tx.Run(kAdd, "a"); }, start - 1ms);
          }).code == Code::kTimeout);
    CHECK(fixture.Count() == 0);
  }
  CHECK(fixture.clock.Now() - start < 3s);
  CHECK(pool.Read([](Tx& tx) { return tx.One<std::string>({"shown", "SHOW statement_timeout"}); }) == "5s");
}

TEST_CASE("a connection that was lost while idle is replaced unseen", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  const auto pid = pool.Read([](Tx& tx) { return tx.One<std::int64_t>(kPid); });
  fixture.server().Execute(kTerminate, db::ToParams(pid));
  WaitUntil([&] {
    return fixture.server()
        .Execute("SELECT 1 FROM pg_stat_activity WHERE pid = $1", db::ToParams(pid))
        .empty();
  });
  int calls = 0;
  pool.Write([&](Tx& tx) {
    ++calls;
    CHECK(tx.One<std::int64_t>(kPid) != pid);
  });
  CHECK(calls == 1);
  CHECK(pool.Stats().lost == 1);
  CHECK(pool.Stats().connections == 1);
}

TEST_CASE("a connection lost before the commit costs one more try", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  int calls = 0;
  const auto work = [&](int losses) {
    return [&calls, losses](Tx& tx) {
      tx.Run(kAdd, "a");
      if (++calls <= losses) tx.Run(kTerminate, tx.One<std::int64_t>(kPid));
    };
  };
  SECTION("which may do it") {
    pool.Write(work(1));
    CHECK(calls == 2);
    CHECK(fixture.Count() == 1);
  }
  SECTION("but only one") {
    const Error error = Refused([&] { pool.Write(work(2)); });
    CHECK(error.code == Code::kUnavailable);
    CHECK(error.retry_after.has_value());
    CHECK(calls == 2);
    CHECK(fixture.Count() == 0);
  }
}

TEST_CASE("a connection lost at the commit leaves a doubt and is not tried again", "[pool]") {
  PoolFixture fixture;
  fixture.server().Script(R"(
    CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER dying AFTER INSERT ON things DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION die();
  )");
  db::Pool pool{fixture.Options(), fixture.clock};
  int calls = 0;
  int after = 0;
  const Error error = Refused([&] {
    pool.Write([&](Tx& tx) {
      ++calls;
      tx.AfterCommit([&] { ++after; });
      tx.Run(kAdd, "a");
    });
  });
  CHECK(error.code == Code::kInDoubt);
  CHECK(calls == 1);
  CHECK(after == 0);
  CHECK(pool.Read([](Tx& tx) { return tx.One<std::int64_t>(kOne); }) == 1);
}

TEST_CASE("a constraint checked at the commit is told like any other", "[pool]") {
  PoolFixture fixture;
  fixture.server().Script(
      "ALTER TABLE things ADD CONSTRAINT late UNIQUE (note) DEFERRABLE INITIALLY DEFERRED");
  db::Pool pool{fixture.Options(), fixture.clock};
  const Error error = Refused([&] {
    pool.Write([](Tx& tx) {
      tx.Run(kAdd, "a");
      tx.Run(kAdd, "b");
      tx.Run({"note", "UPDATE things SET note = $1"}, "same");
    });
  });
  CHECK(error.code == Code::kConflict);
  CHECK(error.constraint == "late");
}

TEST_CASE("a transaction that could not be serialised is run again", "[pool]") {
  PoolFixture fixture;
  fixture.server().Script(R"(
    CREATE FUNCTION unlucky(until bigint) RETURNS bigint LANGUAGE plpgsql AS $$
      DECLARE attempt bigint := nextval('attempts');
      BEGIN
        IF attempt <= until THEN RAISE EXCEPTION 'not now' USING ERRCODE = 'serialization_failure'; END IF;
        RETURN attempt;
      END $$;
  )");
  static constexpr Query kUnlucky{"unlucky", "SELECT unlucky($1)"};
  db::Pool pool{fixture.Options(), fixture.clock};
  int calls = 0;
  const auto work = [&](std::int64_t until) {
    return pool.Write([&calls, until](Tx& tx) {
      ++calls;
      tx.Run(kAdd, "a");
      return tx.One<std::int64_t>(kUnlucky, until);
    });
  };
  SECTION("until it works") {
    CHECK(work(3) == 4);
    CHECK(calls == 4);
    CHECK(fixture.Count() == 1);
    CHECK(pool.Stats().retries == 3);
  }
  SECTION("but not for ever") {
    const Error error = Refused([&] { work(1000); });
    CHECK(error.code == Code::kUnavailable);
    CHECK(calls == 4);
    CHECK(fixture.Count() == 0);
  }
}

TEST_CASE("of two transactions that lock each other out, both succeed in the end", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  pool.Write([](Tx& tx) {
    tx.Run(kAdd, "a");
    tx.Run(kAdd, "b");
  });
  std::latch both{2};
  std::atomic<bool> one_is_through = false;
  std::atomic<int> calls = 0;
  const auto lock = [&](std::string first, std::string second) {
    pool.Write([&](Tx& tx) {
      const bool new_here = calls.fetch_add(1) < 2;
      // Else it may be quicker than who was woken by its end, and in the way once more.
      if (!new_here) one_is_through.wait(false);
      tx.Run({"quick_deadlock", "SET LOCAL deadlock_timeout = '20ms'"});
      tx.Run(kLockThing, first);
      if (new_here) both.arrive_and_wait();
      tx.Run(kLockThing, second);
    });
    one_is_through = true;
    one_is_through.notify_all();
  };
  {
    std::jthread one{[&] { lock("a", "b"); }};
    std::jthread two{[&] { lock("b", "a"); }};
  }
  CHECK(calls == 3);
  CHECK(pool.Stats().retries == 1);
}

TEST_CASE("what is to follow a commit happens then, in order, and else never", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(1), fixture.clock};
  std::vector<int> done;
  pool.Write([&](Tx& tx) {
    tx.AfterCommit([&] { done.push_back(1); });
    tx.AfterCommit([&] {
      CHECK(fixture.Count() == 1);
      pool.Read([](Tx&) {});  // the only connection is free again
      done.push_back(2);
    });
    tx.Run(kAdd, "a");
    CHECK(done.empty());
  });
  CHECK(done == std::vector{1, 2});
  CHECK_THROWS_AS(pool.Write([&](Tx& tx) {
    tx.AfterCommit([&] { done.push_back(3); });
    tx.Run(kAdd, "a");
  }),
                  Error);
  CHECK(done == std::vector{1, 2});
}

TEST_CASE("connections retire by age and by idleness", "[pool]") {
  PoolFixture fixture;
  ManualClock clock;
  auto options = fixture.Options(3);
  options.connections_min = 1;
  db::Pool pool{options, clock};
  {
    Holder one{pool};
    Holder two{pool};
    Holder three{pool};
  }
  REQUIRE(pool.Stats().connections == 3);
  SECTION("those above the minimum when nobody needs them") {
    clock.Advance(options.idle_max - 1s);
    pool.Read([](Tx&) {});
    CHECK(pool.Stats().connections == 3);
    clock.Advance(1s);
    pool.Read([](Tx&) {});
    CHECK(pool.Stats().connections == 1);
    CHECK(pool.Stats().retired == 2);
    CHECK(pool.Stats().connects == 3);
  }
  SECTION("all of them when they are old") {
    clock.Advance(options.lifetime_max);
    pool.Read([](Tx&) {});
    CHECK(pool.Stats().retired == 3);
    CHECK(pool.Stats().connects == 4);
    CHECK(pool.Stats().lost == 0);
  }
}

TEST_CASE("a server that is away is not stormed", "[pool]") {
  ManualClock clock;
  const TemporaryDirectory nowhere;
  db::Pool pool{{.url = "host=" + nowhere.path() + " dbname=none"}, clock};
  const auto refused = [&] { return Refused([&] { pool.Read([](Tx&) {}); }); };
  const Error error = refused();
  CHECK(error.code == Code::kUnavailable);
  CHECK(error.retry_after == 1s);
  CHECK(error.message.find(nowhere.path()) == std::string::npos);
  CHECK(error.cause.find(nowhere.path()) != std::string::npos);
  for (int i = 0; i < 20; ++i) CHECK(refused().code == Code::kUnavailable);
  CHECK(pool.Stats().connect_failures == 1);
  clock.Advance(100ms);
  refused();
  CHECK(pool.Stats().connect_failures == 2);
  for (int i = 0; i < 600; ++i) {
    clock.Advance(100ms);
    refused();
  }
  CHECK(pool.Stats().connect_failures <= 2 + 60 + 10);
  CHECK(pool.Stats().connect_failures >= 30);
  CHECK(pool.Stats().connections == 0);
}

TEST_CASE("a database URL that cannot be read is told", "[pool]") {
  ManualClock clock;
  db::Pool pool{{.url = "postgresql://[nonsense"}, clock};
  CHECK(Refused([&] { pool.Read([](Tx&) {}); }).code == Code::kInvalid);
}

TEST_CASE("when the server gives no more connections, those there are serve everybody", "[pool]") {
  PoolFixture fixture;
  db::Pool pool{fixture.Options(), fixture.clock};
  Holder holder{pool};
  TestCluster::Instance().Administer("ALTER DATABASE " + fixture.name() + " ALLOW_CONNECTIONS false");
  std::atomic<bool> served = false;
  std::jthread waiter{[&] {
    pool.Read([](Tx&) {});
    served = true;
  }};
  WaitUntil([&] { return pool.Stats().connect_failures > 0 && pool.Stats().waiting == 1; });
  CHECK_FALSE(served);
  holder.Release();
  waiter.join();
  CHECK(served);
  CHECK(pool.Stats().connects == 1);
}

TEST_CASE("a server that stops answering is left, and the work done elsewhere", "[pool]") {
  PoolFixture fixture;
  auto options = fixture.Options();
  options.statement_timeout = 200ms;
  db::Pool pool{options, fixture.clock};
  std::vector<pid_t> stopped;
  pool.Write([&](Tx& tx) {
    const auto pid = static_cast<pid_t>(tx.One<std::int64_t>(kPid));
    if (stopped.empty()) {
      REQUIRE(kill(pid, SIGSTOP) == 0);
      stopped.push_back(pid);
    }
    tx.Run(kAdd, "a");
  });
  CHECK(fixture.Count() == 1);
  CHECK(pool.Stats().lost == 1);
  for (const pid_t pid : stopped) kill(pid, SIGCONT);
}

TEST_CASE("a pool outlives the work in it", "[pool]") {
  PoolFixture fixture;
  std::latch inside{1};
  std::jthread worker;
  {
    db::Pool pool{fixture.Options(), fixture.clock};
    worker = std::jthread{[&] {
      pool.Write([&](Tx& tx) {
        inside.count_down();
        tx.Run(kSleep, 0.2);
        tx.Run(kAdd, "a");
      });
    }};
    inside.wait();
  }
  CHECK(fixture.Count() == 1);
}

TEST_CASE("many threads share few connections", "[pool]") {
  PoolFixture fixture;
  auto options = fixture.Options(3);
  db::Pool pool{options, fixture.clock};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 16; ++t) {
      threads.emplace_back([&pool, t] {
        for (int i = 0; i < 25; ++i) {
          pool.Write([&](Tx& tx) { tx.Run(kAdd, std::to_string(t) + "." + std::to_string(i)); });
        }
      });
    }
  }
  CHECK(fixture.Count() == 16 * 25);
  const auto stats = pool.Stats();
  CHECK(stats.acquired == 16 * 25);
  CHECK(stats.connects <= 3);
  CHECK(stats.idle == stats.connections);
  CHECK(stats.waiting == 0);
}

}  // namespace gathering::test
