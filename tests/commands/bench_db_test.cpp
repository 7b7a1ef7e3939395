// `gathering bench-db` as a script meets it: what it prints where, how it ends, and what it leaves.
#include <signal.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <sstream>
#include <thread>

#include <catch2/catch.hpp>

#include "core/bench/place.h"
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

class Shell {
 public:
  explicit Shell(FreshDatabase::Schema schema = FreshDatabase::Schema::kEmpty) : database_(schema) {}

  // One quick scenario unless `words` say otherwise.
  ProcessResult BenchDb(std::vector<std::string> words,
                        std::vector<std::string> scenario = {"point-read/pool"}) {
    std::vector<std::string> arguments = {"bench-db",  "--duration", "100ms",     "--warmup", "0ms",
                                          "--members", "3",          "--clients", "2"};
    for (const std::string& one : scenario) arguments.insert(arguments.end(), {"--scenario", one});
    arguments.insert(arguments.end(), words.begin(), words.end());
    return Run(GATHERING_BINARY,
               {.arguments = std::move(arguments), .environment = environment(), .deadline = 60s});
  }
  [[nodiscard]] std::map<std::string, std::string> environment() const {
    return {{"DATABASE_URL", database_.url()}, {"GATHERING_CONFIG", "/dev/null"}};
  }
  bool SchemaExists() {
    constexpr std::string_view kThere = "SELECT to_regnamespace('gathering_bench') IS NOT NULL AS there";
    return db::Session{{.url = database_.url()}}.Query({"there", kThere}).As<bool>(0);
  }
  const std::string& url() const { return database_.url(); }

 private:
  FreshDatabase database_;
};

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream{path}.rdbuf();
  return text.str();
}

void Until(const std::function<bool()>& done) {
  const auto give_up_at = std::chrono::steady_clock::now() + 20s;
  while (!done()) {
    REQUIRE(std::chrono::steady_clock::now() < give_up_at);
    std::this_thread::yield();
  }
}

}  // namespace

TEST_CASE("bench-db measures every scenario and leaves nothing", "[bench]") {
  Shell shell;
  const ProcessResult run = shell.BenchDb({"--output", "json"}, {});
  REQUIRE(run.code == 0);
  CHECK(run.err.empty());
  const json report = json::parse(run.out);
  CHECK(report["schema"] == 1);
  CHECK(report["settings"]["members"] == 3);
  CHECK(report["environment"]["fsync"] == false);
  CHECK_FALSE(report["environment"]["shared_buffers"].get<std::string>().empty());
  CHECK(report["host"]["cores"] > 0);
  REQUIRE(report["results"].size() == 11);
  for (const json& result : report["results"]) {
    INFO(result.dump());
    CHECK(result["errors"] == 0);
    CHECK(result["operations"] > 0);
    CHECK(result["slices"].size() <= 20);
    CHECK_FALSE(result["histogram"].empty());
  }
  CHECK_FALSE(shell.SchemaExists());
}

TEST_CASE("bench-db prints a table, and the same as CSV", "[bench]") {
  Shell shell;
  const ProcessResult text = shell.BenchDb({}, {"point-read"});
  CHECK(text.code == 0);
  CHECK(text.out.starts_with("PostgreSQL "));
  CHECK(Contains(text.out, "\n  pipeline "));
  CHECK(Contains(text.out, "With 2 clients "));
  CHECK(Contains(text.out, "█"));
  CHECK(Contains(text.out, "fsync is off"));
  const ProcessResult csv = shell.BenchDb({"--output", "csv"}, {"point-read"});
  CHECK(csv.out.starts_with("scenario,variant,clients,"));
  CHECK(std::count(csv.out.begin(), csv.out.end(), '\n') == 4);
}

TEST_CASE("bench-db does not load a database with tables unless told to", "[bench]") {
  Shell shell{FreshDatabase::Schema::kMigrated};
  const ProcessResult refused = shell.BenchDb({});
  CHECK(refused.code == 2);
  CHECK(Contains(refused.err, "add --yes"));
  CHECK(refused.out.empty());
  CHECK(shell.BenchDb({"--yes"}).code == 0);
  CHECK_FALSE(shell.SchemaExists());
}

TEST_CASE("a --fail-if that holds is exit 3, and one that does not is none", "[bench]") {
  Shell shell;
  const ProcessResult failed = shell.BenchDb({"--fail-if", "p50>0us", "--fail-if", "errors>0"});
  CHECK(failed.code == 3);
  CHECK(Contains(failed.err, "point-read/pool@2: 'p50>0us' holds"));
  CHECK_FALSE(Contains(failed.err, "errors>0"));
  CHECK(shell.BenchDb({"--fail-if", "p50>60s"}).code == 0);
}

TEST_CASE("bench-db compares with an earlier run", "[bench]") {
  Shell shell;
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/before.json";
  std::ofstream{file} << shell.BenchDb({"--output", "json"}).out;
  const ProcessResult now = shell.BenchDb({"--compare", file, "--output", "json"});
  REQUIRE(now.code == 0);
  const json comparison = json::parse(now.out)["comparison"];
  REQUIRE(comparison.size() == 1);
  CHECK(comparison[0]["measure"] == "rate");
  CHECK(comparison[0]["ratio_low"] <= comparison[0]["ratio_high"]);

  // The same run, had it been a hundred times as fast then.
  json faster = json::parse(ReadFile(file));
  for (json& slice : faster["results"][0]["slices"]) slice["rate"] = slice["rate"].get<double>() * 100;
  std::ofstream{file} << faster.dump();
  const ProcessResult slower = shell.BenchDb({"--compare", file, "--fail-if", "slower"});
  CHECK(slower.code == 3);
  CHECK(Contains(slower.out, "slower, "));

  const ProcessResult other = shell.BenchDb({"--compare", file, "--rate", "100"});
  CHECK(other.code == 1);
  CHECK(Contains(other.err, "--rate was 0 then and is 100 now"));
}

TEST_CASE("wrong use of bench-db is said before anything is done", "[bench]") {
  const std::map<std::string, std::string> nowhere = {{"DATABASE_URL", "host=/nonexistent dbname=x"},
                                                      {"GATHERING_CONFIG", "/dev/null"}};
  const std::vector<std::vector<std::string>> wrong = {
      {"--scenario", "point-reed"},
      {"--clients", "0"},
      {"--clients", "x"},
      {"--clients", "5000"},
      {"--clients", ""},
      {"--duration", "1ms"},
      {"--duration", "soon"},
      {"--rate", "0"},
      {"--rate", "fast"},
      {"--members", "0"},
      {"--seed", "-1"},
      {"--output", "xml"},
      {"--compare", "/nonexistent"},
      {"--compare", "/dev/null"},
      {"--fail-if", "p99"},
      {"--fail-if", "slower"},
      {"--fail-if", "mixed@3:errors>0"},
      {"extra"},
  };
  for (const auto& words : wrong) {
    std::vector<std::string> arguments = {"bench-db"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const ProcessResult run = Run(GATHERING_BINARY, {.arguments = arguments, .environment = nowhere});
    INFO(words.front() << " " << words.back() << ": " << run.err);
    CHECK(run.code == 2);
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  }
  CHECK(Contains(
      Run(GATHERING_BINARY, {.arguments = {"bench-db", "--scenario", "point-reed"}, .environment = nowhere})
          .err,
      "did you mean 'point-read'"));
  CHECK(Run(GATHERING_BINARY, {.arguments = {"bench-db"}, .environment = nowhere}).code == 69);
}

TEST_CASE("a second bench-db in one database is told to try again", "[bench]") {
  Shell shell;
  const bench::Place first{{.url = shell.url()}};
  const ProcessResult second = shell.BenchDb({});
  CHECK(second.code == 75);
  CHECK(Contains(second.err, "another bench-db runs"));
}

TEST_CASE("an interrupted bench-db shows what it has and leaves nothing", "[bench]") {
  Shell shell;
  const TemporaryDirectory directory;
  const std::string pid_file = directory.path() + "/pid";
  auto running = std::async(std::launch::async, [&] {
    return Run("/bin/sh",
               {.arguments = {"-c", "echo $$ > " + pid_file +
                                        "; exec " GATHERING_BINARY
                                        " bench-db --duration 20s --scenario point-read/pool --clients 1 "
                                        "--output json"},
                .environment = shell.environment(),
                .deadline = 60s});
  });
  Until([&] { return shell.SchemaExists(); });
  pid_t pid = 0;
  REQUIRE(std::istringstream{ReadFile(pid_file)} >> pid);
  REQUIRE(::kill(pid, SIGINT) == 0);
  const ProcessResult run = running.get();
  CHECK(run.code == 130);
  CHECK(json::parse(run.out)["interrupted"] == true);
  CHECK_FALSE(shell.SchemaExists());
}

}  // namespace gathering::test
