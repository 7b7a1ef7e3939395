// What the engine of migrations promises, on a real PostgreSQL.
#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <latch>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/db/catalog.h"
#include "core/db/migrate.h"
#include "core/db/session.h"
#include "tests/support/postgres.h"

namespace gathering::db {
namespace {

using namespace std::chrono_literals;
using test::FreshDatabase;

using Numbers = std::vector<std::int64_t>;
using Kind = MigrationEvent::Kind;

constexpr Migration kUsers{.number = 1,
                           .name = "users",
                           .up =
                               "CREATE TABLE users (\n"
                               "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
                               "  name text NOT NULL DEFAULT 'nobody' CHECK (name <> ''),\n"
                               "  mail text);\n"
                               "INSERT INTO users (name, mail) VALUES ('ada', 'a@x'), ('bob', 'b@x');\n",
                           .down = "DROP TABLE users;\n",
                           .sha256 = "users-1"};
constexpr Migration kUsersByName{.number = 2,
                                 .name = "users_by_name",
                                 .up =
                                     "-- no-transaction\n"
                                     "CREATE INDEX CONCURRENTLY users_name ON users (name);\n"
                                     "CREATE UNIQUE INDEX CONCURRENTLY users_mail ON users (mail);\n",
                                 .down =
                                     "-- no-transaction\n"
                                     "DROP INDEX CONCURRENTLY users_mail;\n"
                                     "DROP INDEX CONCURRENTLY users_name;\n",
                                 .sha256 = "users-2",
                                 .transactional = false};
constexpr Migration kAges{.number = 3,
                          .name = "ages",
                          .up =
                              "ALTER TABLE users ADD COLUMN age integer;\n"
                              "CREATE TYPE mood AS ENUM ('good', 'bad');\n"
                              "CREATE VIEW adults AS SELECT id, name FROM users WHERE age >= 18;\n"
                              "CREATE FUNCTION older(who bigint) RETURNS void LANGUAGE sql AS\n"
                              "  $$ UPDATE users SET age = age + 1 WHERE id = who; $$;\n",
                          .down =
                              "DROP FUNCTION older(bigint);\nDROP VIEW adults;\nDROP TYPE mood;\n"
                              "ALTER TABLE users DROP COLUMN age;\n",
                          .sha256 = "users-3"};

// A database with short words for what is done to it.
class Fixture {
  FreshDatabase database_{FreshDatabase::Schema::kEmpty};

 public:
  SystemClock clock;
  std::vector<Migration> files{kUsers, kUsersByName, kAges};
  MigratorOptions options{.url = database_.url(), .lock_wait = 60s};

  Migrator With(const std::function<void(MigratorOptions&)>& change = {}) {
    MigratorOptions changed = options;
    changed.migrations = files;
    if (change) change(changed);
    return Migrator{std::move(changed), clock};
  }
  Numbers Up() { return NumbersOf(With().Up()); }

  void Execute(std::string_view sql) { Session{{.url = database_.url()}}.Execute(sql); }

  // The one value of a query.
  std::string Ask(std::string_view sql) {
    const Rows rows = Session{{.url = database_.url()}}.Query(Query{"test", sql});
    return rows.empty() ? "nothing" : rows.As<std::optional<std::string>>(0).value_or("NULL");
  }
  Catalog Everything() {
    Session session{{.url = database_.url()}};
    session.Execute("BEGIN");
    return ReadCatalog(session, "public");
  }
  std::string Relations() {
    return Ask(
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'");
  }

  static Numbers NumbersOf(const std::vector<MigrationStep>& steps) {
    Numbers numbers;
    for (const MigrationStep& step : steps) {
      numbers.push_back(step.direction == Direction::kDown ? -step.number : step.number);
    }
    return numbers;
  }

  // What `work` throws; fails the test when it throws nothing.
  static Error Refused(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      return error;
    }
    FAIL("nothing was refused");
    return Error{Code::kInternal, ""};
  }
};

bool Mentions(const std::vector<std::string>& lines, std::string_view begin) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.starts_with(begin); });
}

std::vector<MigrationState> StatesOf(const std::vector<MigrationStatus>& all) {
  std::vector<MigrationState> states;
  for (const MigrationStatus& status : all) states.push_back(status.state);
  return states;
}

using State = MigrationState;

}  // namespace

TEST_CASE("the binary's migrations go up, down and up again to an equal schema", "[migrate]") {
  Fixture f;
  Migrator migrator{f.options, f.clock};
  const Catalog empty = f.Everything();
  const Numbers all = Fixture::NumbersOf(migrator.Up());
  REQUIRE(all.size() == Migrations().size());
  const Catalog first = f.Everything();
  CHECK(first.size() > empty.size());
  CHECK(migrator.Verify().empty());
  migrator.DownTo(0);
  CHECK(CompareCatalogs(empty, f.Everything()).empty());
  CHECK(Fixture::NumbersOf(migrator.Up()) == all);
  CHECK(CompareCatalogs(first, f.Everything()).empty());
}

TEST_CASE("pending files run in order, once", "[migrate]") {
  Fixture f;
  CHECK(f.With().Check().pending == Numbers{1, 2, 3});
  CHECK(StatesOf(f.With().Status()) == std::vector{State::kPending, State::kPending, State::kPending});
  CHECK(Fixture::NumbersOf(f.With().UpTo(2)) == Numbers{1, 2});
  CHECK(f.With().Check().standing == Standing::kPending);
  CHECK(f.Up() == Numbers{3});
  CHECK(f.Up().empty());
  CHECK(f.With().Check().standing == Standing::kAtHead);
  f.With().RequireCurrent();
  const auto status = f.With().Status();
  CHECK(StatesOf(status) == std::vector{State::kApplied, State::kApplied, State::kApplied});
  CHECK(status[0].applied_sha256 == "users-1");
  CHECK(status[0].applied_at.has_value());
}

TEST_CASE("files are taken back newest first, and redone", "[migrate]") {
  Fixture f;
  const Catalog empty = f.Everything();
  f.Up();
  const Catalog full = f.Everything();
  CHECK(Fixture::NumbersOf(f.With().Redo()) == Numbers{-3, 3});
  CHECK(CompareCatalogs(full, f.Everything()).empty());
  CHECK(Fixture::NumbersOf(f.With().Down(2)) == Numbers{-3, -2});
  CHECK(f.With().Check().database == 1);
  CHECK(Fixture::NumbersOf(f.With().DownTo(0)) == Numbers{-1});
  CHECK(CompareCatalogs(empty, f.Everything()).empty());
  CHECK(f.With().Down(1).empty());
  CHECK(f.Up() == Numbers{1, 2, 3});
}

TEST_CASE("four runners at once run each file once, also when one builds an index concurrently",
          "[migrate]") {
  Fixture f;
  constexpr int kRunners = 4;
  std::latch ready{kRunners};
  std::vector<Numbers> done(kRunners);
  std::vector<std::string> errors(kRunners);
  {
    std::vector<std::jthread> runners;
    for (std::size_t i = 0; i < kRunners; ++i) {
      runners.emplace_back([&, i] {
        ready.arrive_and_wait();
        try {
          done[i] = Fixture::NumbersOf(f.With([](MigratorOptions& o) { o.statement_timeout = 30s; }).Up());
        } catch (const Error& error) {
          errors[i] = error.message + ": " + error.cause;
        }
      });
    }
  }
  Numbers together;
  for (const Numbers& some : done) together.insert(together.end(), some.begin(), some.end());
  std::sort(together.begin(), together.end());
  CHECK(errors == std::vector<std::string>(kRunners));
  CHECK(together == Numbers{1, 2, 3});
  CHECK(f.Ask("SELECT count(*)::text FROM users") == "2");
}

TEST_CASE("a file that fails leaves nothing of itself, and says where", "[migrate]") {
  Fixture f;
  f.files[2].up = "CREATE TABLE half (id int);\n\n-- wrong\nALTER TABLE users\n  ADD COLUMN age nonsense;\n";
  const Error error = Fixture::Refused([&] { f.Up(); });
  CHECK(error.message.starts_with("migration 0003_ages, line 5: type \"nonsense\" does not exist"));
  CHECK(f.Relations() == "gathering_migrations users");
  CHECK(f.With().Check().pending == Numbers{3});
  f.files[2] = kAges;
  CHECK(f.Up() == Numbers{3});
}

TEST_CASE("a file that breaks a deferred rule at its end leaves nothing of itself", "[migrate]") {
  Fixture f;
  f.files = {kUsers};
  f.files[0].up =
      "CREATE TABLE a (id int PRIMARY KEY);\n"
      "CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO b VALUES (1);\n";
  CHECK(Fixture::Refused([&] { f.Up(); }).message.starts_with("migration 0001_users, at its end: "));
  CHECK(f.Relations() == "gathering_migrations");
}

TEST_CASE("a runner that loses its server in the middle of a file leaves nothing of it", "[migrate]") {
  Fixture f;
  auto migrator = f.With([&](MigratorOptions& o) {
    o.on_event = [&](const MigrationEvent& event) {
      if (event.kind != Kind::kStatement || event.number != 3 || event.statement != 1) return;
      f.Execute(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gathering "
          "migrate'");
    };
  });
  CHECK(Fixture::Refused([&] { migrator.Up(); }).code == Code::kUnavailable);
  CHECK(f.With().Check().pending == Numbers{3});
  CHECK(
      f.Ask(
          "SELECT count(*)::text FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'age'") ==
      "0");
  CHECK(f.Up() == Numbers{3});
}

TEST_CASE("a runner killed in the middle of a file leaves nothing of it, and its lock is soon free",
          "[migrate]") {
  Fixture f;
  f.files[2].up = "CREATE TABLE half (id int);\nSELECT pg_sleep(600);\n";
  const pid_t child = fork();
  if (child == 0) {
    f.Up();
    _exit(0);
  }
  const auto deadline = f.clock.Now() + 30s;
  const std::string_view running = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  while (f.Ask(running) == "0" && f.clock.Now() < deadline) {
  }
  REQUIRE(f.Ask(running) == "1");
  REQUIRE(kill(child, SIGKILL) == 0);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  f.files[2] = kAges;
  CHECK(f.Up() == Numbers{3});
  CHECK(f.Relations() == "gathering_migrations users");
}

TEST_CASE("cancelling ends the running statement and takes its file back", "[migrate]") {
  Fixture f;
  std::atomic<bool> cancel{false};
  f.files[2].up = "CREATE TABLE half (id int);\nSELECT pg_sleep(600);\n";
  auto migrator = f.With([&](MigratorOptions& o) {
    o.cancel = &cancel;
    o.on_event = [&](const MigrationEvent& event) {
      if (event.kind == Kind::kStatement && event.number == 3) cancel = true;
    };
  });
  CHECK(Fixture::Refused([&] { migrator.Up(); }).code == Code::kTimeout);
  CHECK(f.Relations() == "gathering_migrations users");
}

TEST_CASE("a runner asked to stop finishes its file and begins no other", "[migrate]") {
  Fixture f;
  std::atomic<bool> stop{false};
  auto migrator = f.With([&](MigratorOptions& o) {
    o.stop = &stop;
    o.on_event = [&](const MigrationEvent& event) {
      if (event.kind == Kind::kBegin && event.number == 2) stop = true;
    };
  });
  CHECK(Fixture::NumbersOf(migrator.Up()) == Numbers{1, 2});
  CHECK(f.With().Check().pending == Numbers{3});
}

TEST_CASE("an edited file is noticed and nothing runs on top of it", "[migrate]") {
  Fixture f;
  f.With().UpTo(2);
  f.files[0].sha256 = "users-1-edited";
  const SchemaCheck check = f.With().Check();
  CHECK(check.standing == Standing::kChecksumDiffers);
  CHECK(check.changed == Numbers{1});
  CHECK(f.With().Status()[0].state == State::kChanged);
  CHECK(Fixture::Refused([&] { f.Up(); }).code == Code::kRejected);
  CHECK(Fixture::Refused([&] {
          f.With().RequireCurrent();
        }).message.starts_with("migration 1 was applied from"));
  CHECK(f.With().Check().database == 2);
}

TEST_CASE("a database newer than the binary is refused by number", "[migrate]") {
  Fixture f;
  f.Up();
  f.files.pop_back();
  const SchemaCheck check = f.With().Check();
  CHECK(check.standing == Standing::kNewerThanBinary);
  CHECK(check.unknown == Numbers{3});
  CHECK(f.With().Status()[2].state == State::kUnknown);
  CHECK(f.With().Status()[2].name == "ages");
  for (const auto& operation : std::vector<std::function<void()>>{
           [&] { f.Up(); }, [&] { f.With().RequireCurrent(); }, [&] { f.With().Down(1); },
           [&] { (void)f.With().Verify(); }, [&] { (void)f.With().DryRun(); }}) {
    const Error error = Fixture::Refused(operation);
    CHECK(error.code == Code::kRejected);
    CHECK(error.message.find('3') != std::string::npos);
  }
}

TEST_CASE("a ledger with a gap is refused", "[migrate]") {
  Fixture f;
  f.Up();
  f.Execute("DELETE FROM gathering_migrations WHERE number = 2");
  CHECK(Fixture::Refused([&] { f.Up(); }).message ==
        "migration 2 is not applied, but 3 is: the ledger has a gap");
}

TEST_CASE("a dry run tells the locks of each statement and leaves no trace", "[migrate]") {
  Fixture f;
  SECTION("of what is on top of an applied schema") {
    f.With().UpTo(1);
    f.files[2].up =
        "ALTER TABLE users ADD COLUMN age integer;\nALTER TABLE users ALTER COLUMN age TYPE bigint;\n";
    const Catalog before = f.Everything();
    const auto files = f.With().DryRun();
    CHECK(CompareCatalogs(before, f.Everything()).empty());
    CHECK(f.With().Check().pending == Numbers{2, 3});
    REQUIRE(files.size() == 2);
    CHECK_FALSE(files[0].runnable);
    CHECK(files[1].runnable);
    REQUIRE(files[1].statements.size() == 2);
    const DryRunStatement& add = files[1].statements[0];
    CHECK(add.line == 1);
    CHECK(add.text == "ALTER TABLE users ADD COLUMN age integer");
    REQUIRE_FALSE(add.locks.empty());
    CHECK(add.locks[0].relation == "users");
    CHECK(add.locks[0].mode == "AccessExclusiveLock");
    CHECK_FALSE(add.locks[0].created_here);
    CHECK(add.rewritten.empty());
    CHECK(files[1].statements[1].rewritten == std::vector<std::string>{"users"});
  }
  SECTION("of an empty database, which stays empty") {
    f.files = {kUsers};
    const auto files = f.With().DryRun();
    REQUIRE(files.size() == 1);
    REQUIRE(files[0].statements.size() == 2);
    const auto& locks = files[0].statements[0].locks;
    CHECK(std::all_of(locks.begin(), locks.end(), [](const LockTaken& lock) { return lock.created_here; }));
    CHECK(f.Relations() == "NULL");
  }
  SECTION("and names what would fail") {
    f.files = {kUsers};
    f.files[0].up = "CREATE TABLE a (x int);\nCREATE TABLE a (x int);\n";
    CHECK(Fixture::Refused([&] { (void)f.With().DryRun(); }).message ==
          "migration 0001_users, line 2: relation \"a\" already exists");
    CHECK(f.Relations() == "NULL");
  }
}

TEST_CASE("verify finds nothing on an untouched schema and leaves nothing behind", "[migrate]") {
  Fixture f;
  f.Up();
  CHECK(f.With().Verify().empty());
  CHECK(f.Ask("SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE 'gathering%'") == "0");
  CHECK(f.Ask("SELECT count(*)::text FROM users") == "2");
}

TEST_CASE("verify finds what was changed by hand", "[migrate]") {
  struct Change {
    const char* sql;
    const char* line;
  };
  const auto change = GENERATE(values<Change>({
      {"DROP INDEX users_name", "missing index users_name: "},
      {"ALTER TABLE users ADD COLUMN extra text NOT NULL DEFAULT ''",
       "extra column users.extra: text not null"},
      {"ALTER TABLE users ALTER COLUMN name SET DEFAULT 'somebody'",
       "different column users.name: expected text not null default 'nobody'::text, found text not null "
       "default "
       "'somebody'::text"},
      {"ALTER TABLE users ALTER COLUMN name DROP NOT NULL", "different column users.name: "},
      {"ALTER TABLE users ALTER COLUMN age TYPE bigint",
       "different column users.age: expected integer, found bigint"},
      {"ALTER TABLE users DROP CONSTRAINT users_name_check", "missing constraint users.users_name_check: "},
      {"ALTER TABLE users DROP CONSTRAINT users_pkey",
       "missing constraint users.users_pkey: PRIMARY KEY (id)"},
      {"ALTER TYPE mood ADD VALUE 'so-so'", "different enum type mood: expected 'good', 'bad', found "},
      {"CREATE OR REPLACE VIEW adults AS SELECT id, name FROM users WHERE age >= 21",
       "different view adults: "},
      {"CREATE OR REPLACE FUNCTION older(who bigint) RETURNS void LANGUAGE sql AS 'SELECT'",
       "different function older(who bigint): "},
      {"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
       "CREATE TRIGGER users_t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION t()",
       "extra trigger users.users_t: "},
      {"CREATE TABLE other (id int, x text DEFAULT 'y')", "extra table other"},
      {"UPDATE gathering_migrations SET sha256 = 'x' WHERE number = 1",
       "different text of migration 0001_users: "},
  }));
  // The view is in the way of one change.
  Fixture f;
  f.Up();
  if (std::string_view{change.sql}.find("TYPE bigint") != std::string_view::npos)
    f.Execute("DROP VIEW adults");
  f.Execute(change.sql);
  const std::vector<std::string> lines = f.With().Verify();
  INFO((lines.empty() ? "no lines" : lines[0]));
  CHECK(Mentions(lines, change.line));
  CHECK(lines.size() <= 2);
}

TEST_CASE("a missing table is one line, not one for each of its parts", "[migrate]") {
  Fixture f;
  f.files = {kUsers};
  f.Up();
  f.Execute("DROP TABLE users");
  const auto lines = f.With().Verify();
  CHECK(lines.size() == 2);  // and its sequence
  CHECK(Mentions(lines, "missing table users"));
}

TEST_CASE("a baseline records files without running them, and only on an empty ledger", "[migrate]") {
  Fixture f;
  CHECK(Fixture::NumbersOf(f.With().Baseline(2)) == Numbers{1, 2});
  CHECK(f.Relations() == "gathering_migrations");
  CHECK(f.With().Check().pending == Numbers{3});
  CHECK(Fixture::Refused([&] { f.With().Baseline(3); }).code == Code::kRejected);
  CHECK(Fixture::Refused([&] { f.With().Baseline(4); }).code == Code::kInvalid);
}

TEST_CASE("a lock held by somebody else fails the file after the lock timeout, not later", "[migrate]") {
  Fixture f;
  f.With().UpTo(2);
  Session other{{.url = f.options.url}};
  other.Execute("BEGIN; SELECT count(*) FROM users");
  const auto start = f.clock.Now();
  const Error error =
      Fixture::Refused([&] { f.With([](MigratorOptions& o) { o.lock_timeout = 200ms; }).Up(); });
  CHECK(error.code == Code::kTimeout);
  CHECK(error.message.starts_with("migration 0003_ages, line 1: canceling statement due to lock timeout"));
  CHECK(f.clock.Now() - start < 10s);
  CHECK(f.With().Check().pending == Numbers{3});
  other.Execute("COMMIT");
  CHECK(f.Up() == Numbers{3});
}

TEST_CASE("a runner waits for another one only so long, and says who it is", "[migrate]") {
  Fixture f;
  std::optional<Error> busy;
  auto first = f.With([&](MigratorOptions& o) {
    o.on_event = [&](const MigrationEvent& event) {
      if (event.kind != Kind::kBegin || event.number != 1) return;
      try {
        f.With([](MigratorOptions& second) { second.lock_wait = 100ms; }).Up();
      } catch (const LockBusy& error) {
        busy = error;
      }
    };
  });
  CHECK(first.Up().size() == 3);
  REQUIRE(busy.has_value());
  CHECK(busy->code == Code::kUnavailable);
  CHECK(busy->message.starts_with("another migration is running (server process "));
}

TEST_CASE("looking at the state waits for nobody", "[migrate]") {
  Fixture f;
  std::vector<Numbers> pending;
  f.With([&](MigratorOptions& o) {
     o.on_event = [&](const MigrationEvent& event) {
       if (event.kind == Kind::kStatement && event.statement == event.statements) {
         pending.push_back(f.With().Check().pending);
       }
     };
   }).Up();
  CHECK(pending == std::vector<Numbers>{{1, 2, 3}, {2, 3}, {3}});
}

TEST_CASE("a file without a transaction goes on where it was interrupted", "[migrate]") {
  Fixture f;
  f.With().UpTo(1);
  f.Execute("UPDATE users SET mail = 'same'");
  CHECK(Fixture::Refused([&] { f.Up(); }).message.starts_with("migration 0002_users_by_name, line 3: "));
  CHECK(f.With().Status()[1].state == State::kIncomplete);
  CHECK(f.With().Check().pending == Numbers{2, 3});
  // What the failed build left is gone, what was done before it is not.
  CHECK(f.Ask("SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid) FROM pg_index "
              "WHERE indrelid = 'users'::regclass") == "users_pkey users_name");
  CHECK(Fixture::Refused([&] { f.With().Down(1); }).code == Code::kRejected);

  SECTION("when the reason is gone") {
    f.Execute("UPDATE users SET mail = name");
    std::vector<std::size_t> statements;
    auto migrator = f.With([&](MigratorOptions& o) {
      o.on_event = [&](const MigrationEvent& event) {
        if (event.kind == Kind::kStatement && event.number == 2) statements.push_back(event.statement);
      };
    });
    CHECK(Fixture::NumbersOf(migrator.Up()) == Numbers{2, 3});
    CHECK(statements == std::vector<std::size_t>{2});
    CHECK(f.With().Verify().empty());
  }
  SECTION("also when a build was killed and left its invalid index") {
    f.Execute("UPDATE users SET mail = name");
    f.Execute("CREATE UNIQUE INDEX users_mail ON users (mail)");
    f.Execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_mail'::regclass");
    CHECK(f.Up() == Numbers{2, 3});
    CHECK(f.Ask("SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'users_mail'::regclass") == "true");
  }
  SECTION("also when only the mark of a finished build was lost") {
    f.Execute("UPDATE users SET mail = name");
    f.Execute("CREATE UNIQUE INDEX users_mail ON users (mail)");
    CHECK(f.Up() == Numbers{2, 3});
  }
  SECTION("with the rest of the file corrected") {
    f.files[1].up =
        "-- no-transaction\n"
        "CREATE INDEX CONCURRENTLY users_name ON users (name);\n"
        "CREATE INDEX CONCURRENTLY users_mail ON users (mail);\n";
    f.files[1].sha256 = "users-2-corrected";
    CHECK(f.Up() == Numbers{2, 3});
    CHECK(f.With().Check().standing == Standing::kAtHead);
  }
  SECTION("but not when what was done is another text now") {
    f.files[1].up = "-- no-transaction\nCREATE INDEX CONCURRENTLY users_name ON users (id);\nSELECT 1;\n";
    CHECK(Fixture::Refused([&] { f.Up(); }).code == Code::kRejected);
  }
}

TEST_CASE("statements of a file without a transaction that can be in one are marked with it", "[migrate]") {
  Fixture f;
  f.files[1].up =
      "-- no-transaction\nINSERT INTO users (name) VALUES ('eve');\nVACUUM users;\nSELECT nonsense;\n";
  CHECK(Fixture::Refused([&] { f.Up(); }).message.starts_with("migration 0002_users_by_name, line 4: "));
  CHECK(f.Ask("SELECT statements_done::text FROM gathering_migrations WHERE number = 2") == "2");
  f.files[1].up = "-- no-transaction\nINSERT INTO users (name) VALUES ('eve');\nVACUUM users;\n";
  CHECK(f.Up() == Numbers{2, 3});
  CHECK(f.Ask("SELECT count(*)::text FROM users") == "3");
}

TEST_CASE("a file taken back without a transaction goes on where it was interrupted", "[migrate]") {
  Fixture f;
  f.With().UpTo(2);
  f.files[1].down =
      "-- no-transaction\nDROP INDEX CONCURRENTLY users_mail;\nDROP INDEX CONCURRENTLY nonsense;\n";
  CHECK(Fixture::Refused([&] { f.With().Down(1); }).code == Code::kInternal);
  CHECK(f.With().Status()[1].state == State::kReverting);
  CHECK(Fixture::Refused([&] { f.Up(); }).message.find("half taken back") != std::string::npos);
  f.files[1].down = kUsersByName.down;
  CHECK(Fixture::NumbersOf(f.With().Down(1)) == Numbers{-2});
  CHECK(f.Up() == Numbers{2, 3});
}

TEST_CASE("a file may not end its transaction, and says so before anything runs", "[migrate]") {
  Fixture f;
  f.files = {kUsers};
  for (const char* word :
       {"COMMIT", "begin", "Rollback", "END", "START TRANSACTION", "PREPARE TRANSACTION 'x'"}) {
    const std::string up = std::string{"CREATE TABLE a (x int);\n"} + word + ";\nSELECT 1;";
    f.files[0].up = up;
    const Error error = Fixture::Refused([&] { f.Up(); });
    CHECK(error.code == Code::kInvalid);
    CHECK(error.message.starts_with("migration 0001_users, line 2: "));
    CHECK(f.Relations() == "gathering_migrations");
  }
}

TEST_CASE("settings of one file do not reach the next", "[migrate]") {
  Fixture f;
  f.Execute("CREATE SCHEMA elsewhere");
  f.files = {kUsers, kAges};
  f.files[0].up = "SET search_path = elsewhere;\nSET lock_timeout = '7s';\nCREATE TABLE there (x int);\n";
  f.files[1].number = 2;
  f.files[1].up = "CREATE TABLE here AS SELECT current_setting('lock_timeout') AS setting;\n";
  CHECK(f.Up() == Numbers{1, 2});
  CHECK(f.Relations() == "gathering_migrations here");
  CHECK(f.Ask("SELECT setting FROM here") == "5s");
}

TEST_CASE("everything can live in a schema of its own", "[migrate]") {
  Fixture f;
  const auto in_app = [&] { return f.With([](MigratorOptions& o) { o.schema = "App\"s"; }); };
  CHECK(Fixture::Refused([&] { (void)in_app().Check(); }).code == Code::kRejected);
  f.Execute("CREATE SCHEMA \"App\"\"s\"");
  CHECK(Fixture::NumbersOf(in_app().Up()) == Numbers{1, 2, 3});
  CHECK(in_app().Verify().empty());
  CHECK(f.Relations() == "NULL");
  CHECK(f.With().Check().pending == Numbers{1, 2, 3});
}

TEST_CASE("a server that does not answer is waited for, but not for ever", "[migrate]") {
  Fixture f;
  std::vector<Kind> events;
  auto migrator = f.With([&](MigratorOptions& o) {
    o.url = "host=/nonexistent dbname=none";
    o.database_wait = 100ms;
    o.on_event = [&](const MigrationEvent& event) { events.push_back(event.kind); };
  });
  CHECK(Fixture::Refused([&] { (void)migrator.Check(); }).code == Code::kUnavailable);
  CHECK(events == std::vector{Kind::kWaitingForDatabase});
}

TEST_CASE("numbers with a gap are refused before anything is asked", "[migrate]") {
  Fixture f;
  f.files = {kUsers, kAges};
  CHECK(Fixture::Refused([&] { f.With(); }).code == Code::kInvalid);
}

}  // namespace gathering::db
