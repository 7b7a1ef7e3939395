// Answers from memory: they are what the database says, on every daemon.
#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Steady = std::chrono::steady_clock::time_point;

json NewAgent(const std::string& name) {
  return {{"persona", {{"name", name}, {"role", "Developer"}}}};
}

json CacheOf(HttpClient& admin, const std::string& name) {
  const json report = admin.Get("/health/caches").Json();
  for (const json& cache : report.at("caches")) {
    if (cache.at("name") == name) return cache;
  }
  FAIL("there is no cache " << name);
  return {};
}

// Statements that requests have needed so far.
std::int64_t RunByHandlers(HttpClient& admin) {
  double sum = 0;
  const json report = admin.Get("/health/database").Json();
  for (const json& route : report.at("routes")) {
    sum += route.at("db_queries_per_request").get<double>() * route.at("requests").get<double>();
  }
  return std::llround(sum);
}

void AwaitCurrent(HttpClient& admin) {
  Await([&] { return admin.Get("/health/caches").Json().at("current") == true; });
}

// A database with an agent, a circle that runs and an agent in it, and a daemon that follows the log.
struct World {
  FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient admin = daemon.Admin();

  World() {
    REQUIRE(admin.Post("/agents", NewAgent("Ada")).status == 201);
    REQUIRE(admin.Post("/circles", json{{"name", "crew"}}).status == 201);
    REQUIRE(admin.Post("/circles/crew/start").status == 200);
    REQUIRE(admin.Post("/circles/crew/agents?agent_id=1&agent_name=Ada").status == 200);
    AwaitCurrent(admin);
  }
  Answer GetNew(const std::string& path) {
    return admin.Send("GET", path, {{"Authorization", "Bearer " + token}, {"Cache-Control", "no-cache"}});
  }
  const std::string token = daemon.AdminToken();
};

// Everything that is answered from memory.
const std::vector<std::string> kRemembered = {
    "/agents/1",    "/agents/1/status", "/circles/crew", "/personas", "/personas/1",
    "/providers",   "/providers/1",     "/models",       "/models/1", "/models?include_deprecated=true",
    "/circles/team"};

}  // namespace

TEST_CASE("what was asked for once is answered without the database until it changes") {
  World world;
  for (const char* path : {"/agents/1", "/agents/1/status", "/circles/crew", "/personas/1", "/personas",
                           "/providers/1", "/providers", "/models/1", "/models"}) {
    INFO(path);
    const Answer first = world.admin.Get(path);
    REQUIRE(first.status == 200);
    const std::int64_t before = RunByHandlers(world.admin);
    CHECK(world.admin.Get(path).body == first.body);
    CHECK(RunByHandlers(world.admin) == before);
  }
}

TEST_CASE("answers from memory carry an ETag, and a client who has them gets 304") {
  World world;
  for (const std::string& path : kRemembered) {
    if (path == "/circles/team") continue;
    INFO(path);
    const Answer answer = world.admin.Get(path);
    REQUIRE(answer.status == 200);
    const std::string etag = answer.Header("ETag").value_or("");
    CHECK(etag.size() == 34);
    CHECK(answer.Header("Cache-Control") == "private, no-cache");
    CHECK_FALSE(answer.Header("Pragma"));

    const Headers has = {{"Authorization", "Bearer " + world.token}, {"If-None-Match", etag}};
    const Answer kept = world.admin.Send("GET", path, has);
    CHECK(kept.status == 304);
    CHECK(kept.body.empty());
    CHECK(kept.Header("ETag") == etag);
    CHECK(kept.Header("Cache-Control") == "private, no-cache");
    CHECK(kept.Count("X-Request-ID") == 1);
    CHECK(world.admin.Get(path).status == 200);  // the connection goes on
  }
  CHECK(world.admin.Get("/agents").Header("Cache-Control") == "no-store, no-cache, must-revalidate");

  const std::string etag = world.admin.Get("/agents/1").Header("ETag").value_or("");
  REQUIRE(world.admin.Patch("/agents/1", json{{"config", {{"max_tokens", 7}}}}).status == 200);
  const Answer changed = world.admin.Send(
      "GET", "/agents/1", {{"Authorization", "Bearer " + world.token}, {"If-None-Match", etag}});
  CHECK(changed.status == 200);
  CHECK(changed.Header("ETag") != etag);

  const Headers stranger = {{"If-None-Match", "*"}};
  CHECK(world.admin.Send("GET", "/agents/1", stranger).status == 401);
}

TEST_CASE("two daemons give one answer one ETag") {
  World world;
  RunningDaemon other{{.database_url = world.database.url()}};
  HttpClient there = other.Admin();
  for (const char* path : {"/circles/crew", "/personas/1", "/models"}) {
    CHECK(world.admin.Get(path).Header("ETag") == there.Get(path).Header("ETag"));
  }
}

TEST_CASE("a client that wants no remembered answer gets a new one, which is remembered") {
  World world;
  REQUIRE(world.admin.Get("/agents/1").status == 200);
  const json before = CacheOf(world.admin, "agents");
  CHECK(world.GetNew("/agents/1").status == 200);
  CHECK(world.admin.Get("/agents/1").status == 200);
  const json after = CacheOf(world.admin, "agents");
  CHECK(after.at("loads") == before.at("loads").get<int>() + 1);
  CHECK(after.at("hits") == before.at("hits").get<int>() + 1);
}

TEST_CASE("after every request that changes something its daemon's next answers are the database's") {
  World world;
  HttpClient& admin = world.admin;
  const std::vector<std::function<Answer()>> changes = {
      [&] {
        return admin.Patch("/agents/1", json{{"persona", {{"name", "Bo"}, {"role", "Lead"}}}});
      },
      [&] {
        return admin.Patch("/agents/1", json{{"config", {{"model_id", 1}, {"persona_id", 1}}}});
      },
      [&] { return admin.Post("/agents/1/session/track-file?file_path=a.cpp"); },
      [&] { return admin.Post("/agents/1/session/set-task?task_id=5&title=work"); },
      [&] { return admin.Delete("/agents/1/session/task"); },
      [&] { return admin.Put("/agents/1/skills", json::array({"git"})); },
      [&] { return admin.Post("/agents/1/skills/filesystem"); },
      [&] { return admin.Delete("/agents/1/skills/filesystem"); },
      [&] {
        return admin.Post("/circles", json{{"name", "team"}});
      },
      [&] { return admin.Post("/circles/team/start"); },
      [&] { return admin.Post("/circles/team/agents?agent_id=1&agent_name=Bo"); },
      [&] { return admin.Post("/circles/team/agents?agent_id=2&agent_name=Cy&competencies=x"); },
      [&] {
        return admin.Post("/circles/team/tasks", json{{"title", "one"}, {"assigned_agent_id", 1}});
      },
      [&] {
        return admin.Post("/circles/team/tasks/1/submit",
                          json{{"result", "done"}, {"files_modified", {"a"}}});
      },
      [&] { return admin.Post("/circles/team/tasks/1/reject?reviewer_id=2&reason=no"); },
      [&] {
        return admin.Post("/circles/team/tasks/1/submit",
                          json{{"result", "done"}, {"files_modified", {"a"}}});
      },
      [&] { return admin.Post("/circles/team/tasks/1/approve?reviewer_id=2"); },
      [&] { return admin.Delete("/circles/team/agents/2"); },
      [&] { return admin.Post("/circles/team/stop"); },
      [&] {
        return admin.Post("/personas", json{{"display_name", "P"}, {"role", "r"}});
      },
      [&] {
        return admin.Patch("/models/1", json{{"model_alias", "better"}});
      },
      [&] {
        return admin.Patch("/personas/1", json{{"default_model_id", 1}});
      },
      [&] {
        return admin.Post("/providers", json{{"name", "new"}});
      },
      [&] {
        return admin.Post("/models", json{{"provider_id", 1}, {"model_name", "m"}});
      },
      [&] { return admin.Delete("/models/1"); },  // the agent ran on it
      [&] { return admin.Delete("/agents/1"); },  // a member of both circles
      [&] { return admin.Delete("/circles/team"); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    for (const std::string& path : kRemembered) static_cast<void>(admin.Get(path));  // is in memory now
    const Answer changed = changes[i]();
    INFO("change " << i << ": " << changed.status << " " << changed.body);
    CHECK(changed.status < 300);
    for (const std::string& path : kRemembered) {
      INFO(path);
      const Answer remembered = admin.Get(path);
      const Answer real = world.GetNew(path);
      CHECK(remembered.status == real.status);
      if (real.status == 200) CHECK(remembered.body == real.body);
    }
  }
}

TEST_CASE("what another daemon changes, or somebody by SQL, is seen without asking for it") {
  World world;
  RunningDaemon other{{.database_url = world.database.url()}};
  HttpClient there = other.Admin();
  AwaitCurrent(there);
  db::Connection sql{{.url = world.database.url()}};
  const auto name = [&](HttpClient& at) { return at.Get("/agents/1").Json().at("name"); };
  const auto count = [&](HttpClient& at) { return at.Get("/circles/crew").Json().at("task_count"); };
  CHECK(name(there) == "Ada");
  CHECK(count(there) == 0);

  REQUIRE(world.admin.Patch("/agents/1", json{{"persona", {{"name", "Bo"}, {"role", "r"}}}}).status == 200);
  REQUIRE(world.admin.Post("/circles/crew/tasks", json{{"title", "one"}}).status == 201);
  Await([&] { return name(there) == "Bo" && count(there) == 1; });

  sql.Script("UPDATE agents SET name = 'Cy' WHERE id = 1");
  sql.Script("UPDATE circles SET tasks_pending = tasks_pending + 5 WHERE name = 'crew'");
  Await([&] { return name(there) == "Cy" && count(there) == 6; });
  Await([&] { return name(world.admin) == "Cy" && count(world.admin) == 6; });

  CHECK(there.Get("/personas/1").status == 200);
  sql.Script("UPDATE personas SET display_name = 'Zoe' WHERE id = 1");
  Await([&] { return there.Get("/personas/1").Json().at("display_name") == "Zoe"; });

  sql.Script("TRUNCATE agents CASCADE");
  Await([&] { return there.Get("/agents/1").status == 404; });
}

TEST_CASE("a transaction that writes for long does not keep changes from being seen") {
  World world;
  RunningDaemon other{{.database_url = world.database.url()}};
  HttpClient there = other.Admin();
  AwaitCurrent(there);
  Await([&] {
    CHECK(there.Get("/circles/crew").Json().at("task_count") == 0);
    return CacheOf(there, "circles").at("hits") > 0;
  });
  db::Connection sql{{.url = world.database.url()}};
  sql.Script("BEGIN; CREATE TABLE something (x int)");
  REQUIRE(world.admin.Post("/circles/crew/tasks", json{{"title", "one"}}).status == 201);
  Await([&] { return there.Get("/circles/crew").Json().at("task_count") == 1; });
  sql.Script("ROLLBACK");
}

TEST_CASE("while changes cannot be heard of the database is asked, and nothing old comes back") {
  World world;
  db::Connection sql{{.url = world.database.url()}};
  REQUIRE(world.admin.Get("/agents/1").status == 200);
  REQUIRE(CacheOf(world.admin, "agents").at("entries") == 1);
  const auto lost = [&] { return world.admin.Get("/health/events").Json().at("log").at("failures"); };
  const int before = lost();
  // The name changes while nobody listens: the change and the loss are one statement.
  sql.Script(
      "UPDATE agents SET name = 'Bo' WHERE id = 1;"
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name LIKE '% events' AND datname = current_database()");
  Await([&] { return lost() > before; });
  CHECK(world.admin.Get("/agents/1").Json().at("name") == "Bo");
  AwaitCurrent(world.admin);
  CHECK(world.admin.Get("/agents/1").Json().at("name") == "Bo");
  CHECK(CacheOf(world.admin, "agents").at("entries") == 1);
}

TEST_CASE("sixty-four requests for one agent nobody remembers ask the database once") {
  constexpr int kRequests = 64;
  World world;
  db::Connection sql{{.url = world.database.url()}};
  sql.Script("BEGIN; LOCK TABLE agents IN ACCESS EXCLUSIVE MODE");
  const json before = CacheOf(world.admin, "agents");
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> askers;
    for (int i = 0; i < kRequests; ++i) {
      askers.emplace_back([&] {
        HttpClient client = world.daemon.Client();
        client.Use(world.token);
        if (client.Get("/agents/1").status == 200) ++good;
      });
    }
    Await([&] {
      return CacheOf(world.admin, "agents").at("joined") == before.at("joined").get<int>() + kRequests - 1;
    });
    sql.Script("COMMIT");
  }
  CHECK(good == kRequests);
  CHECK(CacheOf(world.admin, "agents").at("loads") == before.at("loads").get<int>() + 1);
}

TEST_CASE("the agent's session is answered in the words of now") {
  World world;
  db::Connection sql{{.url = world.database.url()}};
  // In two seconds it will have been two minutes.
  sql.Script("UPDATE agents SET last_active_at = now() - interval '118 seconds' WHERE id = 1");
  Await([&] { return world.admin.Get("/agents/1").Json().at("session").at("time_since") == "1 minute"; });
  Await([&] { return world.admin.Get("/agents/1").Json().at("session").at("time_since") == "2 minutes"; });
  CHECK(world.admin.Get("/agents/1/status").Json().at("session").at("time_since") == "2 minutes");
}

// --- two daemons, writers and readers at random ------------------------------------------------------

namespace {

constexpr int kThings = 6;   // agents, and as many circles
constexpr int kReaders = 4;  // of each daemon
constexpr std::chrono::seconds kSeenWithin{2};

// What a thing was changed to, and when that was answered.
struct Written {
  std::int64_t value;
  int daemon;
  Steady answered;
};
struct Read {
  int daemon;
  std::int64_t value;
  Steady asked;
  Steady answered;
};

// An agent's task and a circle's number of tasks only rise.
std::int64_t ValueOf(HttpClient& client, int thing) {
  if (thing < kThings) {
    const json agent = client.Get("/agents/" + std::to_string(thing + 1)).Json();
    const std::string title = agent.at("current_task");
    std::int64_t value = 0;
    std::from_chars(title.data(), title.data() + title.size(), value);
    return value;
  }
  return client.Get("/circles/circle-" + std::to_string(thing - kThings)).Json().at("task_count");
}

int Raise(HttpClient& client, int thing, std::int64_t value) {
  const std::string text = std::to_string(value);
  if (thing < kThings) {
    return client
        .Post("/agents/" + std::to_string(thing + 1) + "/session/set-task?task_id=" + text + "&title=" + text)
        .status;
  }
  return client.Post("/circles/circle-" + std::to_string(thing - kThings) + "/tasks", json{{"title", text}})
      .status;
}

// Everything a single database would have answered: what one daemon says of a thing never goes back, a
// daemon says at once what was changed there, and after a while what was changed elsewhere.
void Check(const std::vector<Written>& writes, std::vector<Read> reads) {
  std::vector<Read> by_answer = reads;
  std::ranges::sort(by_answer, {}, &Read::answered);
  std::ranges::sort(reads, {}, &Read::asked);
  std::int64_t said = 0;
  auto before = by_answer.begin();
  for (const Read& read : reads) {
    for (; before != by_answer.end() && before->answered < read.asked; ++before)
      said = std::max(said, before->value);
    std::int64_t least = said;
    for (const Written& write : writes) {
      const auto seen = write.answered + (write.daemon == read.daemon ? 0s : kSeenWithin);
      if (seen < read.asked) least = std::max(least, write.value);
    }
    if (read.value < least)
      FAIL("daemon " << read.daemon << " says " << read.value << " where " << least << " was known");
  }
}

}  // namespace

TEST_CASE("two daemons with writers and readers at random never answer what is known to be old") {
  const char* const given = std::getenv("GATHERING_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  INFO("GATHERING_SEED=" << seed);
  constexpr std::int64_t kChanges = 60;  // of each thing
  const FreshDatabase database;
  std::vector<std::unique_ptr<RunningDaemon>> daemons;
  for (int i = 0; i < 2; ++i)
    daemons.push_back(std::make_unique<RunningDaemon>(DaemonOptions{.database_url = database.url()}));
  HttpClient admin = daemons[0]->Admin();
  const std::string token = daemons[0]->AdminToken();
  for (int i = 0; i < kThings; ++i) {
    REQUIRE(admin.Post("/agents", NewAgent("agent")).status == 201);
    REQUIRE(admin.Post("/circles", json{{"name", "circle-" + std::to_string(i)}}).status == 201);
    REQUIRE(admin.Post("/circles/circle-" + std::to_string(i) + "/start").status == 200);
  }
  const auto client = [&](int daemon) {
    HttpClient made = daemons[static_cast<std::size_t>(daemon)]->Client();
    made.Use(token);
    return made;
  };

  std::vector<std::vector<Written>> writes(2 * kThings);
  std::mutex mutex;
  std::map<std::pair<int, int>, std::vector<Read>> reads;  // by daemon and thing
  std::atomic<int> writing = 2 * kThings;
  std::atomic<int> refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int thing = 0; thing < 2 * kThings; ++thing) {
      threads.emplace_back([&, thing] {
        std::mt19937_64 random{seed + static_cast<std::uint64_t>(thing)};
        std::vector<HttpClient> at;
        for (int i = 0; i < 2; ++i) at.push_back(client(i));
        for (std::int64_t value = 1; value <= kChanges; ++value) {
          const int daemon = static_cast<int>(random() % 2);
          const int status = Raise(at[static_cast<std::size_t>(daemon)], thing, value);
          if (status != 200 && status != 201) ++refused;
          writes[static_cast<std::size_t>(thing)].push_back(
              {value, daemon, std::chrono::steady_clock::now()});
        }
        --writing;
      });
    }
    for (int reader = 0; reader < 2 * kReaders; ++reader) {
      threads.emplace_back([&, reader] {
        const int daemon = reader % 2;
        std::mt19937_64 random{seed + 100 + static_cast<std::uint64_t>(reader)};
        HttpClient at = client(daemon);
        while (writing > 0) {
          const int thing = static_cast<int>(random() % (2 * kThings));
          const Steady asked = std::chrono::steady_clock::now();
          const std::int64_t value = ValueOf(at, thing);
          const Read read{daemon, value, asked, std::chrono::steady_clock::now()};
          std::scoped_lock lock{mutex};
          reads[{daemon, thing}].push_back(read);
        }
      });
    }
  }
  CHECK(refused == 0);
  CHECK(CacheOf(admin, "agents").at("hits") > 0);
  CHECK(CacheOf(admin, "circles").at("hits") > 0);
  for (const auto& [of, seen] : reads) Check(writes[static_cast<std::size_t>(of.second)], seen);
  for (int daemon = 0; daemon < 2; ++daemon) {
    HttpClient at = client(daemon);
    for (int thing = 0; thing < 2 * kThings; ++thing) Await([&] { return ValueOf(at, thing) == kChanges; });
  }
}

}  // namespace gathering::test
