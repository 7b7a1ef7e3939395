// `gathering migrate` as a script meets it: what it prints where, and how it ends.
#include <catch2/catch.hpp>

#include <optional>
#include <thread>

#include "core/base/clock.h"
#include "core/db/migrate.h"
#include "core/db/session.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"

namespace gathering::test {
namespace {

using nlohmann::json;

class Shell {
 public:
  ProcessResult Migrate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "migrate");
    return Run(GATHERING_BINARY,
               {.arguments = std::move(arguments), .environment = {{"DATABASE_URL", database_.url()}}});
  }
  void Execute(std::string_view sql) { db::Session{{.url = database_.url()}}.Execute(sql); }
  // How many migrate commands are connected.
  std::int64_t Sessions() {
    constexpr std::string_view kCount =
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'gathering migrate'";
    return db::Session{{.url = database_.url()}}.Query({"sessions", kCount}).As<std::int64_t>(0);
  }
  const std::string& url() const { return database_.url(); }

 private:
  FreshDatabase database_{FreshDatabase::Schema::kEmpty};
};

const std::string kHead = std::to_string(db::Migrations().size());

}  // namespace

TEST_CASE("migrate check tells by its exit code how the schema stands", "[migrate]") {
  Shell shell;
  CHECK(shell.Migrate({"check"}).code == 3);
  CHECK(shell.Migrate({"up"}).code == 0);
  CHECK(shell.Migrate({"check"}).code == 0);

  shell.Execute("UPDATE gathering_migrations SET sha256 = 'edited' WHERE number = 1");
  CHECK(shell.Migrate({"check"}).code == 4);
  CHECK(shell.Migrate({"up"}).code == 4);

  shell.Execute("INSERT INTO gathering_migrations (number, name, sha256) VALUES (9999, 'future', 'x')");
  const ProcessResult newer = shell.Migrate({"check", "--output", "json"});
  CHECK(newer.code == 5);
  const json report = json::parse(newer.out);
  CHECK(report["schema"] == 1);
  CHECK(report["standing"] == "newer_than_binary");
  CHECK(report["unknown"] == json::array({9999}));
  CHECK(shell.Migrate({"up"}).code == 5);
}

TEST_CASE("migrate up prints what it did on stdout, and nothing the second time", "[migrate]") {
  Shell shell;
  const ProcessResult first = shell.Migrate({"up"});
  CHECK(first.code == 0);
  CHECK(first.out.starts_with("0001_identity applied in "));
  CHECK(first.err.empty());
  const ProcessResult second = shell.Migrate({"up"});
  CHECK(second.out.empty());
  CHECK(second.err == "gathering: there was nothing to do\n");
  const json status = json::parse(shell.Migrate({"status", "--output", "json"}).out);
  CHECK(status["schema"] == 1);
  REQUIRE(status["migrations"].size() == db::Migrations().size());
  CHECK(status["migrations"][0]["state"] == "applied");
}

TEST_CASE("what destroys data asks, and refuses when nobody can answer", "[migrate]") {
  Shell shell;
  shell.Migrate({"up"});
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"down"}, {"redo"}, {"to", "0"}}) {
    const ProcessResult refused = shell.Migrate(words);
    CHECK(refused.code == 2);
    CHECK(refused.err.find("--yes") != std::string::npos);
  }
  CHECK(shell.Migrate({"check"}).code == 0);
  CHECK(shell.Migrate({"redo", "--yes"}).code == 0);
  CHECK(shell.Migrate({"to", "0", "--yes"}).code == 0);
  CHECK(shell.Migrate({"baseline", kHead}).code == 2);
  CHECK(shell.Migrate({"baseline", kHead, "--yes"}).code == 0);
  CHECK(shell.Migrate({"check"}).code == 0);
  CHECK(shell.Migrate({"verify"}).code == 4);  // recorded, but nothing is there
}

TEST_CASE("a dry run prints a script and changes nothing", "[migrate]") {
  Shell shell;
  const ProcessResult run = shell.Migrate({"up", "--dry-run"});
  CHECK(run.code == 0);
  CHECK(run.out.starts_with("-- 0001_identity\n"));
  CHECK(run.out.find("CREATE TABLE users") != std::string::npos);
  const json report = json::parse(shell.Migrate({"to", "1", "--dry-run", "--output", "json"}).out);
  CHECK(report["files"].size() == 1);
  CHECK(report["files"][0]["runnable"] == true);
  CHECK(shell.Migrate({"check"}).code == 3);
}

TEST_CASE("a number that does not exist is wrong use", "[migrate]") {
  Shell shell;
  for (const char* word : {"9999", "99999999999", "-1", "x", "1x", ""})
    CHECK(shell.Migrate({"to", word}).code == 2);
  CHECK(shell.Migrate({"to"}).code == 2);
  CHECK(shell.Migrate({}).code == 2);
}

TEST_CASE("a busy lock and an absent server have exit codes of their own", "[migrate]") {
  Shell shell;
  const ProcessResult away =
      Run(GATHERING_BINARY, {.arguments = {"migrate", "up", "--output", "json"},
                             .environment = {{"DATABASE_URL", "host=/nonexistent dbname=x"}}});
  CHECK(away.code == 69);
  const json report = json::parse(away.out);
  CHECK(report["error"] == "the database is away");
  CHECK(report["exit"] == 69);

  const SystemClock clock;
  std::optional<ProcessResult> busy;
  db::MigratorOptions options{.url = shell.url()};
  options.on_event = [&](const db::MigrationEvent& event) {
    if (event.kind != db::MigrationEvent::Kind::kBegin || event.number != 1) return;
    busy = shell.Migrate({"up", "--lock-wait", "100ms"});
  };
  db::Migrator{options, clock}.Up();
  REQUIRE(busy.has_value());
  CHECK(busy->code == 75);
  CHECK(busy->err.find("another migration is running (server process ") != std::string::npos);
}

TEST_CASE("check waits for somebody else to bring the schema to head", "[migrate]") {
  Shell shell;
  CHECK(shell.Migrate({"check", "--wait", "100ms"}).code == 3);

  std::optional<ProcessResult> waiting;
  std::jthread check{[&] { waiting = shell.Migrate({"check", "--wait", "15s"}); }};
  const SystemClock clock;
  const auto deadline = clock.Now() + std::chrono::seconds{10};
  while (shell.Sessions() == 0 && clock.Now() < deadline) {
  }
  REQUIRE(shell.Sessions() == 1);
  db::Migrator{{.url = shell.url()}, clock}.Up();
  check.join();
  REQUIRE(waiting.has_value());
  CHECK(waiting->code == 0);
}

}  // namespace gathering::test
