// `gathering doctor` on systems that are well, and on systems with one thing wrong each, made wrong for real.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "core/base/clock.h"
#include "core/base/fd.h"
#include "core/db/catalog.h"
#include "core/db/connection.h"
#include "core/db/embedded.h"
#include "core/db/migrate.h"
#include "core/db/session.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/redis_server.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

namespace fs = std::filesystem;

using Words = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

constexpr const char* kDrawnSecret = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
constexpr const char* kPassword = "correct-horse";

// --- a server as one has in production -------------------------------------------------------------

// With fsync, and with roles that have passwords.  Started when first asked for.
class DurableServer {
 public:
  static DurableServer& Instance() {
    static DurableServer server;
    return server;
  }

  [[nodiscard]] std::string Url(const std::string& role, const std::string& database,
                                const std::string& password = kPassword) const {
    return fmt::format("{} user={} password={}", Base(database), role, password);
  }
  [[nodiscard]] std::string OwnerUrl(const std::string& database) const {
    return Base(database) + " user=gathering";
  }
  void Sql(const std::string& database, const std::string& sql) const {
    db::Connection{{.url = OwnerUrl(database)}}.Script(sql);
  }

 private:
  DurableServer()
      : server_({.data_dir = directory_.path(), .binaries_dir = "", .run_as = ""},
                db::EmbeddedPostgres::Sharing::kOwnerOnly, clock_) {
    std::ofstream{directory_.path() + "/pg_hba.conf"} << "local all gathering peer map=gathering\n"
                                                         "local all all scram-sha-256\n";
    Sql("postgres", "CREATE DATABASE whole");
    Sql("postgres", fmt::format("CREATE ROLE anybody LOGIN PASSWORD '{}'", kPassword));
    Sql("postgres", "SELECT pg_reload_conf()");
    db::Migrator{{.url = OwnerUrl("whole")}, clock_}.Up();
    Await([&] {
      try {
        const db::Connection known{{.url = Url("anybody", "whole")}};
        return true;
      } catch (const Error&) {
        return false;  // the rules are read again in a moment
      }
    });
  }

  [[nodiscard]] std::string Base(const std::string& database) const {
    const std::string& url = server_.url();  // host='…' port=5432 user=… dbname=…
    return url.substr(0, url.rfind(" user=")) + " dbname=" + database;
  }

  SystemClock clock_;
  TemporaryDirectory directory_;
  db::EmbeddedPostgres server_;
};

// A database of one's own on it, and a role that owns it and everything in it.
class Clinic {
 public:
  Clinic() {
    static int last = 0;
    name_ = fmt::format("clinic_{}", ++last);
    const DurableServer& server = DurableServer::Instance();
    server.Sql("postgres", fmt::format("CREATE ROLE {} LOGIN PASSWORD '{}'", name_, kPassword));
    server.Sql("postgres", fmt::format("CREATE DATABASE {0} TEMPLATE template0 OWNER {0}", name_));
  }
  ~Clinic() {
    DurableServer::Instance().Sql("postgres", fmt::format("DROP DATABASE {} WITH (FORCE)", name_));
    DurableServer::Instance().Sql("postgres", fmt::format("DROP ROLE {}", name_));
  }
  Clinic(const Clinic&) = delete;
  Clinic& operator=(const Clinic&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string Url() const { return DurableServer::Instance().Url(name_, name_); }
  void Migrate(std::optional<std::uint32_t> number = {}) const {
    const SystemClock clock;
    db::Migrator migrator{{.url = Url()}, clock};
    number ? migrator.UpTo(*number) : migrator.Up();
  }
  // As the server's administrator; {0} is the name of the role and of the database.
  void Sql(const std::string& sql) const {
    DurableServer::Instance().Sql(name_, fmt::format(fmt::runtime(sql), name_));
  }

 private:
  std::string name_;
};

// --- the command -----------------------------------------------------------------------------------

struct Diagnosis {
  int code = -1;
  json report;
  std::string err;

  // The gravest finding of a check.
  [[nodiscard]] json Of(const std::string& name) const {
    const Words order = {"skipped", "ok", "warning", "failed"};
    const auto gravity = [&](const json& one) {
      return std::ranges::find(order, one.at("verdict").get<std::string>());
    };
    json gravest;
    for (const json& one : report.at("checks")) {
      if (one.at("name") != name) continue;
      if (gravest.is_null() || gravity(one) > gravity(gravest)) gravest = one;
    }
    return gravest;
  }
  [[nodiscard]] std::string Verdict(const std::string& name) const {
    const json one = Of(name);
    return one.is_null() ? "none" : one.at("verdict").get<std::string>();
  }
  [[nodiscard]] std::string Found(const std::string& name) const { return Of(name).at("found"); }
  [[nodiscard]] std::string Remedy(const std::string& name) const { return Of(name).at("remedy"); }

  // Those that are neither ok nor, as given, skipped; without what depends on who runs these tests.
  [[nodiscard]] Words Bad() const {
    Words names;
    for (const json& one : report.at("checks")) {
      const std::string name = one.at("name");
      if (name == "clock.synchronised" || name == "directory.space" || name == "limits.memory") continue;
      if (one.at("verdict") != "ok" && one.at("verdict") != "skipped")
        names.push_back(name + ": " + one.at("found").get<std::string>());
    }
    return names;
  }
};

// A place of one's own to ask from: nothing of it is there yet.
class Asked {
 public:
  // PostgreSQL's user passes through, as in the usual places.
  Asked() { fs::permissions(directory_.path(), fs::perms::others_exec, fs::perm_options::add); }

  ProcessResult Run(Words words = {}, Variables environment = {}) const {
    words.insert(words.begin(), {"doctor", "--data-dir", data_dir()});
    if (std::ranges::count(words, "--listen") == 0) words.insert(words.end(), {"--listen", "127.0.0.1:0"});
    environment.try_emplace("GATHERING_CONFIG", "/dev/null");
    environment.try_emplace("SECRET_KEY", kDrawnSecret);
    return test::Run(GATHERING_BINARY,
                     {.arguments = std::move(words), .environment = std::move(environment), .deadline = 60s});
  }
  Diagnosis Diagnose(Words words = {}, Variables environment = {}) const {
    words.insert(words.end(), {"--output", "json"});
    const ProcessResult run = Run(std::move(words), std::move(environment));
    INFO(run.err);
    INFO(run.out);
    REQUIRE(json::accept(run.out));
    return {.code = run.code, .report = json::parse(run.out), .err = run.err};
  }
  Diagnosis On(const std::string& database_url, Words words = {}, Variables environment = {}) const {
    environment["DATABASE_URL"] = database_url;
    return Diagnose(std::move(words), std::move(environment));
  }

  [[nodiscard]] const std::string& directory() const { return directory_.path(); }
  [[nodiscard]] std::string data_dir() const {
    return other_data_dir_.empty() ? directory_.path() + "/data" : other_data_dir_;
  }
  void Use(std::string data_dir) { other_data_dir_ = std::move(data_dir); }

 private:
  TemporaryDirectory directory_;
  std::string other_data_dir_;
};

// A port of loopback where connections wait and nobody answers.
class BlackHole {
 public:
  BlackHole() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    const void* const name = &at;
    REQUIRE(::bind(socket_.get(), static_cast<const sockaddr*>(name), size) == 0);
    REQUIRE(::listen(socket_.get(), 8) == 0);
    void* const bound = &at;
    REQUIRE(::getsockname(socket_.get(), static_cast<sockaddr*>(bound), &size) == 0);
    port_ = ntohs(at.sin_port);
  }
  [[nodiscard]] std::string address() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  Fd socket_;
  std::uint16_t port_ = 0;
};

// Everything below a directory: names, kinds, modes, owners, sizes and times of change.
std::vector<std::string> Listing(const std::string& directory) {
  std::vector<std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator{directory}) {
    struct stat about {};
    REQUIRE(::lstat(entry.path().c_str(), &about) == 0);
    all.push_back(fmt::format("{} {:o} {} {} {}.{}", entry.path().string(), about.st_mode, about.st_uid,
                              about.st_size, about.st_mtim.tv_sec, about.st_mtim.tv_nsec));
  }
  std::ranges::sort(all);
  return all;
}

// What a database holds: its catalog, its ledger, and how many rows its tables have.
std::vector<std::string> Contents(const std::string& url) {
  db::Session session{{.url = url}};
  session.Execute("BEGIN");
  std::vector<std::string> all;
  for (const db::CatalogItem& item : db::ReadCatalog(session, "public"))
    all.push_back(item.kind + " " + item.name + " " + item.definition);
  session.Execute("ROLLBACK");
  db::Connection connection{{.url = url}};
  const db::Rows rows = connection.Execute(
      "SELECT relname || ' ' || (xpath('/row/c/text()', query_to_xml('SELECT count(*) AS c FROM public.' || "
      "quote_ident(relname), false, true, '')))[1]::text AS count FROM pg_class "
      "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1");
  for (std::size_t i = 0; i < rows.size(); ++i) all.push_back(rows.As<std::string>(i));
  return all;
}

}  // namespace

// --- systems that are well -------------------------------------------------------------------------

TEST_CASE("a system that is well is ok in every check, and is left as it is", "[doctor]") {
  const Clinic clinic;
  clinic.Migrate();
  const RedisServer redis;
  const Asked asked;
  const auto before = Contents(clinic.Url());
  const Diagnosis well = asked.On(clinic.Url(), {}, {{"REDIS_URL", redis.Url()}});
  CHECK(well.Bad() == Words{});
  CHECK(well.code == 0);
  CHECK(well.err.empty());
  CHECK(well.report.at("schema") == 1);
  for (const char* name :
       {"config.values",      "config.warnings",      "config.secret_key", "config.file",
        "database.connect",   "database.version",     "database.rights",   "database.connections",
        "database.clock",     "database.durability",  "database.schema",   "redis.connect",
        "redis.version",      "redis.eviction",       "redis.latency",     "clock.monotonic",
        "limits.files",       "limits.threads",       "directory.data",    "directory.socket",
        "listen 127.0.0.1:0", "listen control socket"}) {
    INFO(name);
    CHECK(well.Verdict(name) == "ok");
  }
  CHECK(Contains(well.Found("database.connect"), "as " + clinic.name()));
  CHECK(Contains(well.Found("database.rights"), "and migrate"));
  CHECK_FALSE(Contains(well.report.dump(), kPassword));
  CHECK_FALSE(Contains(well.report.dump(), kDrawnSecret));

  CHECK(Contents(clinic.Url()) == before);
  CHECK(redis.Command({"DBSIZE"}) == "0");
  CHECK(fs::is_empty(asked.directory()));
}

TEST_CASE("as text it fits 80 columns, has no colour in a pipe, and ends with the counts", "[doctor]") {
  const Clinic clinic;
  clinic.Migrate();
  const Asked asked;
  const ProcessResult run = asked.Run({}, {{"DATABASE_URL", clinic.Url()}});
  CHECK(run.code == 0);
  CHECK_FALSE(Contains(run.out, "\x1b"));
  const std::string last = run.out.substr(run.out.rfind('\n', run.out.size() - 2) + 1);
  CHECK(Contains(last, " checks: "));
  CHECK(Contains(last, " 0 failed, 3 skipped"));
  CHECK(run.out.starts_with("ok       config.values"));
}

TEST_CASE("the private PostgreSQL is looked at before its start, while it runs and after, untouched",
          "[doctor]") {
  const Asked asked;
  const Diagnosis fresh = asked.Diagnose({}, {{"SECRET_KEY", ""}});
  CHECK(fresh.Bad() == Words{});
  CHECK(fresh.code == 0);
  CHECK(Contains(fresh.Found("database.files"), "the first start makes them"));
  CHECK(Contains(fresh.Found("config.secret_key"), "the first start makes"));
  CHECK(fresh.Verdict("database.connect") == "skipped");
  CHECK(fresh.Verdict("database.schema") == "skipped");
  CHECK_FALSE(fs::exists(asked.data_dir()));
  {
    RunningDaemon daemon{{.data_dir = asked.data_dir(), .environment = {{"SECRET_KEY", ""}}}};
    const Diagnosis running = asked.Diagnose({"--listen", daemon.address()}, {{"SECRET_KEY", ""}});
    CHECK(running.Bad() == Words{});
    CHECK(running.code == 0);
    CHECK(Contains(running.Found("database.files"), fmt::format("run by gathering pid {}", daemon.pid())));
    CHECK(running.Verdict("database.connect") == "ok");
    CHECK(running.Verdict("database.schema") == "ok");
    CHECK(Contains(running.Found("listen " + daemon.address()), fmt::format("pid {}", daemon.pid())));
    CHECK(Contains(running.Found("listen control socket"), fmt::format("pid {}", daemon.pid())));
    CHECK(daemon.Client().Get("/health").status == 200);
    daemon.Signal(SIGTERM);
    CHECK(daemon.Wait() == 0);
  }
  const auto before = Listing(asked.data_dir());
  const Diagnosis stopped = asked.Diagnose({}, {{"SECRET_KEY", ""}});
  CHECK(stopped.Bad() == Words{});
  CHECK(Contains(stopped.Found("database.files"), "not in use"));
  CHECK(stopped.Verdict("database.connect") == "skipped");
  CHECK(Listing(asked.data_dir()) == before);

  fs::permissions(asked.data_dir() + "/postgres", fs::perms::others_read, fs::perm_options::add);
  fs::permissions(asked.data_dir() + "/secret_key", fs::perms::others_read, fs::perm_options::add);
  const Diagnosis open = asked.Diagnose({}, {{"SECRET_KEY", ""}});
  CHECK(open.code == 1);
  CHECK(open.Remedy("database.files") == "chmod 0700 " + asked.data_dir() + "/postgres");
  CHECK(open.Remedy("config.secret_key") == "chmod 600 " + asked.data_dir() + "/secret_key");
}

TEST_CASE("what keeps a private PostgreSQL from starting is said before the start", "[doctor]") {
  const Asked asked;
  const Diagnosis absent = asked.Diagnose({}, {{"GATHERING_DATABASE_BINARIES_DIR", "/nonexistent"},
                                               {"GATHERING_DATABASE_EMBEDDED_USER", "nobody-of-this-name"}});
  CHECK(absent.code == 1);
  CHECK(absent.Verdict("database.programs") == "failed");
  CHECK(Contains(absent.Remedy("database.programs"), "set database.binaries_dir"));
  if (::geteuid() == 0) CHECK(absent.Verdict("database.user") == "failed");
}

// --- the database ----------------------------------------------------------------------------------

TEST_CASE("each thing that is wrong with a database is told by its check", "[doctor]") {
  struct Illness {
    std::string sql;   // as the server's administrator
    std::string cure;  // takes it back
    std::string check;
    std::string verdict;
    std::string found;
  };
  const std::vector<Illness> illnesses = {
      {"INSERT INTO gathering_migrations (number, name, sha256) VALUES (999, 'later', 'x')",
       "DELETE FROM gathering_migrations WHERE number = 999", "database.schema", "failed",
       "the schema is newer than this binary"},
      {"UPDATE gathering_migrations SET sha256 = 'x' || sha256 WHERE number = 2",
       "UPDATE gathering_migrations SET sha256 = substr(sha256, 2) WHERE number = 2", "database.schema",
       "failed", "migration 2 was applied from a text that is not this binary's"},
      {"ALTER ROLE {0} CONNECTION LIMIT 5", "ALTER ROLE {0} CONNECTION LIMIT -1", "database.connections",
       "failed", "room for 5"},
      {"ALTER DATABASE {0} CONNECTION LIMIT 6", "ALTER DATABASE {0} CONNECTION LIMIT -1",
       "database.connections", "failed", "room for 6"},
      {"ALTER ROLE {0} SET default_transaction_read_only = on", "ALTER ROLE {0} RESET ALL", "database.rights",
       "failed", "the server takes no changes"},
      {"ALTER ROLE {0} SET synchronous_commit = off", "ALTER ROLE {0} RESET ALL", "database.durability",
       "warning", "off: synchronous_commit"},
      {"REVOKE DELETE ON tasks FROM {0}", "GRANT DELETE ON tasks TO {0}", "database.rights", "failed",
       "may not read and write tasks"},
      {"REVOKE USAGE ON SEQUENCE events_sequence FROM {0}", "GRANT USAGE ON SEQUENCE events_sequence TO {0}",
       "database.rights", "failed", "may not read and write events_sequence"},
      {"REVOKE SELECT ON SEQUENCE events_sequence FROM {0}",
       "GRANT SELECT ON SEQUENCE events_sequence TO {0}", "database.rights", "failed",
       "may not read and write events_sequence"},
      {"ALTER FUNCTION events_maintain OWNER TO CURRENT_USER", "ALTER FUNCTION events_maintain OWNER TO {0}",
       "database.rights", "warning", "not have the event log's days made and dropped"},
      {"CREATE SCHEMA late; GRANT USAGE ON SCHEMA late TO {0}; CREATE FUNCTION late.clock_timestamp() "
       "RETURNS "
       "timestamptz LANGUAGE sql AS 'SELECT pg_catalog.clock_timestamp() - interval ''10 seconds'''; "
       "ALTER ROLE {0} SET search_path = public, late, pg_catalog",
       "ALTER ROLE {0} RESET ALL", "database.clock", "warning", "10.0 s behind ours"},
  };
  const Asked asked;
  const Clinic clinic;
  clinic.Migrate();
  for (const Illness& illness : illnesses) {
    INFO(illness.sql);
    clinic.Sql(illness.sql);
    const Diagnosis ill = asked.On(clinic.Url());
    CHECK(ill.Verdict(illness.check) == illness.verdict);
    CHECK(Contains(ill.Found(illness.check), illness.found));
    CHECK_FALSE(ill.Remedy(illness.check).empty());
    CHECK(ill.code == (illness.verdict == "failed" ? 1 : 0));
    CHECK(ill.Bad().size() == 1);
    clinic.Sql(illness.cure);
  }
  CHECK(asked.On(clinic.Url()).Bad() == Words{});
}

TEST_CASE("a schema that is behind fails, and what doctor advises mends it", "[doctor]") {
  const Clinic clinic;
  const Asked asked;
  const Diagnosis empty = asked.On(clinic.Url());
  CHECK(empty.code == 1);
  CHECK(empty.Verdict("database.schema") == "failed");
  CHECK(Contains(empty.Found("database.rights"), "may make the schema"));
  clinic.Migrate(static_cast<std::uint32_t>(db::Migrations().size() - 1));
  const Diagnosis behind = asked.On(clinic.Url());
  CHECK(behind.code == 1);
  CHECK(Contains(behind.Found("database.schema"), fmt::format("migration {}", db::Migrations().size())));
  REQUIRE(behind.Remedy("database.schema") == "run `gathering migrate up`");
  const ProcessResult migrated = Run(GATHERING_BINARY, {.arguments = {"migrate", "up"},
                                                        .environment = {{"GATHERING_CONFIG", "/dev/null"},
                                                                        {"HOME", "/nonexistent"},
                                                                        {"DATABASE_URL", clinic.Url()}}});
  REQUIRE(migrated.code == 0);
  CHECK(asked.On(clinic.Url()).code == 0);
}

TEST_CASE("a role without rights fails until it has what doctor advises", "[doctor]") {
  const Clinic clinic;
  clinic.Migrate();
  const Asked asked;
  const std::string url = DurableServer::Instance().Url("anybody", clinic.name());
  const Diagnosis nobody = asked.On(url);
  CHECK(nobody.code == 1);
  CHECK(nobody.Verdict("database.rights") == "failed");
  CHECK(nobody.Verdict("database.schema") == "failed");  // the ledger cannot be read
  const std::string remedy = nobody.Remedy("database.rights");
  REQUIRE(remedy.starts_with("as their owner: GRANT "));
  db::Connection{{.url = clinic.Url()}}.Script(remedy.substr(remedy.find("GRANT")));
  const Diagnosis user = asked.On(url);
  CHECK(user.code == 0);
  CHECK(user.Bad() == Words{});
  CHECK(Contains(user.Found("database.rights"), "another role migrates"));
  CHECK(user.Verdict("database.schema") == "ok");

  const RunningDaemon daemon{{.database_url = url}};
  HttpClient admin = daemon.Admin();
  CHECK(admin.Post("/circles", nlohmann::json{{"name", "crew"}}).status == 201);
  CHECK(admin.Get("/circles/crew").status == 200);
  Await([&] { return Contains(admin.Get("/events").body, "circle.created"); });
  Await([&] {
    return !db::Connection{{.url = clinic.Url()}}
                .Execute("SELECT 1 FROM pg_inherits WHERE inhrelid::regclass::text ~ '^events_20[0-9]{6}$'")
                .empty();
  });
}

TEST_CASE("a database that cannot be reached fails, and the other checks are made", "[doctor]") {
  const Asked asked;
  const std::string refused = fmt::format("postgresql://app:{}@127.0.0.1:{}/app", kPassword, FreePort());
  const std::string wrong = DurableServer::Instance().Url("anybody", "whole", "wrong-password");
  struct Absence {
    std::string url;
    std::string found;
  };
  const std::vector<Absence> absences = {
      {refused, "Connection refused"},
      {wrong, "password authentication failed"},
      {DurableServer::Instance().Url("anybody", "missing"), "\"missing\" does not exist"},
  };
  for (const Absence& absence : absences) {
    INFO(absence.found);
    const Diagnosis away = asked.On(absence.url);
    CHECK(away.code == 1);
    CHECK(away.Verdict("database.connect") == "failed");
    CHECK(Contains(away.Found("database.connect"), absence.found));
    CHECK_FALSE(away.Remedy("database.connect").empty());
    CHECK(away.Verdict("database.schema") == "skipped");
    CHECK(away.Found("database.schema") == "needs database.connect");
    CHECK(away.Verdict("directory.data") == "ok");
    CHECK(away.Bad().size() == 1);
    CHECK_FALSE(Contains(away.report.dump(), kPassword));
    CHECK_FALSE(Contains(away.report.dump(), "wrong-password"));
  }
}

TEST_CASE("a server that was stopped is away, and one that hangs is left at the deadline", "[doctor]") {
  const Asked asked;
  const SystemClock clock;
  const TemporaryDirectory directory;
  db::EmbeddedPostgres server{
      {.data_dir = directory.path(), .binaries_dir = "", .run_as = "", .durable = false},
      db::EmbeddedPostgres::Sharing::kOwnerOnly,
      clock};
  REQUIRE(asked.On(server.url()).Verdict("database.connect") == "ok");
  const auto pid = static_cast<pid_t>(server.Stats().server_pid);
  REQUIRE(::kill(pid, SIGSTOP) == 0);
  const Diagnosis hangs = asked.On(server.url(), {"--timeout", "1s"});
  REQUIRE(::kill(pid, SIGCONT) == 0);
  CHECK(hangs.code == 1);
  CHECK(hangs.Found("database.connect") == "no answer within 1s");
  server.Stop();
  const Diagnosis stopped = asked.On(server.url());
  CHECK(stopped.code == 1);
  CHECK(stopped.Verdict("database.connect") == "failed");
  CHECK(Contains(stopped.Found("database.connect"), "No such file or directory"));
}

TEST_CASE("an address that swallows everything holds doctor up no longer than its deadline", "[doctor]") {
  const BlackHole hole;
  const Asked asked;
  const SystemClock clock;
  const auto begin = clock.Now();
  const Diagnosis swallowed = asked.On(fmt::format("postgresql://app@{}/app", hole.address()),
                                       {"--timeout", "1s"}, {{"REDIS_URL", "redis://" + hole.address()}});
  CHECK(clock.Now() - begin < 20s);
  CHECK(swallowed.code == 1);
  CHECK(swallowed.Found("database.connect") == "no answer within 1s");
  CHECK(swallowed.Verdict("database.schema") == "skipped");
  CHECK(swallowed.Verdict("limits.files") == "ok");
  CHECK(swallowed.Verdict("redis.connect") == "failed");
}

TEST_CASE("a server without fsync is a warning, which --strict makes a failure", "[doctor]") {
  const FreshDatabase database;
  const Asked asked;
  const Diagnosis lax = asked.On(database.url());
  CHECK(lax.code == 0);
  CHECK(lax.Verdict("database.durability") == "warning");
  CHECK(Contains(lax.Found("database.durability"), "fsync"));
  CHECK(asked.On(database.url(), {"--strict"}).code == 1);
}

// --- Redis -----------------------------------------------------------------------------------------

TEST_CASE("a Redis that is away, hangs, is far or forgets is told", "[doctor]") {
  RedisServer redis;
  const Asked asked;
  const auto with = [&](const std::string& url, Words words = {}) {
    return asked.Diagnose(std::move(words), {{"REDIS_URL", url}});
  };
  redis.Command({"CONFIG", "SET", "maxmemory", "100mb"});
  redis.Command({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  const Diagnosis forgets = with(redis.Url());
  CHECK(forgets.code == 0);
  CHECK(forgets.Verdict("redis.eviction") == "warning");
  CHECK(forgets.Verdict("redis.latency") == "ok");
  redis.Command({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  CHECK(with(redis.Url()).Verdict("redis.eviction") == "ok");
  {
    SlowProxy far{redis.socket()};
    far.SetDelay(25ms);
    const Diagnosis late = with(far.Url());
    CHECK(late.code == 0);
    CHECK(late.Verdict("redis.latency") == "warning");
  }
  redis.Stop();
  const Diagnosis hangs = with(redis.Url(), {"--timeout", "1s"});
  redis.Continue();
  CHECK(hangs.code == 1);
  CHECK(hangs.Verdict("redis.connect") == "failed");
  CHECK(Contains(hangs.Found("redis.connect"), "no answer within 1s"));
  redis.Kill();
  const Diagnosis away = with(redis.Url());
  CHECK(away.code == 1);
  CHECK(away.Verdict("redis.connect") == "failed");
  CHECK(away.Verdict("redis.latency") == "skipped");
}

TEST_CASE("a Redis that wants another password is told, and the password is not", "[doctor]") {
  const RedisServer redis{{"--requirepass", "the-right-one"}};
  const Asked asked;
  const Diagnosis wrong = asked.Diagnose({}, {{"REDIS_URL", "unix://:the-wrong-one@" + redis.socket()}});
  CHECK(wrong.code == 1);
  CHECK(wrong.Verdict("redis.connect") == "failed");
  CHECK_FALSE(Contains(wrong.report.dump(), "the-wrong-one"));
  CHECK(asked.Diagnose({}, {{"REDIS_URL", "unix://:the-right-one@" + redis.socket()}})
            .Verdict("redis.latency") == "ok");
}

// --- addresses -------------------------------------------------------------------------------------

TEST_CASE("an address another program has fails, one a daemon serves is ok, another's is a warning",
          "[doctor]") {
  const BlackHole other;
  Asked asked;
  const Diagnosis taken = asked.Diagnose({"--listen", other.address()});
  CHECK(taken.code == 1);
  CHECK(taken.Verdict("listen " + other.address()) == "failed");
  CHECK(
      Contains(taken.Found("listen " + other.address()), fmt::format("commands_tests (pid {})", ::getpid())));

  const FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
  const Diagnosis foreign = asked.Diagnose({"--listen", daemon.address()});
  CHECK(foreign.code == 0);
  CHECK(foreign.Verdict("listen " + daemon.address()) == "warning");
  CHECK(Contains(foreign.Found("listen " + daemon.address()), "not on this data directory"));

  asked.Use(daemon.data_dir());
  const Diagnosis ours = asked.On(database.url(), {"--listen", daemon.address()});
  CHECK(ours.code == 0);
  CHECK(ours.Verdict("listen " + daemon.address()) == "ok");
  CHECK(Contains(ours.Found("listen " + daemon.address()), fmt::format("pid {}", daemon.pid())));
  CHECK(ours.Verdict("listen control socket") == "ok");
  CHECK(daemon.Client().Get("/health").status == 200);
}

TEST_CASE("an address that is not this machine's, and a file in a socket's place, fail", "[doctor]") {
  const Asked asked;
  const std::string path = asked.directory() + "/front.sock";
  std::ofstream{path} << "not a socket";
  const Diagnosis bad = asked.Diagnose(
      {"--listen", "192.0.2.1:8000", "--listen", "unix:" + path, "--listen", "nosuch.invalid:80"});
  CHECK(bad.code == 1);
  CHECK(bad.Verdict("listen 192.0.2.1:8000") == "failed");
  CHECK(Contains(bad.Found("listen unix:" + path), "no socket"));
  CHECK(bad.Verdict("listen nosuch.invalid:80") == "failed");
  CHECK(fs::file_size(path) == 12);
}

// --- directories and limits ------------------------------------------------------------------------

TEST_CASE("a data directory that cannot be one fails, and one that everybody may write is a warning",
          "[doctor]") {
  Asked asked;
  const std::string file = asked.directory() + "/file";
  std::ofstream{file} << "in the way";
  for (const std::string& data_dir : {file, file + "/data"}) {
    INFO(data_dir);
    asked.Use(data_dir);
    const Diagnosis blocked = asked.Diagnose();
    CHECK(blocked.code == 1);
    CHECK(blocked.Verdict("directory.data") == "failed");
    CHECK(Contains(blocked.Found("directory.data"), file + " is not a directory"));
  }
  const std::string open = asked.directory() + "/open";
  fs::create_directory(open);
  fs::permissions(open, fs::perms::all);
  asked.Use(open);
  const Diagnosis everybody = asked.Diagnose();
  CHECK(everybody.Verdict("directory.data") == "warning");
  CHECK(everybody.Remedy("directory.data") == "chmod o-w " + open);
}

TEST_CASE("a control socket needs a directory, and a path a socket can have", "[doctor]") {
  Asked asked;
  const Diagnosis nowhere =
      asked.Diagnose({}, {{"GATHERING_HTTP_CONTROL_SOCKET", asked.directory() + "/missing/control.sock"}});
  CHECK(nowhere.code == 1);
  CHECK(nowhere.Verdict("directory.socket") == "failed");
  asked.Use(asked.directory() + "/" + std::string(120, 'x'));
  const Diagnosis deep = asked.Diagnose();
  CHECK(deep.Verdict("directory.socket") == "warning");
  const Diagnosis none = asked.Diagnose({}, {{"GATHERING_HTTP_CONTROL_SOCKET", "none"}});
  CHECK(none.Verdict("directory.socket") == "skipped");
  CHECK(none.Verdict("listen control socket") == "none");
}

TEST_CASE("too few files or threads for the configuration fail with the number it takes", "[doctor]") {
  const Asked asked;
  const ProcessResult run =
      Run("/usr/bin/prlimit", {.arguments = {"--nofile=256:256", GATHERING_BINARY, "doctor", "--data-dir",
                                             asked.data_dir(), "--listen", "127.0.0.1:0", "--output", "json"},
                               .environment = {{"GATHERING_CONFIG", "/dev/null"}},
                               .deadline = 60s});
  const Diagnosis tight{.code = run.code, .report = json::parse(run.out), .err = run.err};
  CHECK(tight.code == 1);
  CHECK(tight.Verdict("limits.files") == "failed");
  CHECK(Contains(tight.Found("limits.files"), "256 may be open"));
  const Diagnosis many = asked.Diagnose({}, {{"GATHERING_CACHES_AGENTS_BYTES", "1GiB"},
                                             {"GATHERING_CACHES_CIRCLES_BYTES", "1GiB"},
                                             {"GATHERING_CACHES_SESSIONS_BYTES", "1GiB"},
                                             {"GATHERING_CACHES_PERSONAS_BYTES", "1GiB"},
                                             {"GATHERING_CACHES_MODELS_BYTES", "1GiB"},
                                             {"GATHERING_CACHES_PROVIDERS_BYTES", "1GiB"}});
  CHECK(Contains(many.Found("limits.memory"), "may take 6."));
}

// --- the configuration -----------------------------------------------------------------------------

TEST_CASE(
    "a configuration that cannot be used ends with 78, with all problems and the checks that can be made",
    "[doctor]") {
  const Clinic clinic;
  clinic.Migrate();
  const Asked asked;
  const std::string file = asked.directory() + "/gathering.toml";
  std::ofstream{file} << "[http]\nlisten = [\"nowhere\"]\nlisen = 1\n[rate_limits]\nread = \"often\"\n";
  ::chmod(file.c_str(), 0600);
  const Diagnosis unusable = asked.On(clinic.Url(), {"--listen", "nowhere", "--config", file});
  CHECK(unusable.code == 78);
  Words problems;
  for (const json& one : unusable.report.at("checks")) {
    if (one.at("name") == "config.values") problems.push_back(one.at("found"));
  }
  REQUIRE(problems.size() == 3);
  const std::string all = fmt::format("{}", fmt::join(problems, "\n"));
  CHECK(Contains(all, "unknown key 'http.lisen'"));
  CHECK(Contains(all, "http.listen 'nowhere'"));
  CHECK(Contains(all, "rate_limits.read"));
  CHECK(unusable.Verdict("listen nowhere") == "skipped");
  CHECK(unusable.Verdict("database.schema") == "ok");
  CHECK(unusable.Verdict("directory.data") == "ok");

  std::ofstream{file} << "this is no TOML";
  const Diagnosis unread = asked.On(clinic.Url(), {"--config", file});
  CHECK(unread.code == 78);
  CHECK(unread.Verdict("database.connect") == "skipped");
  CHECK(unread.Verdict("clock.monotonic") == "ok");
}

TEST_CASE("the daemon's secret must be there, and should not be made up", "[doctor]") {
  const Clinic clinic;
  clinic.Migrate();
  const Asked asked;
  const Diagnosis without = asked.On(clinic.Url(), {}, {{"SECRET_KEY", ""}});
  CHECK(without.code == 78);
  CHECK(without.Verdict("config.secret_key") == "failed");
  const Diagnosis made_up =
      asked.On(clinic.Url(), {}, {{"SECRET_KEY", "changeme-changeme-changeme-changeme"}});
  CHECK(made_up.code == 0);
  CHECK(made_up.Verdict("config.secret_key") == "warning");
  CHECK_FALSE(Contains(made_up.report.dump(), "changeme"));
}

TEST_CASE("a configuration file that others may read or change is a warning", "[doctor]") {
  const Asked asked;
  const std::string file = asked.directory() + "/gathering.toml";
  std::ofstream{file} << fmt::format("[auth]\nsecret_key = \"{}\"\n", kDrawnSecret);
  struct Mode {
    mode_t mode;
    std::string file;
    std::string warnings;
  };
  for (const Mode& one : {Mode{0600, "ok", "ok"}, Mode{0604, "ok", "warning"}, Mode{0602, "warning", "ok"}}) {
    INFO(one.mode);
    REQUIRE(::chmod(file.c_str(), one.mode) == 0);
    const Diagnosis diagnosis = asked.Diagnose({"--config", file}, {{"SECRET_KEY", ""}});
    CHECK(diagnosis.Verdict("config.file") == one.file);
    CHECK(diagnosis.Verdict("config.warnings") == one.warnings);
    CHECK(diagnosis.code == 0);
  }
}

TEST_CASE("doctor's own options are checked", "[doctor]") {
  const Asked asked;
  const ProcessResult run = asked.Run({"--timeout", "1ms"});
  CHECK(run.code == 2);
  CHECK(Contains(run.err, "--timeout takes 100ms to 5m"));
}

}  // namespace gathering::test
