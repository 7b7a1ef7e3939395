#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/events/deduplicator.h"
#include "core/events/event.h"
#include "core/events/history.h"
#include "core/events/log.h"
#include "daemon/streams/sse.h"
#include "tests/support/manual_clock.h"

namespace gathering::events {
namespace {

using namespace std::chrono_literals;
using test::ManualClock;

EventPointer Make(EventType type, std::optional<std::int64_t> agent = {},
                  std::optional<std::int64_t> circle = {}, std::string data = "{}") {
  return std::make_shared<const Event>(
      Event{.type = type, .data = {.text = std::move(data)}, .source_agent_id = agent, .circle_id = circle});
}

}  // namespace

TEST_CASE("a key comes through once a window, and what was suppressed does not lengthen it", "[events]") {
  ManualClock clock;
  Deduplicator keys{{.window = 1s}};
  CHECK(keys.Admit("a", clock.Now()));
  CHECK_FALSE(keys.Admit("a", clock.Now()));
  CHECK(keys.Admit("b", clock.Now()));
  clock.Advance(999'999us);
  CHECK_FALSE(keys.Admit("a", clock.Now()));
  clock.Advance(1us);
  CHECK(keys.Admit("a", clock.Now()));
  CHECK_FALSE(keys.Admit("a", clock.Now()));
  CHECK(keys.Stats().admitted == 3);
  CHECK(keys.Stats().suppressed == 3);
  CHECK(keys.Stats().forgotten == 0);
  CHECK(keys.Stats().entries == 1);  // b's time is over as well
}

TEST_CASE("different keys never pass for the same, however many share a place", "[events]") {
  ManualClock clock;
  Deduplicator keys{{.window = 1h, .entries_max = 50'000}};
  for (int i = 0; i < 50'000; ++i) REQUIRE(keys.Admit(std::to_string(i), clock.Now()));
  for (int i = 0; i < 50'000; ++i) REQUIRE_FALSE(keys.Admit(std::to_string(i), clock.Now()));
  CHECK(keys.Admit(std::string_view{"1\0", 2}, clock.Now()));
  CHECK(keys.Admit("", clock.Now()));
}

TEST_CASE("beyond their bound the oldest key is forgotten, and counted", "[events]") {
  ManualClock clock;
  Deduplicator keys{{.window = 1h, .entries_max = 3}};
  for (const char* key : {"a", "b", "c", "d"}) CHECK(keys.Admit(key, clock.Now()));
  CHECK(keys.Stats().entries == 3);
  CHECK(keys.Stats().forgotten == 1);
  CHECK_FALSE(keys.Admit("d", clock.Now()));
  CHECK_FALSE(keys.Admit("b", clock.Now()));
  CHECK(keys.Admit("a", clock.Now()));
  CHECK(keys.Admit("b", clock.Now()));
  CHECK(keys.Stats().entries == 3);
}

TEST_CASE("a key that is given back comes through again, and its place is not counted as lost", "[events]") {
  ManualClock clock;
  Deduplicator keys{{.window = 1h, .entries_max = 2}};
  CHECK(keys.Admit("a", clock.Now()));
  keys.Forget("a");
  keys.Forget("never seen");
  CHECK(keys.Stats().entries == 0);
  CHECK(keys.Admit("a", clock.Now()));
  CHECK_FALSE(keys.Admit("a", clock.Now()));
  CHECK(keys.Admit("b", clock.Now()));
  CHECK(keys.Stats().forgotten == 0);
  CHECK(keys.Stats().entries == 2);
}

TEST_CASE("of many threads with one key one is let through", "[events]") {
  ManualClock clock;
  Deduplicator keys{{.window = 1h, .entries_max = 64}};
  constexpr int kKeys = 2'000;
  std::atomic<int> admitted = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kKeys; ++i) admitted += keys.Admit(std::to_string(i % 32), clock.Now()) ? 1 : 0;
      });
    }
  }
  CHECK(admitted == 32);
  CHECK(keys.Stats().suppressed == 4 * kKeys - 32);
}

TEST_CASE("events are the same only when type, source, circle, project and words are", "[events]") {
  const Event plain{.type = EventType::kTaskCreated, .source_agent_id = 1, .circle_id = 2};
  std::set<std::string> keys;
  const auto add = [&](const Event& event, std::string_view words) {
    CHECK(keys.insert(SamenessOf(event, words)).second);
  };
  add(plain, "task=1");
  add(plain, "task=2");
  add(plain, "");
  for (const auto change :
       {+[](Event& e) { e.type = EventType::kTaskFailed; }, +[](Event& e) { e.source_agent_id = 2; },
        +[](Event& e) { e.source_agent_id = {}; }, +[](Event& e) { e.source_agent_id = 0; },
        +[](Event& e) { e.circle_id = 1; }, +[](Event& e) { e.project_id = 2; },
        +[](Event& e) { e.project_id = -1; }}) {
    Event other = plain;
    change(other);
    add(other, "task=1");
  }
  Event later = plain;
  later.id = {.low = 1};
  later.time = {5};
  later.data.text = R"({"task":1})";
  CHECK(SamenessOf(later, "task=1") == SamenessOf(plain, "task=1"));
}

TEST_CASE("a history shows the latest first, by type, agent and circle", "[events]") {
  ManualClock clock;
  History history{{}};
  for (std::int64_t i = 0; i < 6; ++i)
    history.Add(Make(i % 2 == 0 ? EventType::kTaskCreated : EventType::kTaskFailed, i, i / 3), clock.Now());
  const auto agents = [&](const HistoryFilter& filter) {
    std::vector<std::int64_t> ids;
    for (const EventPointer& event : history.Find(filter, clock.Now()))
      ids.push_back(event->source_agent_id.value());
    return ids;
  };
  CHECK(agents({}) == std::vector<std::int64_t>{5, 4, 3, 2, 1, 0});
  CHECK(agents({.limit = 2}) == std::vector<std::int64_t>{5, 4});
  CHECK(agents({.types = {EventType::kTaskFailed}}) == std::vector<std::int64_t>{5, 3, 1});
  CHECK(agents({.types = {EventType::kTaskFailed, EventType::kTaskCreated}, .circle_id = 0}) ==
        std::vector<std::int64_t>{2, 1, 0});
  CHECK(agents({.source_agent_id = 4}) == std::vector<std::int64_t>{4});
  CHECK(agents({.types = {EventType::kMemoryShared}}).empty());
}

TEST_CASE("a history is bounded by number, bytes and age, and counts what leaves", "[events]") {
  ManualClock clock;
  SECTION("number") {
    History history{{.events_max = 2}};
    for (std::int64_t i = 0; i < 5; ++i) history.Add(Make(EventType::kTaskCreated, i), clock.Now());
    CHECK(history.Find({}, clock.Now()).size() == 2);
    CHECK(history.Find({}, clock.Now()).front()->source_agent_id == 4);
    CHECK(history.Stats().evicted == 3);
  }
  SECTION("bytes") {
    const std::string kilobyte(1'000, 'x');
    const EventPointer one = Make(EventType::kTaskCreated, 1, {}, kilobyte);
    History history{{.bytes_max = 3 * one->Bytes()}};
    for (int i = 0; i < 10; ++i) {
      history.Add(one, clock.Now());
      CHECK(history.Stats().bytes <= history.Stats().bytes_max);
    }
    CHECK(history.Find({}, clock.Now()).size() == 3);
    history.Add(Make(EventType::kTaskCreated, 2, {}, std::string(10'000, 'x')), clock.Now());
    CHECK(history.Stats().too_big == 1);
    CHECK(history.Find({}, clock.Now()).size() == 3);
  }
  SECTION("age") {
    History history{{.age_max = 10s}};
    history.Add(Make(EventType::kTaskCreated, 1), clock.Now());
    clock.Advance(6s);
    history.Add(Make(EventType::kTaskCreated, 2), clock.Now());
    clock.Advance(4s);
    CHECK(history.Find({}, clock.Now()).size() == 1);
    CHECK(history.Find({}, clock.Now()).front()->source_agent_id == 2);
    history.Add(Make(EventType::kTaskCreated, 3), clock.Now());
    CHECK(history.Stats().expired == 1);
    CHECK(history.Stats().events == 2);
  }
  SECTION("other bounds than it began with") {
    History history{{.events_max = 10, .age_max = 10s}};
    for (std::int64_t i = 0; i < 5; ++i) history.Add(Make(EventType::kTaskCreated, i), clock.Now());
    history.SetOptions({.events_max = 2, .age_max = 1min});
    CHECK(history.Stats().events == 2);
    CHECK(history.Stats().events_max == 2);
    CHECK(history.Stats().evicted == 3);
    clock.Advance(30s);
    CHECK(history.Find({}, clock.Now()).front()->source_agent_id == 4);
    history.SetOptions({.events_max = 2, .bytes_max = 1});
    CHECK(history.Find({}, clock.Now()).empty());
  }
}

TEST_CASE("a line end in a replayed event's type begins no field of its stream", "[events]") {
  Record record;
  record.sequence = 7;
  record.type = "a\nid: 9\r\rdata: x";
  const std::string sent = streams::ToSse(record);
  CHECK(sent.starts_with("id: 7\nevent: a id: 9  data: x\ndata: {"));
  CHECK(sent.find('\r') == std::string::npos);
}

TEST_CASE("every type of event has its name", "[events]") {
  CHECK(std::size(schema::Names<EventType>::kTexts) ==
        static_cast<std::size_t>(EventType::kTokenRevoked) + 1);
  CHECK(schema::ToText(EventType::kTaskConflictDetected) == "task.conflict.detected");
  CHECK(schema::FromText<EventType>("system.stopping") == EventType::kSystemStopping);
}

}  // namespace gathering::events
