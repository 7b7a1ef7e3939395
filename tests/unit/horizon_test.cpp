#include "core/events/horizon.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "core/events/log.h"

namespace gathering::events {

TEST_CASE("with nobody writing, what is newest is complete with the next look", "[events]") {
  Horizon horizon;
  CHECK_FALSE(horizon.settled());
  CHECK(horizon.marked() == -1);
  horizon.Note({.oldest_running = 10, .newest = 0, .id_after = 10});
  CHECK_FALSE(horizon.settled());
  CHECK(horizon.marked() == 0);
  horizon.Note({.oldest_running = 11, .newest = 0});
  CHECK(horizon.settled() == 0);
  horizon.Note({.oldest_running = 15, .newest = 5, .id_after = 15});
  CHECK(horizon.settled() == 0);
  horizon.Note({.oldest_running = 16, .newest = 5});
  CHECK(horizon.settled() == 5);
}

TEST_CASE("nothing is complete before those who might add to it are over", "[events]") {
  Horizon horizon;
  horizon.Note({.oldest_running = 10, .newest = 7, .id_after = 12});
  horizon.Note({.oldest_running = 12, .newest = 9, .id_after = 20});
  CHECK_FALSE(horizon.settled());
  horizon.Note({.oldest_running = 13, .newest = 9});
  CHECK(horizon.settled() == 7);
  horizon.Note({.oldest_running = 20, .newest = 20, .id_after = 30});
  CHECK(horizon.settled() == 7);
  horizon.Note({.oldest_running = 31, .newest = 20});
  CHECK(horizon.settled() == 20);
}

TEST_CASE("readers of any interleaving skip nothing and repeat nothing", "[events]") {
  // Transactions get an id, draw numbers, and end, in every order; a reader looks in between.
  struct Writer {
    std::vector<std::int64_t> numbers;
    bool commits = true;
  };
  std::mt19937_64 random{7};
  const auto dice = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int story = 0; story < 500; ++story) {
    std::map<std::int64_t, Writer> running;  // by id
    std::int64_t next_id = 100;
    std::int64_t latest_over = 99;
    std::int64_t drawn = 0;
    std::set<std::int64_t> visible;
    Horizon horizon;
    std::vector<std::int64_t> read;
    std::int64_t position = -1;
    // As PostgreSQL has it: those behind the latest that is over count as not begun, running or not.
    const auto look = [&] {
      LogView view{.oldest_running = latest_over + 1, .newest = visible.empty() ? 0 : *visible.rbegin()};
      if (!running.empty()) view.oldest_running = std::min(view.oldest_running, running.begin()->first);
      if (view.newest > horizon.marked()) view.id_after = latest_over = next_id++;
      horizon.Note(view);
      if (!horizon.settled()) return;
      if (position < 0) position = 0;  // from the beginning: the reader is older than the log
      for (auto one = visible.upper_bound(position); one != visible.end() && *one <= *horizon.settled();
           ++one)
        read.push_back(position = *one);
    };
    for (int step = 0; step < 200; ++step) {
      const int what = dice(10);
      if (what < 3) {
        running[next_id++].commits = dice(4) > 0;
      } else if (what < 6 && !running.empty()) {
        std::next(running.begin(), dice(static_cast<int>(running.size())))->second.numbers.push_back(++drawn);
      } else if (what < 8 && !running.empty()) {
        const auto writer = std::next(running.begin(), dice(static_cast<int>(running.size())));
        if (writer->second.commits)
          visible.insert(writer->second.numbers.begin(), writer->second.numbers.end());
        latest_over = std::max(latest_over, writer->first);
        running.erase(writer);
      } else {
        look();
      }
    }
    for (const auto& [id, writer] : running) {
      if (writer.commits) visible.insert(writer.numbers.begin(), writer.numbers.end());
    }
    running.clear();
    latest_over = next_id - 1;
    look();
    look();
    if (read != std::vector<std::int64_t>(visible.begin(), visible.end())) FAIL("story " << story);
  }
}

TEST_CASE("a pattern's stars stand for any characters, and nothing else is special", "[events]") {
  CHECK(Fits("task.*", "task.created"));
  CHECK(Fits("*", ""));
  CHECK(Fits("*.created", "task.created"));
  CHECK(Fits("t*k.*ed", "task.completed"));
  CHECK(Fits("task.created", "task.created"));
  CHECK(Fits("**", "x"));
  CHECK_FALSE(Fits("task.*", "circle.created"));
  CHECK_FALSE(Fits("task", "task.created"));
  CHECK_FALSE(Fits("", "x"));
  CHECK_FALSE(Fits("task?created", "task.created"));
  CHECK_FALSE(Fits("a*b", "ac"));
  CHECK(Fits("*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"));
  CHECK_FALSE(Fits("*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

TEST_CASE("a record of a type we do not know is no event of ours", "[events]") {
  Record record;
  record.sequence = 5;
  record.type = "task.created";
  record.data.text = "{}";
  const auto event = ToEvent(record);
  REQUIRE(event);
  CHECK(ToRecord(*event).type == "task.created");
  CHECK(ToRecord(*event).sequence == 5);
  record.type = "task.teleported";
  CHECK_FALSE(ToEvent(record));
}

}  // namespace gathering::events
