// Two daemons on one PostgreSQL, each of the three killed while tasks are created through both: what streams
// tell is what happened, all of it, once and in order.
//
// GATHERING_EVENTS says how many tasks to create.
#include <signal.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/db/connection.h"
#include "core/db/embedded.h"
#include "core/db/migrate.h"
#include "tests/support/daemon.h"
#include "tests/support/event_source.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

void Await(const std::function<bool()>& condition, const std::function<std::string()>& what) {
  if (!Eventually(condition, 300s)) FAIL(what());
}

// A daemon that may be killed and started again, at another address then.
class Instance {
 public:
  explicit Instance(std::string url) : url_(std::move(url)) { Start(); }

  void Start() {
    auto daemon = std::make_unique<RunningDaemon>(DaemonOptions{.database_url = url_});
    std::scoped_lock lock{mutex_};
    daemon_ = std::move(daemon);
  }
  void Kill() {
    std::scoped_lock lock{mutex_};
    daemon_->Signal(SIGKILL);
    CHECK(daemon_->Wait() == 128 + SIGKILL);
    daemon_.reset();
  }
  // Empty while there is none.
  std::string Address() {
    std::scoped_lock lock{mutex_};
    return daemon_ ? daemon_->address() : std::string{};
  }
  HttpClient Admin() {
    std::scoped_lock lock{mutex_};
    return daemon_->Admin();
  }
  std::string Token() {
    std::scoped_lock lock{mutex_};
    return daemon_->AdminToken();
  }

 private:
  const std::string url_;
  std::mutex mutex_;
  std::unique_ptr<RunningDaemon> daemon_;
};

// Creates tasks in a circle of its own, whatever happens to the daemon.
class Writer {
 public:
  Writer(Instance& instance, std::string circle, std::string token, std::atomic<std::int64_t>& left)
      : thread_([this, &instance, circle = std::move(circle), token = std::move(token), &left] {
          Write(instance, circle, token, left);
        }) {}

  std::vector<std::string> Acknowledged() {
    thread_.join();
    return acknowledged_;
  }
  [[nodiscard]] std::int64_t count() const { return count_; }

 private:
  void Write(Instance& instance, const std::string& circle, const std::string& token,
             std::atomic<std::int64_t>& left) {
    std::unique_ptr<HttpClient> client;
    for (std::int64_t number = 0; left > 0; ++number) {
      const std::string title = circle + " " + std::to_string(number);
      try {
        if (!client) {
          client = std::make_unique<HttpClient>(instance.Address());
          client->Use(token);
        }
        if (client->Post("/circles/" + circle + "/tasks", json{{"title", title}}).status == 201) {
          acknowledged_.push_back(title);
          ++count_;
          --left;
        }
      } catch (const std::exception&) {
        client.reset();
        std::this_thread::yield();
      }
    }
  }

  std::vector<std::string> acknowledged_;
  std::atomic<std::int64_t> count_ = 0;
  std::jthread thread_;  // last: it uses the others
};

// Follows one instance's stream from the first event on, and comes back whenever it ends.
class Follower {
 public:
  Follower(Instance& instance, std::string token)
      : thread_([this, &instance, token = std::move(token)](const std::stop_token& stop) {
          while (!stop.stop_requested()) Follow(stop, instance, token);
        }) {}

  [[nodiscard]] std::size_t size() {
    std::scoped_lock lock{mutex_};
    return heard_.size();
  }
  std::vector<std::pair<std::int64_t, std::string>> heard() {
    std::scoped_lock lock{mutex_};
    return heard_;
  }
  [[nodiscard]] int streams() const { return streams_; }

 private:
  void Follow(const std::stop_token& stop, Instance& instance, const std::string& token) {
    try {
      EventSource source{instance.Address(),
                         "/events/stream?type=task.created",
                         {{"Authorization", "Bearer " + token}, {"Last-Event-ID", last_}}};
      ++streams_;
      while (!stop.stop_requested()) {
        const auto event = source.Next(100ms);
        if (!event && source.ended()) return;
        if (!event) continue;
        if (event->type == "gap") continue;  // the first number drawn is not the first kept
        last_ = event->id;
        std::scoped_lock lock{mutex_};
        heard_.emplace_back(event->data.at("sequence"), event->data.at("data").at("title"));
      }
    } catch (const std::exception&) {
      std::this_thread::yield();
    }
  }

  std::string last_ = "0";
  std::mutex mutex_;
  std::vector<std::pair<std::int64_t, std::string>> heard_;
  std::atomic<int> streams_ = 0;
  std::jthread thread_;  // last: it uses the others
};

bool Answers(const std::string& url) {
  try {
    return db::Connection{{.url = url}}.Ping();
  } catch (const Error&) {
    return false;
  }
}

std::int64_t EventsWanted() {
  const char* const text = std::getenv("GATHERING_EVENTS");
  return text == nullptr ? 4'000 : std::strtoll(text, nullptr, 10);
}

}  // namespace

TEST_CASE("streams of two daemons tell all that happened, once and in order, whoever is killed") {
  const SystemClock clock;
  const TemporaryDirectory directory;
  const db::EmbeddedPostgres postgres{{.data_dir = directory.path(), .binaries_dir = "", .run_as = ""},
                                      db::EmbeddedPostgres::Sharing::kOwnerOnly,
                                      clock};
  db::Migrator{{.url = postgres.url()}, clock}.Up();
  Instance one{postgres.url()};
  Instance other{postgres.url()};
  const std::string token = one.Token();
  HttpClient admin = one.Admin();
  std::vector<std::string> circles;
  for (int i = 0; i < 6; ++i) {
    circles.push_back("circle-" + std::to_string(i));
    REQUIRE(admin.Post("/circles", json{{"name", circles.back()}}).status == 201);
    REQUIRE(admin.Post("/circles/" + circles.back() + "/start").status == 200);
  }

  const std::int64_t wanted = EventsWanted();
  std::atomic<std::int64_t> left = wanted;
  Follower here{one, token};
  Follower there{other, token};
  std::vector<std::unique_ptr<Writer>> writers;
  for (std::size_t i = 0; i < circles.size(); ++i)
    writers.push_back(std::make_unique<Writer>(i % 2 == 0 ? one : other, circles[i], token, left));
  const auto written = [&] {
    std::int64_t sum = 0;
    for (const auto& writer : writers) sum += writer->count();
    return sum;
  };
  const auto reach = [&](std::int64_t count) {
    Await([&] { return written() >= count; }, [&] { return "only " + std::to_string(written()); });
  };
  reach(wanted / 5);
  one.Kill();
  one.Start();
  reach(wanted * 2 / 5);
  const std::int64_t server = postgres.Stats().server_pid;
  REQUIRE(::kill(static_cast<pid_t>(server), SIGKILL) == 0);
  Await([&] { return postgres.Stats().server_pid != server && Answers(postgres.url()); },
        [] { return "PostgreSQL does not come back"; });
  reach(wanted * 3 / 5);
  other.Kill();
  other.Start();

  std::vector<std::string> acknowledged;
  for (const auto& writer : writers) {
    const auto mine = writer->Acknowledged();
    acknowledged.insert(acknowledged.end(), mine.begin(), mine.end());
  }
  db::Connection connection{{.url = postgres.url()}};
  const db::Rows rows = connection.Execute(
      "SELECT data->>'title' AS title FROM events WHERE type = 'task.created' ORDER BY sequence");
  std::vector<std::string> log;
  for (std::size_t i = 0; i < rows.size(); ++i) log.push_back(rows.As<std::string>(i));
  const auto tasks = connection.Execute("SELECT count(*) AS tasks FROM tasks").As<std::int64_t>(0);
  CHECK(static_cast<std::int64_t>(log.size()) == tasks);  // an event for each task, a task for each event
  const std::set<std::string> told{log.begin(), log.end()};
  CHECK(told.size() == log.size());
  std::size_t lost = 0;
  for (const std::string& title : acknowledged) lost += told.contains(title) ? 0 : 1;
  CHECK(lost == 0);

  // The counts' consumer died with whoever it was in, at any moment.
  std::int64_t counted = 0;
  HttpClient after = other.Admin();
  Await(
      [&] {
        const json counts = after.Get("/events/counts?type=task.created").Json().at("counts");
        counted = 0;
        for (const json& day : counts) counted += day.at("events").get<std::int64_t>();
        return counted >= tasks;
      },
      [&] { return std::to_string(counted) + " of " + std::to_string(tasks) + " counted"; });
  CHECK(counted == tasks);

  for (Follower* const follower : {&here, &there}) {
    Await([&] { return follower->size() >= log.size(); },
          [&] { return std::to_string(follower->size()) + " of " + std::to_string(log.size()) + " heard"; });
    const auto heard = follower->heard();
    std::vector<std::string> titles;
    for (const auto& [sequence, title] : heard) titles.push_back(title);
    CHECK(titles == log);
    CHECK(std::ranges::is_sorted(heard));
    CHECK(follower->streams() > 1);  // it was cut off, and came back
  }
  WARN(log.size() << " events, " << acknowledged.size() << " acknowledged; streams " << here.streams()
                  << " and " << there.streams());
}

}  // namespace gathering::test
