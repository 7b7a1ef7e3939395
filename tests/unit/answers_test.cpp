// What the daemon remembers of its answers, and when it must not.
#include <catch2/catch.hpp>

#include <stdexcept>

#include "core/config/config.h"
#include "core/events/log.h"
#include "daemon/answers/answers.h"
#include "daemon/api/table.h"
#include "daemon/http/etag.h"
#include "daemon/http/remembered.h"
#include "tests/support/manual_clock.h"

namespace gathering {
namespace {

using namespace std::chrono_literals;
using events::Change;
using events::Subject;
using Kind = Answers::Kind;

constexpr std::chrono::milliseconds kLease{500};

struct World {
  test::ManualClock clock;
  CachesConfig config;
  Answers answers{config, clock, kLease};
  int loads = 0;

  // An answer of the same moment might be older.
  void Current() {
    answers.OnCurrent(clock.Now());
    clock.Advance(1us);
  }
  std::string Ask(Kind kind, std::string_view key) {
    return answers.Get(kind, key, [&] { return Answer::Of(std::to_string(++loads)); })->body;
  }
};

// The routes of the API that change something, with what each path parameter is called.
std::vector<const http::Route*> Writes() {
  std::vector<const http::Route*> writes;
  for (const auto& table : http::RouteTables()) {
    for (const http::Route& route : table) {
      if (route.method != http::Method::kGet) writes.push_back(&route);
    }
  }
  return writes;
}

}  // namespace

TEST_CASE("answers are remembered only while the log is being followed", "[answers]") {
  World world;
  CHECK(world.Ask(Kind::kAgents, "7") == "1");
  CHECK(world.Ask(Kind::kAgents, "7") == "2");
  CHECK(world.answers.bypassed() == 2);

  world.Current();
  CHECK(world.Ask(Kind::kAgents, "7") == "3");
  CHECK(world.Ask(Kind::kAgents, "7") == "3");

  world.clock.Advance(kLease);
  CHECK(world.Ask(Kind::kAgents, "7") == "4");  // nobody has said for too long that nothing changed
  world.Current();
  CHECK(world.Ask(Kind::kAgents, "7") == "4");  // nothing older than what was said meanwhile
}

TEST_CASE("when changes may have been missed everything is forgotten", "[answers]") {
  World world;
  world.Current();
  CHECK(world.Ask(Kind::kCircles, "crew") == "1");
  world.answers.OnLost();
  CHECK(world.Ask(Kind::kCircles, "crew") == "2");
  world.Current();
  CHECK(world.Ask(Kind::kCircles, "crew") == "3");
  CHECK(world.Ask(Kind::kCircles, "crew") == "3");
}

TEST_CASE("an answer asked for before the loss and given after it is not kept", "[answers]") {
  World world;
  world.Current();
  const auto answer = world.answers.Get(Kind::kCircles, "crew", [&] {
    world.answers.OnLost();
    world.clock.Advance(1ms);
    world.Current();
    return Answer::Of("old");
  });
  CHECK(answer->body == "old");
  CHECK(world.Ask(Kind::kCircles, "crew") == "1");
}

TEST_CASE("a change makes forgotten what it is about and nothing else", "[answers]") {
  World world;
  world.Current();
  const auto all = [&] {
    return std::vector{world.Ask(Kind::kAgents, "7"),     world.Ask(Kind::kAgents, "8"),
                       world.Ask(Kind::kSessions, "7"),   world.Ask(Kind::kCircles, "crew"),
                       world.Ask(Kind::kCircles, "team"), world.Ask(Kind::kPersonas, "1"),
                       world.Ask(Kind::kProviders, "1"),  world.Ask(Kind::kModels, "1")};
  };
  CHECK(all() == std::vector<std::string>{"1", "2", "3", "4", "5", "6", "7", "8"});
  world.clock.Advance(1ms);
  world.answers.OnChange({.subject = Subject::kAgent, .key = "7"});
  world.clock.Advance(1ms);
  CHECK(all() == std::vector<std::string>{"9", "2", "10", "4", "5", "6", "7", "8"});
  world.answers.OnChange({.subject = Subject::kCircle, .key = "crew"});
  world.clock.Advance(1ms);
  CHECK(all() == std::vector<std::string>{"9", "2", "10", "11", "5", "6", "7", "8"});
  world.answers.OnChange({.subject = Subject::kCircle, .key = {}});  // whichever
  world.clock.Advance(1ms);
  CHECK(all() == std::vector<std::string>{"9", "2", "10", "12", "13", "6", "7", "8"});
  world.answers.OnChange({.subject = Subject::kCatalog});
  world.clock.Advance(1ms);
  CHECK(all() == std::vector<std::string>{"9", "2", "10", "12", "13", "14", "15", "16"});
}

TEST_CASE("an answer that depends on the time is asked for anew when its words are over", "[answers]") {
  World world;
  const auto ask = [&] {
    return world.answers
        .Get(Kind::kSessions, "7",
             [&] {
               Answer answer = Answer::Of(std::to_string(++world.loads));
               answer.holds_for = 30s;
               return answer;
             })
        ->body;
  };
  world.Current();
  CHECK(ask() == "1");
  world.clock.Advance(30s - 1ms);
  world.Current();
  CHECK(ask() == "1");
  world.clock.Advance(1ms);
  world.Current();
  CHECK(ask() == "2");
}

TEST_CASE("that there is no such thing is not remembered", "[answers]") {
  World world;
  world.Current();
  const auto ask = [&] {
    return world.answers.Get(Kind::kAgents, "7", [&] {
      ++world.loads;
      return Answer{.body = {}, .etag = {}, .holds_for = {}, .refusal = std::make_exception_ptr(1)};
    });
  };
  CHECK(ask()->refusal != nullptr);
  CHECK(ask()->refusal != nullptr);
  CHECK(world.loads == 2);
}

TEST_CASE("equal answers have equal tags, on every daemon", "[answers]") {
  const Answer answer = Answer::Of("{}");
  CHECK(answer.etag == "\"44136fa355b3678a1146ad16f7e8649e\"");  // of SHA-256
  CHECK(Answer::Of("{ }").etag != answer.etag);
}

TEST_CASE("If-None-Match names an answer strongly, weakly, in a list, or all", "[answers]") {
  const std::string tag = Answer::Of("{}").etag;
  const auto has = [&](std::vector<std::string> values) {
    http::Request request;
    for (const std::string& value : values) request.headers.push_back({"if-none-match", value});
    return http::HasAlready(request, tag);
  };
  CHECK(has({tag}));
  CHECK(has({"W/" + tag}));
  CHECK(has({"\"x\", " + tag + ",\"y\""}));
  CHECK(has({"\"x\"", tag}));
  CHECK(has({" * "}));
  CHECK_FALSE(has({}));
  CHECK_FALSE(has({"\"x\""}));
  CHECK_FALSE(has({tag.substr(1, tag.size() - 2)}));  // without quotes it is no tag
}

TEST_CASE("every request that changes an agent, a circle or the catalogue says so", "[answers]") {
  const schema::Pairs parameters = {{"agent_id", "007"}, {"name", "crew"},  {"task_id", "1"},
                                    {"persona_id", "1"}, {"model_id", "1"}, {"provider_id", "1"},
                                    {"skill_name", "x"}};
  for (const http::Route* const route : Writes()) {
    INFO(route->id);
    const auto change = http::ChangedBy(*route, parameters);
    const std::string_view noun = route->id.substr(0, route->id.find('.'));
    const bool deletes = route->id == "agents.delete" || route->id == "circles.delete" ||
                         route->id == "personas.delete" || route->id == "models.delete" ||
                         route->id == "providers.delete";
    if (deletes) {
      CHECK(change == Change{.subject = Subject::kAll});
    } else if (noun == "agents" && route->id != "agents.create") {
      CHECK(change == Change{.subject = Subject::kAgent, .key = "7"});
    } else if (noun == "circles" && route->id != "circles.create") {
      CHECK(change == Change{.subject = Subject::kCircle, .key = "crew"});
    } else if (noun == "personas" || noun == "models" || noun == "providers") {
      CHECK(change == Change{.subject = Subject::kCatalog});
    } else {
      CHECK(noun != "agents_db");
      CHECK(noun != "dashboard");
    }
  }
}

TEST_CASE("what the database says of a change is read, and what cannot be read means everything",
          "[answers]") {
  using events::ToChange;
  CHECK(ToChange("agent 7") == Change{.subject = Subject::kAgent, .key = "7"});
  CHECK(ToChange("circle the big crew") == Change{.subject = Subject::kCircle, .key = "the big crew"});
  CHECK(ToChange("catalog") == Change{.subject = Subject::kCatalog});
  for (const char* text : {"all", "", "something new", "agents 7"}) {
    CHECK(ToChange(text) == Change{.subject = Subject::kAll});
  }
}

TEST_CASE("an event of a circle says which, or means all of them", "[answers]") {
  events::Record event;
  CHECK(events::ChangeOf(event) == std::nullopt);
  event.circle_id = 3;
  event.data.text = R"({"circle": "crew", "task_id": 1})";
  CHECK(events::ChangeOf(event) == Change{.subject = Subject::kCircle, .key = "crew"});
  for (const char* data : {"{}", "null", "[]", R"({"circle": 3})", "broken"}) {
    event.data.text = data;
    CHECK(events::ChangeOf(event) == Change{.subject = Subject::kCircle});
  }
}

}  // namespace gathering
