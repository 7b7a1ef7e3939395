// `gathering replay-events` as a script meets it: what it brings where, how it ends, and what it leaves.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "core/db/session.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/text.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

using Words = std::vector<std::string>;

class Database {
 public:
  explicit Database(FreshDatabase::Schema schema = FreshDatabase::Schema::kMigrated) : database_(schema) {}

  [[nodiscard]] const std::string& url() const { return database_.url(); }
  void Execute(const std::string& sql) { db::Session{{.url = url()}}.Execute(sql); }
  std::int64_t Number(const std::string& sql) {
    return db::Session{{.url = url()}}.Query({"number", sql}).As<std::int64_t>(0);
  }
  std::int64_t Events() { return Number("SELECT count(*) FROM events"); }

  // One every 10 ms from noon on: types, circles and agents in turn.
  void Fill(int count) {
    Execute(
        "INSERT INTO events (type, data, source_agent_id, circle_id, project_id, time) "
        "SELECT (ARRAY['task.created', 'task.failed', 'agent.created'])[n % 3 + 1], "
        "       jsonb_build_object('n', n, 'x', 1.10, 'circle', 'c' || n % 4), "
        "       CASE WHEN n % 2 = 0 THEN n % 5 END, CASE WHEN n % 4 > 0 THEN n % 4 END, NULL, "
        "       '2026-01-02 12:00:00Z'::timestamptz + n * interval '10 ms' "
        "FROM generate_series(1, " +
        std::to_string(count) + ") AS n ORDER BY n");
  }

  // Everything but the sequence numbers, in their order.
  std::string Records() {
    constexpr std::string_view kAll =
        "SELECT coalesce(string_agg(concat_ws('|', id, type, data, source_agent_id, '', circle_id, '', "
        "project_id, time), chr(10) ORDER BY sequence), '') FROM events";
    return db::Session{{.url = url()}}.Query({"records", kAll}).As<std::string>(0);
  }

  ProcessResult Replay(Words words, std::string input = {}, Stdout output = Stdout::kCaptured) {
    words.insert(words.begin(), "replay-events");
    return Run(GATHERING_BINARY, {.arguments = std::move(words),
                                  .environment = environment(),
                                  .input = std::move(input),
                                  .output = output,
                                  .deadline = 60s});
  }
  // What the summary says.
  json Summary(Words words, int code = 0) {
    words.insert(words.end(), {"--summary", "json"});
    const ProcessResult run = Replay(std::move(words));
    INFO(run.err);
    REQUIRE(run.code == code);
    return json::parse(run.out);
  }
  [[nodiscard]] std::map<std::string, std::string> environment() const {
    return {{"DATABASE_URL", url()}, {"GATHERING_CONFIG", "/dev/null"}};
  }

 private:
  FreshDatabase database_;
};

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream{path, std::ios::binary}.rdbuf();
  return text.str();
}

std::size_t Lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

void Until(const std::function<bool()>& done) {
  const auto give_up_at = std::chrono::steady_clock::now() + 30s;
  while (!done()) {
    REQUIRE(std::chrono::steady_clock::now() < give_up_at);
    std::this_thread::yield();
  }
}

// The numbers in the data of what --output - wrote.
std::vector<int> NumbersOf(const std::string& lines) {
  std::istringstream in{lines};
  std::vector<int> numbers;
  for (std::string line; std::getline(in, line);) numbers.push_back(json::parse(line)["data"]["n"]);
  return numbers;
}

// A command that runs meanwhile.
class Running {
 public:
  Running(const Database& database, const std::string& directory, const std::string& words)
      : pid_file_(directory + "/pid") {
    std::filesystem::remove(pid_file_);
    result_ = std::async(std::launch::async, [this, words, environment = database.environment()] {
      return Run("/bin/sh", {.arguments = {"-c", "echo $$ > " + pid_file_ +
                                                     "; exec " GATHERING_BINARY " replay-events " + words},
                             .environment = environment,
                             .deadline = 60s});
    });
  }
  ProcessResult End(int signal) {
    pid_t pid = 0;
    Until([&] { return static_cast<bool>(std::istringstream{ReadFile(pid_file_)} >> pid); });
    REQUIRE(::kill(pid, signal) == 0);
    return result_.get();
  }

 private:
  const std::string pid_file_;
  std::future<ProcessResult> result_;
};

}  // namespace

TEST_CASE("the log goes into a file and from there into another system, twice without a change", "[replay]") {
  Database from;
  from.Fill(1'234);
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/events.jsonl";
  const json written = from.Summary({"--output", file});
  CHECK(written["schema"] == 1);
  CHECK(written["read"] == 1'234);
  CHECK(written["delivered"] == 1'234);
  CHECK(written["lag_ms"] > 0);
  CHECK_FALSE(std::filesystem::exists(file + ".partial"));
  CHECK(Lines(ReadFile(file)) == 1'234);

  Database to;
  db::Session listener{{.url = to.url()}};
  listener.Execute("LISTEN gathering_events");
  const json first = to.Summary({"--input", file});
  CHECK(first["delivered"] == 1'234);
  CHECK(first["deduplicated"] == 0);
  CHECK(first["lag_ms"] == nullptr);
  CHECK(to.Records() == from.Records());
  listener.Execute("SELECT 1");
  CHECK(listener.TakeNotifications() == 3);  // one for each batch

  const json second = to.Summary({"--input", file});
  CHECK(second["delivered"] == 0);
  CHECK(second["deduplicated"] == 1'234);
  CHECK(to.Records() == from.Records());
  listener.Execute("SELECT 1");
  CHECK(listener.TakeNotifications() == 0);
}

TEST_CASE("the log into its own system is all deduplicated", "[replay]") {
  Database system;
  system.Fill(50);
  const std::string before = system.Records();
  const ProcessResult run = system.Replay({});
  CHECK(run.code == 0);
  CHECK(run.out.empty());
  CHECK(run.err.starts_with("gathering: read 50, delivered 0, filtered 0, deduplicated 50, failed 0; "));
  CHECK(Lines(run.err) == 1);
  CHECK(system.Records() == before);
  CHECK(system.Replay({"--quiet"}).err.empty());
}

TEST_CASE("filters choose from the log", "[replay]") {
  Database system;
  system.Execute(
      "INSERT INTO circles (name, created_by, deleted_at) VALUES ('c1', 'x', now()), ('c2', 'x', NULL)");
  system.Fill(12);
  const std::string first = std::to_string(system.Number("SELECT min(sequence) + 2 FROM events"));
  const std::string last = std::to_string(system.Number("SELECT min(sequence) + 4 FROM events"));
  const auto chosen = [&](Words words) {
    words.insert(words.end(), {"--output", "-"});
    const ProcessResult run = system.Replay(std::move(words));
    INFO(run.err);
    CHECK(run.code == 0);
    return NumbersOf(run.out);
  };
  CHECK(chosen({"--type", "agent.*"}) == std::vector{2, 5, 8, 11});
  CHECK(chosen({"--type", "agent.*", "--type", "*.failed", "--limit", "3"}) == std::vector{1, 2, 4});
  CHECK(chosen({"--circle", "c1"}) == std::vector{1, 5, 9});
  CHECK(chosen({"--circle", "3"}) == std::vector{3, 7, 11});
  CHECK(chosen({"--agent", "2"}) == std::vector{2, 12});
  CHECK(chosen({"--from", first, "--to", last}) == std::vector{3, 4, 5});
  CHECK(chosen({"--from", "2026-01-02T12:00:00.03Z", "--to", "2026-01-02T12:00:00.05Z"}) ==
        std::vector{3, 4});
  const ProcessResult unknown = system.Replay({"--circle", "nobody", "--output", "-"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err == "gathering: no circle is or was called 'nobody'; give a name or a number\n");
  CHECK(system.Summary({"--dry-run", "--type", "task.created"})["filtered"] == 8);
}

TEST_CASE("what daemons tell each other is not replayed", "[replay]") {
  Database system;
  system.Execute("INSERT INTO events (type) VALUES ('token.revoked'), ('task.created')");
  const ProcessResult run = system.Replay({"--output", "-"});
  CHECK(Lines(run.out) == 1);
  CHECK(Contains(run.err, "filtered 1"));
}

TEST_CASE("events flow from a pipe to a pipe, and in a file circles go by what it says", "[replay]") {
  Database system;
  system.Fill(12);
  const std::string lines = system.Replay({"--output", "-"}).out;
  const ProcessResult all = system.Replay({"--input", "-", "--output", "-"}, lines);
  CHECK(all.code == 0);
  CHECK(all.out == lines);
  const Words base = {"--input", "-", "--output", "-", "--circle"};
  Words named = base;
  named.push_back("c0");
  CHECK(NumbersOf(system.Replay(named, lines).out) == std::vector{4, 8, 12});
  Words numbered = base;
  numbered.push_back("2");
  CHECK(NumbersOf(system.Replay(numbered, lines).out) == std::vector{2, 6, 10});

  // An id counts once.
  const ProcessResult twice = system.Replay({"--input", "-", "--output", "-"}, lines + lines);
  CHECK(twice.out == lines);
  CHECK(Contains(twice.err, "read 24, delivered 12, filtered 0, deduplicated 12"));
}

TEST_CASE("with events on stdout a JSON summary is on stderr", "[replay]") {
  Database system;
  system.Fill(3);
  const ProcessResult run = system.Replay({"--output", "-", "--summary", "json"});
  CHECK(Lines(run.out) == 3);
  const json summary = json::parse(run.err);
  CHECK(summary["schema"] == 1);
  CHECK(summary["interrupted"] == false);
  for (const char* name : {"read", "delivered", "filtered", "deduplicated", "failed", "rate", "lag_ms"}) {
    INFO(name);
    CHECK(summary[name].is_number());
  }
}

TEST_CASE("a reader who left is no failure, a full disk is", "[replay]") {
  Database system;
  system.Fill(2'000);
  CHECK(system.Replay({"--output", "-"}, {}, Stdout::kReaderGone).code == 0);
  const ProcessResult full = system.Replay({"--output", "-"}, {}, Stdout::kFull);
  CHECK(full.code == 1);
  CHECK(Contains(full.err, "cannot write standard output: No space left on device"));
}

TEST_CASE("bad lines are named with their numbers, and strict ends at the first", "[replay]") {
  Database system;
  system.Fill(3);
  const std::string lines = system.Replay({"--output", "-"}).out;
  const std::size_t second = lines.find('\n') + 1;
  const std::string input = lines.substr(0, second) + "{\"no\":\n[]\n" + lines.substr(second) + "{}\n";
  Database other;
  const ProcessResult run = other.Replay({"--input", "-"}, input);
  CHECK(run.code == 0);
  CHECK(Contains(run.err, "gathering: line 2: it is no JSON, from byte "));
  CHECK(Contains(run.err, "gathering: line 3: it is no JSON object\n"));
  CHECK(Contains(run.err, "gathering: line 6: sequence: Field required\n"));
  CHECK(Contains(run.err, "read 6, delivered 3, filtered 0, deduplicated 0, failed 3"));
  CHECK(other.Records() == system.Records());

  Database strict;
  const ProcessResult ended = strict.Replay({"--input", "-", "--strict"}, input);
  CHECK(ended.code == 1);
  CHECK(Contains(ended.err, "gathering: line 2: "));
  CHECK_FALSE(Contains(ended.err, "line 3"));
  CHECK(strict.Events() == 1);

  std::string many;
  for (int i = 0; i < 30; ++i) many += "x\n";
  const ProcessResult counted = other.Replay({"--input", "-", "--output", "-"}, many);
  CHECK(Contains(counted.err, "line 20: "));
  CHECK_FALSE(Contains(counted.err, "line 21: "));
  CHECK(Contains(counted.err, "gathering: what else is wrong is only counted\n"));
  CHECK(Contains(counted.err, "failed 30"));
}

TEST_CASE("an event the database refuses fails alone", "[replay]") {
  Database system;
  system.Fill(3);
  std::string lines = system.Replay({"--output", "-"}).out;
  const std::size_t number = lines.find("\"n\": 2");
  REQUIRE(number != std::string::npos);
  lines.replace(number, 6, "\"n\": 1e-20000");
  Database other;
  const ProcessResult run = other.Replay({"--input", "-"}, lines);
  INFO(run.err);
  CHECK(run.code == 0);
  CHECK(Contains(run.err, "gathering: line 2: "));
  CHECK(Contains(run.err, "delivered 2, filtered 0, deduplicated 0, failed 1"));
  CHECK(other.Events() == 2);
}

TEST_CASE("an interrupted replay goes on where it was, without loss or double", "[replay]") {
  Database from;
  from.Fill(5);
  from.Execute("UPDATE events SET time = time + interval '1 hour' WHERE data->>'n' > '3'");
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/events.jsonl";
  const std::string resume = directory.path() + "/resume.json";
  REQUIRE(from.Replay({"--output", file}).code == 0);

  Database to;
  Running paced{to, directory.path(),
                "--input " + file + " --speed 1 --resume " + resume + " --summary json"};
  Until([&] { return to.Events() == 3; });
  const auto asked_at = std::chrono::steady_clock::now();
  const ProcessResult stopped = paced.End(SIGINT);
  CHECK(std::chrono::steady_clock::now() - asked_at < 5s);  // not an hour
  CHECK(stopped.code == 130);
  CHECK(json::parse(stopped.out)["interrupted"] == true);
  CHECK(json::parse(stopped.out)["delivered"] == 3);
  const json rest = to.Summary({"--input", file, "--resume", resume});
  CHECK(rest["read"] == 2);
  CHECK(rest["delivered"] == 2);
  CHECK(to.Records() == from.Records());
  CHECK(to.Summary({"--input", file, "--resume", resume})["read"] == 0);
}

TEST_CASE("a replay that is killed goes on, into a system and into a file", "[replay]") {
  Database from;
  from.Fill(40'000);
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/events.jsonl";
  const std::string resume = directory.path() + "/file.json";
  Running writing{from, directory.path(), "--output " + file + " --resume " + resume};
  Until([&] { return std::filesystem::exists(resume); });
  CHECK(writing.End(SIGKILL).code == 128 + SIGKILL);
  CHECK_FALSE(std::filesystem::exists(file));
  REQUIRE(from.Replay({"--output", file, "--resume", resume}).code == 0);
  CHECK(Lines(ReadFile(file)) == 40'000);
  CHECK(ReadFile(file) == from.Replay({"--output", "-"}).out);

  Database to;
  const std::string system = directory.path() + "/system.json";
  Running bringing{to, directory.path(), "--input " + file + " --resume " + system};
  Until([&] { return to.Events() > 500; });  // of two batches, so one is remembered
  CHECK(bringing.End(SIGKILL).code == 128 + SIGKILL);
  const std::int64_t before = to.Events();
  CHECK(before < 40'000);
  const json rest = to.Summary({"--input", file, "--resume", system});
  CHECK(rest["delivered"] == 40'000 - before);
  CHECK(rest["read"] < 40'000);
  CHECK(to.Records() == from.Records());

  // What comes later is written behind what was.
  from.Fill(5);
  REQUIRE(from.Summary({"--output", file, "--resume", resume})["read"] == 5);
  CHECK(Lines(ReadFile(file)) == 40'005);
}

TEST_CASE("a resume file of another input or output is refused", "[replay]") {
  Database system;
  system.Fill(3);
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/a.jsonl";
  const std::string resume = directory.path() + "/resume.json";
  REQUIRE(system.Replay({"--output", file}).code == 0);
  const auto refusal = [&](Words words) {
    words.insert(words.end(), {"--resume", resume});
    const ProcessResult run = system.Replay(std::move(words));
    CHECK(run.code == 1);
    CHECK(Lines(run.err) == 1);
    return run.err;
  };
  const std::string of_log = directory.path() + "/log.json";
  const Words log = {"--output", directory.path() + "/b.jsonl", "--resume", of_log};
  REQUIRE(system.Replay(log).code == 0);
  const Words ahead = {"--from",   "1000",
                       "--output", directory.path() + "/c.jsonl",
                       "--resume", directory.path() + "/ahead.json"};
  CHECK(system.Replay(ahead).code == 0);
  CHECK(system.Replay(ahead).code == 0);
  system.Execute("SELECT setval('events_sequence', 1)");
  CHECK(Contains(system.Replay(log).err, "is ahead of the log"));
  REQUIRE(system.Replay({"--input", file, "--resume", resume}).code == 0);
  CHECK(Contains(refusal({}), "belongs to another input: file "));
  CHECK(Contains(refusal({"--input", file, "--output", "-"}), "belongs to another output: the log of"));
  std::string text = ReadFile(file);
  text.replace(text.rfind("circle"), 6, "square");
  std::ofstream{file} << text;
  CHECK(Contains(refusal({"--input", file}), "has other lines now"));
  std::ofstream{resume} << "{}";
  CHECK(Contains(refusal({"--input", file}), "holds no position of a replay"));
}

TEST_CASE("what-if prints a table or JSON, the same each time", "[replay]") {
  Database system;
  system.Fill(300);
  const Words words = {"--what-if", "window=50ms,500ms;dedup=1s"};
  const ProcessResult table = system.Replay(words);
  CHECK(table.code == 0);
  CHECK(Contains(table.out, "window"));
  CHECK(Lines(table.out) == 3);
  CHECK(system.Replay(words).out == table.out);
  const json summary = system.Summary(words);
  REQUIRE(summary["what_if"].size() == 2);
  CHECK(summary["what_if"][0]["window_ms"] == 50);
  CHECK(summary["what_if"][0]["published"] == 300);
  CHECK(summary["what_if"][1]["batches"] < summary["what_if"][0]["batches"]);
  CHECK(system.Events() == 300);

  system.Execute("INSERT INTO events (type) VALUES ('new.kind')");
  const ProcessResult unknown = system.Replay(words);
  CHECK(unknown.code == 0);
  CHECK(Contains(unknown.err, "the type 'new.kind' is not known"));
  Words strict = words;
  strict.push_back("--strict");
  CHECK(system.Replay(strict).code == 1);
}

TEST_CASE("a replay waits for who may still write below its end", "[replay]") {
  Database system;
  system.Fill(2);
  db::Session late{{.url = system.url()}};
  late.Execute("BEGIN; SELECT pg_current_xact_id(); INSERT INTO events (type) VALUES ('task.created')");
  system.Fill(1);
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/events.jsonl";
  auto run = std::async(std::launch::async, [&] { return system.Replay({"--output", file}); });
  Until([&] {
    return system.Number(
               "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
               "application_name = 'gathering replay-events'") == 1;
  });
  late.Execute("COMMIT");
  CHECK(run.get().code == 0);
  CHECK(Lines(ReadFile(file)) == 4);
}

TEST_CASE("wrong use of replay-events is said before anything is done", "[replay]") {
  const std::map<std::string, std::string> nowhere = {{"DATABASE_URL", "host=/nonexistent dbname=x"},
                                                      {"GATHERING_CONFIG", "/dev/null"}};
  const std::vector<Words> wrong = {
      {"--input", "/nonexistent"},
      {"--input", "/", "--dry-run"},
      {"--output", "x", "--dry-run"},
      {"--dry-run", "--what-if", "window=1s"},
      {"--resume", "x", "--dry-run"},
      {"--what-if", "windw=1s"},
      {"--what-if", "window=1s", "--handler-time", "1m"},
      {"--from", "yesterday"},
      {"--to", "-1"},
      {"--agent", "Ada"},
      {"--limit", "0"},
      {"--speed", "0"},
      {"--speed", "fast"},
      {"--max-gap", "soon"},
      {"--summary", "xml"},
      {"extra"},
  };
  for (const Words& words : wrong) {
    Words arguments = {"replay-events"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const ProcessResult run = Run(GATHERING_BINARY, {.arguments = arguments, .environment = nowhere});
    INFO(words.front() << " " << words.back() << ": " << run.err);
    CHECK(run.code == 2);
    CHECK(Lines(run.err) == 1);
    CHECK(run.out.empty());
  }
  CHECK(Run(GATHERING_BINARY, {.arguments = {"replay-events"}, .environment = nowhere}).code == 69);
  Database empty{FreshDatabase::Schema::kEmpty};
  CHECK(empty.Replay({}).code == 3);
}

TEST_CASE("a file needs no database to be looked at", "[replay]") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/events.jsonl";
  std::ofstream{file} << "\n";
  const ProcessResult run = Run(
      GATHERING_BINARY, {.arguments = {"replay-events", "--input", file, "--dry-run"}, .environment = {}});
  INFO(run.err);
  CHECK(run.code == 0);
}

}  // namespace gathering::test
