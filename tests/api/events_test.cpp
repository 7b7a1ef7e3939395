// /events and /events/stream, as a browser and an operator meet them.
#include <signal.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "core/db/connection.h"
#include "tests/support/daemon.h"
#include "tests/support/event_source.h"
#include "tests/support/eventually.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

Headers Bearing(const std::string& token) {
  return {{"Authorization", "Bearer " + token}};
}

// A daemon on a database of its own, an administrator and a token.
struct Scene {
  explicit Scene(std::map<std::string, std::string> environment = {})
      : daemon({.database_url = database.url(), .environment = std::move(environment)}),
        admin(daemon.Admin()),
        token(daemon.AdminToken()) {}

  EventSource Open(const std::string& query = "", const std::string& last_event_id = "") {
    Headers headers = Bearing(token);
    if (!last_event_id.empty()) headers.emplace_back("Last-Event-ID", last_event_id);
    return EventSource{daemon.address(), "/events/stream" + query, headers};
  }
  void Make(const std::string& circle) {
    REQUIRE(admin.Post("/circles", json{{"name", circle}}).status == 201);
  }
  json Report() { return admin.Get("/health/events").Json(); }
  // Until the daemon has read of the log what there is.
  void Settle() {
    const auto newest = admin.Get("/events?limit=1").Json().at("events").at(0).at("sequence");
    Await([&] { return Report().at("log").at("position") >= newest; });
  }

  FreshDatabase database;
  RunningDaemon daemon;
  HttpClient admin;
  std::string token;
};

std::vector<std::string> Circles(EventSource& source, std::size_t count) {
  std::vector<std::string> names;
  while (names.size() < count) {
    const auto event = source.Next();
    if (!event) FAIL("the stream ended after " << names.size() << " events");
    names.push_back(event->data.at("data").at("circle"));
  }
  return names;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("what happened is listed, by type, circle and agent, page by page") {
  Scene here;
  here.Make("one");
  here.Make("two");
  REQUIRE(here.admin.Post("/circles/two/start").status == 200);
  const json all = here.admin.Get("/events").Json();
  REQUIRE(all.at("events").size() == 3);
  const json& newest = all.at("events").at(0);
  CHECK(newest.at("type") == "circle.started");
  CHECK(newest.at("data") == json{{"circle", "two"}});
  CHECK(newest.at("sequence").is_number_integer());
  CHECK(newest.at("event_id").get<std::string>().size() == 36);
  CHECK(newest.at("circle_id").is_number_integer());
  CHECK(newest.at("source_agent_id").is_null());
  CHECK(all.at("next_before").is_null());
  CHECK(here.admin.Get("/events?type=circle.c*").Json().at("events").size() == 2);
  CHECK(here.admin.Get("/events?type=task.*&type=circle.started").Json().at("events").size() == 1);
  CHECK(here.admin.Get("/events?circle=two").Json().at("events").size() == 2);
  CHECK(here.admin.Get("/events?agent=5").Json().at("events").empty());
  CHECK(here.admin.Get("/events?circle=nobody").status == 404);
  CHECK(here.admin.Get("/events?limit=0").status == 422);

  const json page = here.admin.Get("/events?limit=2").Json();
  CHECK(page.at("events").size() == 2);
  const auto before = std::to_string(page.at("next_before").get<std::int64_t>());
  const json rest = here.admin.Get("/events?limit=2&before=" + before).Json();
  CHECK(rest.at("events").size() == 1);
  CHECK(rest.at("next_before").is_null());
  CHECK(here.daemon.Client().Get("/events").status == 401);
}

TEST_CASE("how often what happened is counted by day, and the consumer that counts is visible") {
  Scene here;
  here.Make("one");
  here.Make("two");
  REQUIRE(here.admin.Post("/circles/two/start").status == 200);
  const auto counted = [&](const std::string& query) {
    std::int64_t sum = 0;
    const json counts = here.admin.Get("/events/counts" + query).Json().at("counts");
    for (const json& day : counts) sum += day.at("events").get<std::int64_t>();
    return sum;
  };
  Await([&] { return counted("") >= 3; });
  CHECK(counted("?type=circle.created") == 2);
  CHECK(counted("?circle=two") == 2);
  CHECK(counted("?from=2020-01-01&to=2020-12-31") == 0);
  const json day = here.admin.Get("/events/counts?type=circle.started").Json().at("counts").at(0);
  CHECK(day.at("type") == "circle.started");
  CHECK(day.at("events") == 1);
  CHECK(day.at("day").get<std::string>().size() == 10);
  CHECK(here.admin.Get("/events/counts?from=2020-01-01").status == 400);
  CHECK(here.admin.Get("/events/counts?from=2020-02-30").status == 422);
  CHECK(here.admin.Get("/events/counts?circle=nobody").status == 404);
  CHECK(here.daemon.Client().Get("/events/counts").status == 401);
  const json consumer = here.Report().at("consumers").at(0);
  CHECK(consumer.at("name") == "counts");
  CHECK(consumer.at("taken") == 3);
  CHECK(consumer.at("failures") == 0);
}

TEST_CASE("an open stream hears of what happens, on this instance and on another") {
  Scene here;
  const RunningDaemon other{{.database_url = here.database.url()}};
  HttpClient there = other.Admin();
  EventSource source = here.Open();
  CHECK(source.status() == 200);
  CHECK(source.head().find("Content-Type: text/event-stream") != std::string::npos);
  CHECK(source.head().find("Connection: close") != std::string::npos);
  CHECK(source.head().find("Content-Length") == std::string::npos);
  here.Make("ours");
  const auto event = source.Next();
  REQUIRE(event);
  CHECK(event->type == "circle.created");
  CHECK(event->id == std::to_string(event->data.at("sequence").get<std::int64_t>()));
  CHECK(event->data.at("data").at("circle") == "ours");
  REQUIRE(there.Post("/circles", json{{"name", "theirs"}}).status == 201);
  CHECK(Circles(source, 1) == Texts{"theirs"});
}

TEST_CASE("nothing is missed by who listens as soon as a daemon starts") {
  FreshDatabase database;
  const RunningDaemon first{{.database_url = database.url()}};
  HttpClient admin = first.Admin();
  int made = 0;
  for (int round = 0; round < 5; ++round) {
    const RunningDaemon second{{.database_url = database.url()}};
    EventSource source{second.address(), "/events/stream", Bearing(first.AdminToken())};
    REQUIRE(source.status() == 200);
    const std::string name = "c" + std::to_string(++made);
    REQUIRE(admin.Post("/circles", json{{"name", name}}).status == 201);
    CHECK(Circles(source, 1) == Texts{name});
  }
}

TEST_CASE("a daemon whose log cannot be read yet says so, and starts all the same") {
  FreshDatabase database;
  db::Connection holder{{.url = database.url()}};
  holder.Script("BEGIN; SELECT pg_current_xact_id()");
  const RunningDaemon daemon{{.database_url = database.url()}};
  const auto status = [&, token = daemon.AdminToken()] {
    return EventSource{daemon.address(), "/events/stream", Bearing(token)}.status();
  };
  CHECK(status() == 503);
  holder.Script("COMMIT");
  Await([&] { return status() == 200; });
}

TEST_CASE("a stream has only what was asked for") {
  Scene here;
  here.Make("one");
  here.Make("two");
  EventSource source = here.Open("?type=circle.st*&circle=two");
  REQUIRE(here.admin.Post("/circles/one/start").status == 200);
  here.Make("three");
  REQUIRE(here.admin.Post("/circles/two/start").status == 200);
  REQUIRE(here.admin.Post("/circles/two/stop").status == 200);
  CHECK(source.Next()->type == "circle.started");
  CHECK(source.Next()->type == "circle.stopped");
  CHECK(here.Open("?circle=nobody").status() == 404);
}

TEST_CASE("who comes back goes on where it was, without a gap and without anything twice") {
  Scene here{{{"GATHERING_STREAMS_CATCH_UP_MAX", "7"}}};
  std::string last;
  {
    EventSource source = here.Open();
    here.Make("seen");
    last = source.Next()->id;
  }
  Texts made;
  for (int i = 0; i < 20; ++i) {
    made.push_back("missed-" + std::to_string(i));
    here.Make(made.back());
  }
  here.Settle();
  // Seven at a time, then the stream ends for the client to come again.
  Texts heard;
  std::size_t streams = 0;
  while (heard.size() < made.size()) {
    EventSource source = here.Open("", last);
    REQUIRE(++streams <= 4);
    for (int i = 0; i < 7 && heard.size() < made.size(); ++i) {
      const auto event = source.Next();
      REQUIRE(event);
      heard.push_back(event->data.at("data").at("circle"));
      last = event->id;
    }
    if (heard.size() < made.size()) CHECK(source.Ends());
    if (heard.size() == made.size()) {
      here.Make("live");
      CHECK(Circles(source, 1) == Texts{"live"});
    }
  }
  CHECK(heard == made);
  CHECK(streams == 3);
  CHECK(here.Open("", "what").status() == 400);
  CHECK(here.Open("?last_event_id=" + last).status() == 200);
}

TEST_CASE("who comes back for a few things is not kept from them by many others") {
  Scene here{{{"GATHERING_STREAMS_CATCH_UP_MAX", "5"}}};
  std::string last;
  {
    EventSource source = here.Open();
    here.Make("seen");
    last = source.Next()->id;
  }
  for (int i = 0; i < 20; ++i) here.Make("other-" + std::to_string(i));
  REQUIRE(here.admin.Post("/circles/other-3/start").status == 200);
  EventSource source = here.Open("?type=circle.started", last);
  CHECK(Circles(source, 1) == Texts{"other-3"});
  REQUIRE(here.admin.Post("/circles/other-4/start").status == 200);
  CHECK(Circles(source, 1) == Texts{"other-4"});
  EventSource of_circle = here.Open("?circle=other-19", last);
  CHECK(Circles(of_circle, 1) == Texts{"other-19"});
}

TEST_CASE("a client whose place is not in the log any more is told of the gap") {
  Scene here;
  here.Make("old");
  here.Make("new");
  db::Connection connection{{.url = here.database.url()}};
  connection.Script("DELETE FROM events WHERE data->>'circle' = 'old'");
  EventSource source = here.Open("", "0");
  const auto gap = source.Next();
  REQUIRE(gap);
  CHECK(gap->type == "gap");
  CHECK(gap->id.empty());
  CHECK(gap->data.at("after") == 0);
  CHECK(Circles(source, 1) == Texts{"new"});
}

TEST_CASE("a place this instance has not reached yet is no gap, one nobody was ever given is") {
  Scene here;
  here.Make("old");
  db::Connection connection{{.url = here.database.url()}};
  const auto drawn = connection.Execute("SELECT nextval('events_sequence') AS drawn").As<std::int64_t>(0);
  EventSource ahead = here.Open("", std::to_string(drawn));
  EventSource lost = here.Open("", std::to_string(drawn + 1'000));
  here.Make("new");
  CHECK(Circles(ahead, 1) == Texts{"new"});
  const auto gap = lost.Next();
  REQUIRE(gap);
  CHECK(gap->type == "gap");
  CHECK(gap->data == json{{"after", drawn + 1'000}, {"before", drawn}});
  CHECK(Circles(lost, 1) == Texts{"new"});
}

TEST_CASE("while circles are made without pause, streams that come and go miss nothing") {
  Scene here;
  EventSource whole = here.Open();
  here.Make("begin");
  const std::string begin = whole.Next()->id;
  std::jthread maker{[&] {
    for (int i = 0; i < 300; ++i) here.Make("c" + std::to_string(i));
  }};
  std::string last = begin;
  Texts heard;
  while (heard.size() < 300) {
    EventSource source = here.Open("", last);
    for (int i = 0; i < 17 && heard.size() < 300; ++i) {
      const auto event = source.Next();
      if (!event) break;
      heard.push_back(event->data.at("data").at("circle"));
      last = event->id;
    }
  }
  maker.join();
  Texts made;
  for (int i = 0; i < 300; ++i) made.push_back("c" + std::to_string(i));
  CHECK(heard == made);
  CHECK(Circles(whole, 300) == made);
}

TEST_CASE("a stream needs a token, in the header or the query, and ends with it") {
  Scene here;
  CHECK(EventSource{here.daemon.address(), "/events/stream"}.status() == 401);
  CHECK(EventSource{here.daemon.address(), "/events/stream?token=wrong"}.status() == 401);
  EventSource by_query{here.daemon.address(), "/events/stream?token=" + here.token};
  EventSource by_header = here.Open();
  const std::string other_token = here.daemon.AdminToken();
  EventSource other{here.daemon.address(), "/events/stream", Bearing(other_token)};
  REQUIRE(by_query.status() == 200);
  HttpClient leaving = here.daemon.Client();
  leaving.Use(here.token);
  REQUIRE(leaving.Post("/auth/logout").status == 200);
  CHECK(by_query.Ends());
  CHECK(by_header.Ends());
  here.Make("later");
  const auto event = other.Next();
  REQUIRE(event);
  CHECK(event->data.at("data").at("circle") == "later");  // and nothing of the token that was revoked
  CHECK(here.admin.Get("/events?type=token.*").Json().at("events").empty());
}

TEST_CASE("a stream ends when its token's time is over, and shows signs of life until then") {
  Scene here{{{"GATHERING_AUTH_TOKEN_LIFETIME", "2s"}, {"GATHERING_STREAMS_HEARTBEAT", "100ms"}}};
  EventSource source = here.Open();
  REQUIRE(source.status() == 200);
  CHECK(source.Ends());
  CHECK(source.comments() >= 3);
}

TEST_CASE("HEAD of a stream is its head alone, and the connection can be used again") {
  Scene here;
  RawClient raw{here.daemon.address()};
  raw.Send("HEAD /events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + here.token + "\r\n\r\n");
  const auto answer = raw.Receive(Ask::kHead);
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(raw.IsClosed());
}

TEST_CASE("a client that does not read is cut off, and others hear everything") {
  Scene here{{{"GATHERING_STREAMS_BUFFER_BYTES_MAX", "4096"}}};
  EventSource slow = here.Open();
  slow.raw().SetReceiveBuffer(4'096);
  EventSource good = here.Open();
  REQUIRE(here.Report().at("streams").at("open") == 2);
  db::Connection connection{{.url = here.database.url()}};
  std::size_t sent = 0;
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (here.Report().at("streams").at("open") == 2) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    connection.Script(
        "INSERT INTO events (type, data) SELECT 'circle.created', jsonb_build_object('circle', repeat('x', "
        "4000)) "
        "FROM (SELECT pg_current_xact_id() AS id) me, generate_series(1, 100) WHERE me.id IS NOT NULL");
    sent += 100;
    for (int i = 0; i < 100; ++i) REQUIRE(good.Next());
  }
  CHECK(sent > 0);
  CHECK(here.Report().at("streams").at("open") == 1);
}

TEST_CASE("a daemon that stops ends its streams and exits without waiting for them") {
  Scene here;
  EventSource source = here.Open();
  here.daemon.Signal(SIGTERM);
  CHECK(source.Ends());
  CHECK(here.daemon.Wait(10s) == 0);
}

}  // namespace gathering::test
