// What doctor makes of what it sees, and how it is read, without anything to look at.
#include <signal.h>
#include <sys/timex.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "cmd/doctor_text.h"
#include "core/base/clock.h"
#include "core/doctor/configuration.h"
#include "core/doctor/database.h"
#include "core/doctor/doctor.h"
#include "core/doctor/files.h"
#include "core/doctor/machine.h"
#include "core/doctor/ports.h"
#include "core/doctor/redis.h"
#include "tests/support/json.h"
#include "tests/support/text.h"

namespace gathering::doctor {
namespace {

using test::Contains;
using test::LinesOf;

using namespace std::chrono_literals;

Server Good() {
  return {.version = "15.3",
          .version_number = 150'003,
          .address = "db",
          .role = "app",
          .database = "app",
          .connections_max = 97};
}

Rights Whole() {
  return {.schema = "public", .may_create = true, .may_maintain = true, .present = 20, .lacking = {}};
}

}  // namespace

// --- how it is read --------------------------------------------------------------------------------

TEST_CASE("a report is a table with remedies and ends with the counts", "[doctor]") {
  const std::string text =
      cmd::DoctorText({Ok("a.first", "fine"), Warning("b.longer", "not so fine", "do something"),
                       Failed("c", "bad", "do another thing"), Skipped("d", "needs c")},
                      80, false);
  CHECK(text ==
        "ok       a.first   fine\n"
        "warning  b.longer  not so fine\n"
        "                   -> do something\n"
        "failed   c         bad\n"
        "                   -> do another thing\n"
        "skipped  d         needs c\n"
        "4 checks: 1 ok, 1 warning, 1 failed, 1 skipped\n");
}

TEST_CASE("long findings are broken at spaces and stay in their column", "[doctor]") {
  std::string words;
  for (int i = 0; i < 60; ++i) words += "word ";
  const auto lines = LinesOf(cmd::DoctorText({Failed("database.connect", words, words)}, 80, false));
  REQUIRE(lines.size() > 8);
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    CHECK(lines[i].size() <= 80);
    if (i > 0) CHECK(lines[i].substr(0, 27) == std::string(27, ' '));
  }
}

TEST_CASE("a report has colours only where they are wanted, and nobody else's control bytes", "[doctor]") {
  const std::vector<Finding> findings = {Failed("a", "the server said \x1b[2J\n boo", "see\tto it")};
  const std::string plain = cmd::DoctorText(findings, 80, false);
  CHECK_FALSE(Contains(plain, "\x1b"));
  CHECK(LinesOf(plain).size() == 3);
  const std::string coloured = cmd::DoctorText(findings, 80, true);
  CHECK(Contains(coloured, "\x1b[31mfailed \x1b[0m  a  the server said"));
  CHECK_FALSE(Contains(coloured, "\x1b[2J"));
}

TEST_CASE("as JSON a report has a schema, the gravest verdict, counts and every finding", "[doctor]") {
  const auto report =
      nlohmann::json::parse(cmd::DoctorJson({Ok("a", "fine"), Warning("b", "so so", "mend it")}));
  CHECK(report.at("schema") == 1);
  CHECK(report.at("verdict") == "warning");
  CHECK(report.at("counts") == nlohmann::json({{"ok", 1}, {"warning", 1}, {"failed", 0}, {"skipped", 0}}));
  CHECK(report.at("checks")[1] ==
        nlohmann::json({{"name", "b"}, {"verdict", "warning"}, {"found", "so so"}, {"remedy", "mend it"}}));
}

TEST_CASE("what was skipped is not grave", "[doctor]") {
  CHECK(Gravest({}) == Verdict::kOk);
  CHECK(Gravest({Skipped("a", "")}) == Verdict::kOk);
  CHECK(Gravest({Ok("a", ""), Failed("b", "", ""), Warning("c", "", "")}) == Verdict::kFailed);
}

TEST_CASE("a line of ours is what was found and what to do", "[doctor]") {
  const Finding whole = FromLine("a", Verdict::kFailed, "it is short; make one; and another");
  CHECK(whole.found == "it is short");
  CHECK(whole.remedy == "make one; and another");
  CHECK(FromLine("a", Verdict::kFailed, "it is short").remedy.empty());
  CHECK(FromError("a", Error{Code::kInternal, "broken; mend it", "the cause"}).found == "broken (the cause)");
}

// --- checks that do not come back ------------------------------------------------------------------

TEST_CASE("what was not told is the reason once, and skipped from there on", "[doctor]") {
  const std::vector<std::string> checks = {"one", "two", "three"};
  const auto all = Completed(checks, {Ok("one", "fine")}, Failed({}, "gone", "look"));
  REQUIRE(all.size() == 3);
  CHECK(all[1].name == "two");
  CHECK(all[1].verdict == Verdict::kFailed);
  CHECK(all[2].verdict == Verdict::kSkipped);
  CHECK(all[2].found == "needs two");

  const auto ended = Completed(checks, {Skipped("one", "not there")}, {});
  REQUIRE(ended.size() == 3);
  CHECK(ended[1].verdict == Verdict::kSkipped);
  CHECK(ended[1].found == "needs one");
}

TEST_CASE("each subject has its findings, whatever happens to another", "[doctor]") {
  const SystemClock clock;
  const std::vector<Subject> subjects = {
      {.checks = {"a"}, .look = [](const Tell& tell) { tell(Ok("a", "fine")); }},
      {.checks = {"b", "c"},
       .look =
           [](const Tell& tell) {
             tell(Ok("b", "fine"));
             throw Error{Code::kUnavailable, "away; bring it back"};
           }},
      {.checks = {"d"}, .look = [](const Tell&) { ::raise(SIGKILL); }},
      {.checks = {"e"}, .look = [](const Tell& tell) { tell(Ok("e", "last")); }},
  };
  const auto all = Examine(subjects, 20s, clock);
  REQUIRE(all.size() == 5);
  CHECK(all[0].found == "fine");
  CHECK(all[2].verdict == Verdict::kFailed);
  CHECK(all[2].found == "away");
  CHECK(all[2].remedy == "bring it back");
  CHECK(all[3].found == "the check ended by signal 9");
  CHECK(all[4].found == "last");
}

TEST_CASE("a subject that never answers is left at the deadline, with what it told until then", "[doctor]") {
  const SystemClock clock;
  const std::vector<Subject> subjects = {
      {.checks = {"a", "b", "c"},
       .look =
           [](const Tell& tell) {
             tell(Ok("a", "fine"));
             for (;;) ::pause();
           }},
  };
  const auto begin = clock.Now();
  const auto all = Examine(subjects, 200ms, clock);
  CHECK(clock.Now() - begin < 10s);
  REQUIRE(all.size() == 3);
  CHECK(all[0].verdict == Verdict::kOk);
  CHECK(all[1].verdict == Verdict::kFailed);
  CHECK(all[1].found == "no answer within 200ms");
  CHECK(all[2].verdict == Verdict::kSkipped);
}

// --- verdicts --------------------------------------------------------------------------------------

TEST_CASE("a server's version, durability and clock are judged by what the daemon needs", "[doctor]") {
  Server server = Good();
  CHECK(JudgeVersion(server).verdict == Verdict::kOk);
  CHECK(JudgeDurability(server).verdict == Verdict::kOk);
  server.version_number = 120'019;
  CHECK(JudgeVersion(server).verdict == Verdict::kFailed);
  CHECK(Contains(JudgeVersion(server).remedy, "PostgreSQL 13"));
  server.fsync = false;
  server.synchronous_commit = false;
  CHECK(JudgeDurability(server).verdict == Verdict::kWarning);
  CHECK(Contains(JudgeDurability(server).found, "off: fsync, synchronous_commit"));

  CHECK(JudgeClock(900ms, 1ms).verdict == Verdict::kOk);
  CHECK(JudgeClock(-1'100ms, 1ms).verdict == Verdict::kWarning);
  CHECK(Contains(JudgeClock(-1'100ms, 1ms).found, "1.1 s behind ours"));
  CHECK(Contains(JudgeClock(5s, 1ms).found, "5.0 s ahead of ours"));
  CHECK(JudgeClock(1'500ms, 600ms).verdict == Verdict::kOk);  // a slow network proves nothing
}

TEST_CASE("rights are enough, enough for requests only, or not enough", "[doctor]") {
  CHECK(JudgeRights(Good(), Whole()).verdict == Verdict::kOk);
  Rights rights = Whole();
  CHECK(Contains(JudgeRights(Good(), rights).found, "and migrate"));
  rights.may_create = false;
  CHECK(JudgeRights(Good(), rights).verdict == Verdict::kOk);
  CHECK(Contains(JudgeRights(Good(), rights).found, "another role migrates"));
  rights = Whole();
  rights.foreign_owned = 1;
  CHECK(Contains(JudgeRights(Good(), rights).found, "another role migrates"));
  rights.may_maintain = false;
  CHECK(JudgeRights(Good(), rights).verdict == Verdict::kWarning);
  CHECK(Contains(JudgeRights(Good(), rights).remedy, "events_maintain TO app"));
  rights.lacking = {"a", "b", "c", "d", "e", "f"};
  CHECK(JudgeRights(Good(), rights).verdict == Verdict::kFailed);
  CHECK(Contains(JudgeRights(Good(), rights).found, "a, b, c, d and 2 more"));
  CHECK(Contains(JudgeRights(Good(), rights).remedy, "TO app"));
  rights = {.schema = "public", .may_create = false, .lacking = {}};
  CHECK(JudgeRights(Good(), rights).verdict == Verdict::kFailed);
  rights.may_create = true;
  CHECK(JudgeRights(Good(), rights).verdict == Verdict::kOk);
  Server standby = Good();
  standby.read_only = true;
  CHECK(JudgeRights(standby, Whole()).verdict == Verdict::kFailed);
}

TEST_CASE("a schema that is behind is the start's business only on the daemon's own server", "[doctor]") {
  db::SchemaCheck check{.standing = db::Standing::kPending, .binary = 9, .database = 8, .pending = {9}};
  CHECK(JudgeSchema(check, false).verdict == Verdict::kFailed);
  CHECK(JudgeSchema(check, false).remedy == "run `gathering migrate up`");
  CHECK(JudgeSchema(check, true).verdict == Verdict::kOk);
  check.standing = db::Standing::kNewerThanBinary;
  CHECK(JudgeSchema(check, true).verdict == Verdict::kFailed);
  check.standing = db::Standing::kChecksumDiffers;
  CHECK(JudgeSchema(check, true).verdict == Verdict::kFailed);
  check.standing = db::Standing::kAtHead;
  CHECK(JudgeSchema(check, false).verdict == Verdict::kOk);
}

TEST_CASE("connections must have room by the nearest of three bounds", "[doctor]") {
  Server server = Good();
  server.others = 10;
  CHECK(JudgeConnections(server, {.of_daemon = 20, .daemons = 4}).verdict == Verdict::kOk);
  CHECK(JudgeConnections(server, {.of_daemon = 20, .daemons = 5}).verdict == Verdict::kWarning);
  CHECK(JudgeConnections(server, {.of_daemon = 98}).verdict == Verdict::kFailed);
  server.role_connections_max = 30;
  CHECK(JudgeConnections(server, {.of_daemon = 20}).verdict == Verdict::kOk);
  CHECK(JudgeConnections(server, {.of_daemon = 21}).verdict == Verdict::kWarning);
  server.database_connections_max = 20;
  CHECK(JudgeConnections(server, {.of_daemon = 21}).verdict == Verdict::kFailed);
}

TEST_CASE("the names of tables and sequences come from the migrations", "[doctor]") {
  const auto tables = Created("TABLE");
  for (const char* name : {"users", "agents", "tasks", "events", "events_default", "instances"}) {
    INFO(name);
    CHECK(std::ranges::count(tables, name) == 1);
  }
  CHECK(Created("SEQUENCE") == std::vector<std::string>{"events_sequence"});
}

TEST_CASE("the holder of a lock is found by its file", "[doctor]") {
  const std::string locks =
      "1: POSIX  ADVISORY  WRITE 900 fe:00:4711 0 EOF\n"
      "2: FLOCK  ADVISORY  READ 901 fe:00:4711 0 EOF\n"
      "3: FLOCK  ADVISORY  WRITE 902 fe:00:14711 0 EOF\n"
      "4: FLOCK  ADVISORY  WRITE 903 fe:00:4711 0 EOF\n"
      "4: -> FLOCK  ADVISORY  WRITE 904 fe:00:4711 0 EOF\n";
  CHECK(LockHolder(locks, 4'711) == 903);
  CHECK_FALSE(LockHolder(locks, 711));
  CHECK_FALSE(LockHolder("", 4'711));
}

TEST_CASE("Redis is judged by what limits need of it", "[doctor]") {
  const std::string info =
      "# Server\r\nredis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n";
  CHECK(InfoField(info, "redis_version") == "7.0.15");
  CHECK(InfoField(info, "maxmemory") == "0");
  CHECK(InfoField(info, "memory").empty());
  CHECK(JudgeRedisVersion("7.0.15").verdict == Verdict::kOk);
  CHECK(JudgeRedisVersion("4.0.9").verdict == Verdict::kFailed);
  CHECK(JudgeRedisVersion("").verdict == Verdict::kSkipped);
  CHECK(JudgeEviction("0", "allkeys-lru").verdict == Verdict::kOk);
  CHECK(JudgeEviction("1024", "noeviction").verdict == Verdict::kOk);
  CHECK(JudgeEviction("1024", "volatile-ttl").verdict == Verdict::kOk);
  CHECK(JudgeEviction("1024", "volatile-lru").verdict == Verdict::kWarning);
  CHECK(JudgeEviction("1024", "allkeys-random").verdict == Verdict::kWarning);
  CHECK(JudgeEviction("", "").verdict == Verdict::kSkipped);
  CHECK(JudgeRoundTrip(10ms, 20ms).verdict == Verdict::kOk);
  CHECK(JudgeRoundTrip(11ms, 20ms).verdict == Verdict::kWarning);
}

TEST_CASE("the machine is judged by what it allows", "[doctor]") {
  const Need need{.files = 1'000, .threads = 100, .memory_bytes = 1'000};
  CHECK(JudgeFiles(1'000, need).verdict == Verdict::kOk);
  CHECK(JudgeFiles(999, need).verdict == Verdict::kFailed);
  CHECK(Contains(JudgeFiles(999, need).remedy, "1000"));
  CHECK(JudgeFiles(~0ULL, need).verdict == Verdict::kOk);
  CHECK(JudgeThreads(100, need).verdict == Verdict::kOk);
  CHECK(JudgeThreads(99, need).verdict == Verdict::kFailed);
  CHECK(JudgeThreads({}, need).verdict == Verdict::kOk);
  CHECK(JudgeMemory(health::MemoryUse{.used = 1'000, .max = 2'000}, need).verdict == Verdict::kOk);
  CHECK(JudgeMemory(health::MemoryUse{.used = 1'001, .max = 2'000}, need).verdict == Verdict::kWarning);
  CHECK(JudgeMemory({}, need).verdict == Verdict::kSkipped);
  CHECK(JudgeSynchronisation(TIME_OK, 0, 1'000).verdict == Verdict::kOk);
  CHECK(JudgeSynchronisation(TIME_OK, STA_UNSYNC, 0).verdict == Verdict::kWarning);
  CHECK(JudgeSynchronisation(TIME_ERROR, 0, 0).verdict == Verdict::kWarning);
  CHECK(JudgeSynchronisation(-1, 0, 0).verdict == Verdict::kSkipped);
  CHECK(JudgeMonotonic("tsc", false).verdict == Verdict::kOk);
  CHECK(JudgeMonotonic("", false).verdict == Verdict::kOk);
  CHECK(JudgeMonotonic("hpet", false).verdict == Verdict::kWarning);
  CHECK(JudgeMonotonic("tsc", true).verdict == Verdict::kFailed);
}

TEST_CASE("what a daemon takes grows with its configuration", "[doctor]") {
  Config config;
  config.database.pool.url = "postgresql://db/app";
  config.database.pool.connections_max = 10;
  config.database.pipeline.connections = 2;
  config.http.limits.connections_max = 500;
  const Need need = NeedOf(config, 3);
  CHECK(need.database_connections == 10 + 2 * 3 * 2 + 2);
  CHECK(need.files > 500 + need.database_connections);
  config.caches.bytes = 1'048'576;
  CHECK(NeedOf(config, 3).memory_bytes < need.memory_bytes);
  config.database.pool.url.clear();
  CHECK(NeedOf(config, 3).memory_bytes > 128ULL * 1'024 * 1'024);
}

TEST_CASE("room on disk is short below a gibibyte or a twentieth", "[doctor]") {
  constexpr std::uint64_t kGiB = 1'024ULL * 1'024 * 1'024;
  CHECK(JudgeSpace("s", "/", {.free = kGiB, .all = 10 * kGiB}).verdict == Verdict::kOk);
  CHECK(JudgeSpace("s", "/", {.free = kGiB - 1, .all = 10 * kGiB}).verdict == Verdict::kWarning);
  CHECK(JudgeSpace("s", "/", {.free = 49 * kGiB, .all = 1'000 * kGiB}).verdict == Verdict::kWarning);
  CHECK(JudgeSpace("s", "/", {}).verdict == Verdict::kWarning);
  CHECK(SizeText(0) == "0 B");
  CHECK(SizeText(1'536) == "1.5 KiB");
  CHECK(SizeText(3 * kGiB) == "3.0 GiB");
}

TEST_CASE("the kernel's tables tell who listens", "[doctor]") {
  const std::string tcp =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 x\n"
      "   1: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 12346 1 x\n"
      "   2: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12347 1 "
      "x\n";
  const auto at = TcpListeners(tcp, 8'000);
  REQUIRE(at.size() == 1);
  CHECK(at[0].inode == 12'345);
  CHECK(at[0].uid == 1'000);
  const std::string local =
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 777 /run/a b.sock\n"
      "0000000000000000: 00000003 00000000 00000000 0001 03 778 /run/a b.sock\n"
      "0000000000000000: 00000002 00000000 00010000 0001 01 779\n";
  const auto there = UnixListeners(local, "/run/a b.sock");
  REQUIRE(there.size() == 1);
  CHECK(there[0].inode == 777);
  CHECK(UnixListeners(local, "/run/other").empty());
}

TEST_CASE("an address somebody has is judged by who that is", "[doctor]") {
  const auto verdict = [](HeldAddress held) { return JudgeHeld("listen", held).verdict; };
  const Held by_somebody{.pids = {4'194'300}};
  CHECK(verdict({.address = "a", .held = by_somebody}) == Verdict::kFailed);
  CHECK(verdict({.address = "a"}) == Verdict::kFailed);
  CHECK(verdict({.address = "a", .held = by_somebody, .version = "1", .ours = {{4'194'300}}}) ==
        Verdict::kOk);
  CHECK(verdict({.address = "a", .held = by_somebody, .version = "1", .ours = {{17}}}) == Verdict::kWarning);
  CHECK(verdict({.address = "a", .held = by_somebody, .version = "1"}) == Verdict::kOk);
  CHECK(verdict({.address = "a", .held = {.by_manager = true, .by_root = true}}) == Verdict::kOk);
  CHECK(verdict({.address = "a", .held = {.pids = {4'194'300}, .by_manager = true}}) == Verdict::kFailed);
}

// --- the configuration -----------------------------------------------------------------------------

TEST_CASE("a secret that somebody made up is told from one that was drawn", "[doctor]") {
  CHECK(GuessBits("") == 0);
  CHECK(GuessBits(std::string(64, 'a')) == 0);
  CHECK(GuessBits("changeme-changeme-changeme-changeme") < 90);
  CHECK(GuessBits("9f86d081884c7d659a2feaa0c55ad015") > 90);
  CHECK(GuessBits("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08") > 200);
}

TEST_CASE("every problem and warning of the configuration is told, and what hangs on it is known",
          "[doctor]") {
  const LoadAttempt attempt = TryLoadConfig(
      {.flags = {{"--listen", "nowhere"}},
       .environment = {{"SECRET_KEY", "short"}, {"GATHERING_HTTP_LISEN", "x"}, {"HOME", "/nonexistent"}},
       .default_file = ""});
  const auto all = JudgeConfiguration(attempt, attempt.problems);
  const auto count = [&](std::string_view name, Verdict verdict) {
    return std::ranges::count_if(
        all, [&](const Finding& one) { return one.name == name && one.verdict == verdict; });
  };
  CHECK(count("config.values", Verdict::kFailed) == 2);
  CHECK(count("config.warnings", Verdict::kWarning) == 1);
  CHECK(count("config.secret_key", Verdict::kSkipped) == 1);
  CHECK(Refused(attempt, "http.listen"));
  CHECK(Refused(attempt, "auth."));
  CHECK_FALSE(Refused(attempt, "database."));
  CHECK_FALSE(Refused(attempt, "data_dir"));

  const LoadAttempt unread = TryLoadConfig({.environment = {{"HOME", "/x"}}, .file = "/nonexistent.toml"});
  CHECK(unread.problems.size() == 1);
  CHECK(Refused(unread, "database."));
}

}  // namespace gathering::doctor
