// What is counted of each route's answers.
#include <catch2/catch.hpp>

#include <numeric>
#include <thread>

#include "daemon/http/route_statistics.h"

namespace gathering::http {
namespace {

using namespace std::chrono_literals;

Document Nothing(Call&) {
  return {};
}

constexpr Route kRows[] = {
    {"a.get", Method::kGet, "/a", Authority::kPublic, Tier::kNone, kNoStatements, Handle<&Nothing>, "A."},
    {"b.get", Method::kGet, "/b", Authority::kPublic, Tier::kNone, kNoStatements, Handle<&Nothing>, "B."},
};
constexpr std::span<const Route> kTables[] = {kRows};

std::uint64_t Sum(const auto& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

}  // namespace

TEST_CASE("a route's answers are told apart by status, and what reached no route comes last", "[routes]") {
  RouteStatistics statistics{kTables};
  CHECK(statistics.ReadAnswers().empty());
  statistics.NoteAnswer(&kRows[1], 200, 1ms);
  statistics.NoteAnswer(&kRows[1], 299, 2ms);
  statistics.NoteAnswer(&kRows[1], 503, 3ms);
  statistics.NoteAnswer(&kRows[1], 101, 4ms);
  statistics.NoteAnswer(nullptr, 404, 5ms);
  const auto all = statistics.ReadAnswers();
  REQUIRE(all.size() == 2);
  CHECK(all[0].route == &kRows[1]);
  CHECK(all[0].by_status == std::array<std::uint64_t, kStatusClasses>{1, 2, 0, 0, 1});
  CHECK(all[0].duration == 10ms);
  CHECK(all[1].route == nullptr);
  CHECK(all[1].by_status == std::array<std::uint64_t, kStatusClasses>{0, 0, 0, 1, 0});
  CHECK(statistics.Read().empty());
}

TEST_CASE("a status that HTTP does not have counts with its neighbours", "[routes]") {
  RouteStatistics statistics{kTables};
  for (const int status : {0, -7, 99, 600, 999}) statistics.NoteAnswer(nullptr, status, 1ms);
  CHECK(statistics.ReadAnswers().at(0).by_status == std::array<std::uint64_t, kStatusClasses>{3, 0, 0, 0, 2});
}

TEST_CASE("a class of durations holds its bound and what is between it and the one before", "[routes]") {
  RouteStatistics statistics{kTables};
  for (const std::int64_t bound : kDurationBoundsMicros) {
    statistics.NoteAnswer(&kRows[0], 200, std::chrono::microseconds{bound});
    statistics.NoteAnswer(&kRows[0], 200, std::chrono::microseconds{bound} - 1ns);
    statistics.NoteAnswer(&kRows[0], 200, std::chrono::microseconds{bound} + 1ns);
  }
  statistics.NoteAnswer(&kRows[0], 200, 0ns);
  std::array<std::uint64_t, kDurationClasses> expected;
  expected.fill(3);
  expected.back() = 1;
  CHECK(statistics.ReadAnswers().at(0).by_duration == expected);
}

TEST_CASE("a clock that goes back adds nothing to the durations", "[routes]") {
  RouteStatistics statistics{kTables};
  statistics.NoteAnswer(&kRows[0], 200, -1s);
  const RouteAnswers answers = statistics.ReadAnswers().at(0);
  CHECK(answers.duration == 0ns);
  CHECK(answers.by_duration.front() == 1);
}

TEST_CASE("many threads count together without losing an answer", "[routes]") {
  constexpr int kThreads = 20;  // more than there are rows
  constexpr std::uint64_t kEach = 2'000;
  RouteStatistics statistics{kTables};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (std::uint64_t n = 0; n < kEach; ++n) statistics.NoteAnswer(&kRows[n % 2], 204, 3us);
      });
    }
  }
  const auto all = statistics.ReadAnswers();
  REQUIRE(all.size() == 2);
  for (const RouteAnswers& answers : all) {
    CHECK(Sum(answers.by_status) == kThreads * kEach / 2);
    CHECK(Sum(answers.by_duration) == kThreads * kEach / 2);
    CHECK(answers.duration == kThreads * kEach / 2 * 3us);
  }
}

}  // namespace gathering::http
