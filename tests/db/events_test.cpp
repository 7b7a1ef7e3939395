// The log of events: written with what it tells of, read once and in order whoever commits when.
#include "core/events/log.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/agents/agent.h"
#include "core/db/connection.h"
#include "core/db/queries.h"
#include "core/events/log_reader.h"
#include "tests/db/circle_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;

// What a reader handed over.
class Heard {
 public:
  std::function<void(events::Event)> Listener() {
    return [this](events::Event event) {
      {
        std::scoped_lock lock{mutex_};
        events_.push_back(std::make_shared<const events::Event>(std::move(event)));
      }
      changed_.notify_all();
    };
  }

  // Their titles, once there are so many.
  std::vector<std::string> Titles(std::size_t count) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, 30s, [&] { return events_.size() >= count; }))
      FAIL("only " << events_.size() << " events came");
    std::vector<std::string> titles;
    for (const auto& event : events_)
      titles.push_back(nlohmann::json::parse(event->data.text).value("title", std::string{"?"}));
    return titles;
  }
  std::size_t size() {
    std::scoped_lock lock{mutex_};
    return events_.size();
  }
  std::vector<events::EventPointer> all() {
    std::scoped_lock lock{mutex_};
    return events_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<events::EventPointer> events_;
};

// A reader that has begun.
struct Reading {
  explicit Reading(const std::string& url, events::LogReaderOptions options = {})
      : reader(With(std::move(options), url), clock, heard.Listener()) {
    reader.Start();
    Await([&] { return reader.Stats().position.has_value(); });
  }
  static events::LogReaderOptions With(events::LogReaderOptions options, const std::string& url) {
    options.url = url;
    options.poll_min = 1ms;
    return options;
  }

  SystemClock clock;
  Heard heard;
  events::LogReader reader;
};

void Tell(db::Connection& connection, const std::string& title) {
  connection.Execute("SELECT pg_current_xact_id()");
  connection.Execute(
      "INSERT INTO events (type, data) VALUES ('task.created', jsonb_build_object('title', $1::text))",
      {title});
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("every change of circles, members, tasks and agents is in the log, in order", "[events]") {
  CircleFixture db;
  db.RunningCircle({.name = "core"});
  db.Write([](db::Tx& tx) {
    auto member = Named(7, "Ada");
    member.competencies = {"cpp"};
    circles::AddMember(tx, "core", member, kUser);
    circles::AddMember(tx, "core", Named(8, "Rex"), kUser);
  });
  db.Write([](db::Tx& tx) {
    tasks::Create(tx, "core", {.title = "Build", .required_competencies = {"cpp"}}, kUser);
  });
  db.Write([](db::Tx& tx) { tasks::CreateWaiting(tx, "core", {.title = "Later"}, kUser); });
  db.Write([](db::Tx& tx) {
    tasks::Submit(tx, "core", 1, {.result = "done", .files_modified = {"a.cpp"}}, kUser);
  });
  db.Write([](db::Tx& tx) { tasks::Reject(tx, "core", 1, {.reviewer_id = 8}, kUser); });
  db.Write([](db::Tx& tx) { tasks::Submit(tx, "core", 1, {.result = "better"}, kUser); });
  db.Write([](db::Tx& tx) { tasks::Approve(tx, "core", 1, {.reviewer_id = 8}, kUser); });
  db.Write([](db::Tx& tx) {
    tasks::Create(tx, "core", {.title = "Again", .required_competencies = {"cpp"}}, kUser);
  });
  db.Write(
      [](db::Tx& tx) { circles::RemoveMember(tx, "core", {.agent_id = 7, .user = std::string{kUser}}); });
  db.Write([](db::Tx& tx) { circles::Stop(tx, "core"); });
  db.Write([](db::Tx& tx) { circles::Delete(tx, "core"); });

  auto records = db.Read([](db::Tx& tx) { return events::List(tx, {}, {}, 100); });
  std::ranges::reverse(records);
  Texts told;
  for (const events::Record& record : records) {
    const auto data = nlohmann::json::parse(record.data.text);
    CHECK(data.at("circle") == "core");
    CHECK(record.circle_id == records.front().circle_id);
    CHECK(events::ToEvent(record));
    told.push_back(record.type + (data.contains("title") ? " " + data.at("title").get<std::string>() : "") +
                   (record.source_agent_id ? " by " + std::to_string(*record.source_agent_id) : ""));
  }
  CHECK(told == Texts{"circle.created", "circle.started", "circle.member.added by 7",
                      "circle.member.added by 8", "task.created Build", "task.assigned Build by 7",
                      "task.created Later", "task.submitted Build by 7", "task.started Build by 8",
                      "task.submitted Build by 7", "task.completed Build by 8", "task.created Again",
                      "task.assigned Again by 7", "circle.member.removed by 7", "task.released Again by 7",
                      "circle.stopped", "circle.deleted"});
}

TEST_CASE("what is rolled back was never told", "[events]") {
  CircleFixture db;
  db.MakeCircle({.name = "core"});
  db.Refused([](db::Tx& tx) {
    circles::Start(tx, "core", kUser);
    throw Error{Code::kRejected, "after all not"};
  });
  CHECK(db.Read([](db::Tx& tx) { return events::List(tx, {}, {}, 100); }).size() == 1);
}

TEST_CASE("the log is listed by type, circle and agent, page by page", "[events]") {
  CircleFixture db;
  db.RunningCircle({.name = "one"});
  db.RunningCircle({.name = "two"});
  db.Write([](db::Tx& tx) { circles::AddMember(tx, "two", Named(9, "Ada"), kUser); });
  const auto list = [&](const events::RecordFilter& filter) {
    Texts told;
    for (const auto& record : db.Read([&](db::Tx& tx) { return events::List(tx, filter, {}, 100); }))
      told.push_back(record.type);
    return told;
  };
  CHECK(list({.types = {"circle.st*"}}) == Texts{"circle.started", "circle.started"});
  CHECK(list({.types = {"circle.created", "*.added"}}).size() == 3);
  CHECK(list({.types = {"circle_created"}}).empty());
  CHECK(list({.types = {"circle%"}}).empty());
  CHECK(list({.source_agent_id = 9}) == Texts{"circle.member.added"});
  const auto first = db.Read([](db::Tx& tx) { return events::List(tx, {}, {}, 3); });
  REQUIRE(first.size() == 3);
  const auto second = db.Read([&](db::Tx& tx) { return events::List(tx, {}, first.back().sequence, 3); });
  REQUIRE(second.size() == 2);
  CHECK(second.front().sequence < first.back().sequence);
  CHECK(list({.circle_id = first.front().circle_id}) ==
        Texts{"circle.member.added", "circle.started", "circle.created"});
}

TEST_CASE("who commits late is not skipped, and who never does holds nobody up", "[events]") {
  const FreshDatabase database;
  Reading here{database.url()};
  db::Connection early{{.url = database.url()}};
  db::Connection late{{.url = database.url()}};
  late.Script("BEGIN");
  Tell(late, "drawn first");
  Tell(early, "committed first");
  here.reader.Wake();
  Await([&] { return here.reader.Stats().newest == 2; });
  CHECK(here.heard.size() == 0);
  late.Script("COMMIT");
  CHECK(here.heard.Titles(2) == Texts{"drawn first", "committed first"});

  late.Script("BEGIN");
  Tell(late, "never");
  Tell(early, "after it");
  here.reader.Wake();
  Await([&] { return here.reader.Stats().newest == 4; });
  CHECK(here.heard.size() == 2);
  late.Script("ROLLBACK");
  CHECK(here.heard.Titles(3).back() == "after it");
}

TEST_CASE("what was committed on one instance is heard on the other by its announcement", "[events]") {
  const FreshDatabase database;
  Reading here{database.url(), {.poll_max = 1h}};
  Reading there{database.url(), {.poll_max = 1h}};
  db::Connection connection{{.url = database.url()}};
  for (int i = 1; i <= 20; ++i) {
    Tell(connection, std::to_string(i));
    here.reader.Wake();
    CHECK(there.heard.Titles(static_cast<std::size_t>(i)).back() == std::to_string(i));
  }
  CHECK(here.heard.Titles(20).size() == 20);
  CHECK(there.reader.Stats().notified > 0);
  CHECK(there.reader.Stats().announced == 0);
  CHECK(here.reader.Stats().announced > 0);
}

TEST_CASE("an event that its instance had read before it was told to is announced all the same", "[events]") {
  const FreshDatabase database;
  Reading here{database.url(), {.poll_max = 1h}};
  db::Connection connection{{.url = database.url()}};
  Tell(connection, "early");
  connection.Script(std::string{events::kAnnounce});  // another's, by which it is read
  CHECK(here.heard.Titles(1) == Texts{"early"});
  CHECK(here.reader.Stats().announced == 0);
  here.reader.Wake();
  Await([&] { return here.reader.Stats().announced == 1; });
}

TEST_CASE("without announcements the log is looked at now and then", "[events]") {
  const FreshDatabase database;
  Reading here{database.url(), {.poll_max = 20ms}};
  db::Connection connection{{.url = database.url()}};
  Tell(connection, "unannounced");
  CHECK(here.heard.Titles(1) == Texts{"unannounced"});
}

TEST_CASE("a reader whose connection is cut goes on where it was", "[events]") {
  const FreshDatabase database;
  Reading here{database.url(), {.poll_max = 20ms}};
  db::Connection connection{{.url = database.url()}};
  Texts told;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 50; ++i) {
      told.push_back(std::to_string(round) + "." + std::to_string(i));
      Tell(connection, told.back());
      if (i == 25) {
        connection.Execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'gathering events' AND datname = current_database()");
      }
    }
  }
  CHECK(here.heard.Titles(told.size()) == told);
  CHECK(here.reader.Stats().connects > 1);
}

TEST_CASE("many writers at once: every reader hears every event once, each writer's in its order",
          "[events]") {
  const FreshDatabase database;
  Reading here{database.url(), {.read_max = 37}};
  Reading there{database.url(), {.poll_max = 50ms}};
  constexpr int kWriters = 6;
  constexpr int kEach = 200;
  Together(kWriters, [&](int writer) {
    db::Connection connection{{.url = database.url()}};
    connection.Script("SET synchronous_commit = off");
    for (int i = 0; i < kEach; ++i) {
      const bool rolled_back = i % 10 == 9;
      connection.Script("BEGIN");
      Tell(connection, std::to_string(writer) + (rolled_back ? " rolled back" : " kept"));
      connection.Script(rolled_back ? "ROLLBACK" : "COMMIT");
      here.reader.Wake();
    }
  });
  constexpr std::size_t kKept = kWriters * kEach * 9 / 10;
  for (Reading* const reading : {&here, &there}) {
    CHECK(std::ranges::count(reading->heard.Titles(kKept), "rolled back") == 0);
    const auto heard = reading->heard.all();
    CHECK(heard.size() == kKept);
    CHECK(std::ranges::is_sorted(heard, {}, [](const auto& event) { return event->sequence; }));
    CHECK(std::ranges::adjacent_find(heard, {}, [](const auto& event) { return event->sequence; }) ==
          heard.end());
  }
}

TEST_CASE("an event is handed over only when it is on disk", "[events]") {
  const FreshDatabase database;
  db::Connection asking{{.url = database.url()}};
  asking.Script("ALTER DATABASE " + database.name() + " SET synchronous_commit = on");
  std::atomic<bool> on_disk = false;
  std::atomic<bool> heard = false;
  std::atomic<bool> go = false;
  std::string committed;
  const SystemClock clock;
  events::LogReader reader{
      {.url = database.url(), .poll_min = 1ms}, clock, [&](const events::Event&) {
        Await([&] { return go.load(); });
        on_disk = asking.Execute("SELECT pg_current_wal_flush_lsn() > $1::pg_lsn AS flushed", {committed})
                      .As<bool>(0);
        heard = true;
      }};
  reader.Start();
  Await([&] { return reader.Stats().position.has_value(); });
  db::Connection writing{{.url = database.url()}};
  writing.Script("SET synchronous_commit = off");
  writing.Script("BEGIN");
  Tell(writing, "not yet");
  committed = writing.Execute("SELECT pg_current_wal_insert_lsn()::text AS lsn").As<std::string>(0);
  writing.Script("COMMIT");
  reader.Wake();
  go = true;
  Await([&] { return heard.load(); });
  CHECK(on_disk);
}

TEST_CASE("events of types from the future are passed over", "[events]") {
  const FreshDatabase database;
  Reading here{database.url()};
  db::Connection connection{{.url = database.url()}};
  connection.Script("INSERT INTO events (type) VALUES ('task.teleported')");
  Tell(connection, "known");
  here.reader.Wake();
  CHECK(here.heard.Titles(1) == Texts{"known"});
  Await([&] { return here.reader.Stats().unknown == 1; });
}

TEST_CASE("the log keeps its days and forgets the old ones", "[events]") {
  const FreshDatabase database;
  db::Connection connection{{.url = database.url()}};
  const auto days = [&] {
    return connection
        .Execute(
            "SELECT count(*) AS days FROM pg_inherits WHERE inhparent = 'events'::regclass "
            "AND inhrelid <> 'events_default'::regclass")
        .As<std::int64_t>(0);
  };
  SystemClock clock;
  db::Pool pool{{.url = database.url()}, clock};
  const auto maintain = [&](std::chrono::seconds keep) {
    return pool.Write(
        [&](db::Tx& tx) { return tx.One<std::optional<std::int64_t>>(sql::kEventsMaintain, keep.count()); });
  };
  CHECK(maintain(24h) == 0);
  CHECK(days() == 3);
  CHECK(maintain(24h) == 0);
  CHECK(days() == 3);
  Tell(connection, "today");
  CHECK(connection.Execute("SELECT count(*) AS events FROM events_default").As<std::int64_t>(0) == 0);
  connection.Script("INSERT INTO events (type, time) VALUES ('task.created', now() - interval '40 days')");
  connection.Script(
      "CREATE TABLE events_20200101 PARTITION OF events FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z');"
      "INSERT INTO events (type, time) VALUES ('task.created', '2020-01-01T12:00Z')");
  CHECK(connection.Execute("SELECT count(*) AS events FROM events").As<std::int64_t>(0) == 3);
  CHECK(maintain(24h) == 1);
  CHECK(connection.Execute("SELECT count(*) AS events FROM events").As<std::int64_t>(0) == 1);
  CHECK(days() == 3);
}

}  // namespace gathering::test
