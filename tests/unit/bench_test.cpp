// The arithmetic of `gathering bench-db`: percentiles, differences, conditions.
#include <algorithm>
#include <cmath>
#include <random>

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/bench/condition.h"
#include "core/bench/histogram.h"
#include "core/bench/report.h"
#include "core/bench/statistics.h"
#include "core/schema/writer.h"

namespace gathering::test {

using namespace std::chrono_literals;
using bench::Condition;
using bench::Histogram;
using std::chrono::nanoseconds;

namespace {

std::string Refusal(std::string_view condition) {
  try {
    Condition{condition};
  } catch (const Error& error) {
    return error.message;
  }
  return {};
}

bench::Report ReportOf(std::vector<double> rates) {
  bench::Report report;
  report.settings = {.duration_ms = 2'000, .circles = 100, .members = 20, .batch = 50, .seed = 1};
  bench::Result result{.scenario = "point-read", .variant = "pool", .clients = 8, .rate = rates.front()};
  result.latency_us.p99 = 31'000;
  for (const double rate : rates) result.slices.push_back({.rate = rate, .mean_us = 1e6 / rate});
  report.results.push_back(std::move(result));
  return report;
}

std::vector<double> Drawn(std::mt19937_64& random, double mean, std::size_t count) {
  std::normal_distribution<double> draw{mean, mean / 20};
  std::vector<double> values(count);
  for (double& value : values) value = draw(random);
  return values;
}

}  // namespace

TEST_CASE("a percentile is told with an error under one in 128", "[bench]") {
  std::mt19937_64 random{7};
  std::lognormal_distribution<double> draw{11, 2};
  Histogram histogram;
  std::vector<std::int64_t> all;
  for (int i = 0; i < 20'000; ++i) {
    all.push_back(static_cast<std::int64_t>(draw(random)));
    histogram.Note(nanoseconds{all.back()});
  }
  std::sort(all.begin(), all.end());
  for (const double share : {0.001, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(all.size()))) - 1;
    const auto exact = static_cast<double>(all[rank]);
    const auto told = static_cast<double>(histogram.At(share).count());
    INFO(share);
    CHECK(told >= exact);
    CHECK(told <= exact * (1 + 1.0 / 128) + 1);
  }
  CHECK(histogram.At(1) == nanoseconds{all.back()});
  CHECK(histogram.max() == nanoseconds{all.back()});
}

TEST_CASE("histograms add up, and count what is below zero or beyond their end", "[bench]") {
  Histogram one;
  Histogram other;
  one.Note(-5ns);
  one.Note(1ms);
  other.Note(100h);
  one.Merge(other);
  CHECK(one.count() == 3);
  CHECK(one.At(0) == 0ns);
  CHECK(one.max() == 100h);
  CHECK(one.At(1) == 100h);
  std::uint64_t in_classes = 0;
  for (const Histogram::Class& each : one.Classes()) in_classes += each.count;
  CHECK(in_classes == 3);
  CHECK(Histogram{}.At(0.5) == 0ns);
  CHECK(Histogram{}.Classes().empty());
}

TEST_CASE("two separate sets of five differ with the p of the textbook", "[bench]") {
  const bench::Shift shift =
      bench::Compare(std::vector<double>{1, 2, 3, 4, 5}, std::vector<double>{10, 20, 30, 40, 50});
  CHECK(shift.p == Approx(0.01219).margin(0.00005));
  CHECK(shift.ratio == Approx(10));
  CHECK(shift.ratio_low < 10);
  CHECK(shift.ratio_high > 10);
}

TEST_CASE("equal measurements say nothing, nor does a single one", "[bench]") {
  CHECK(bench::Compare(std::vector<double>{3, 3, 3}, std::vector<double>{3, 3, 3}).p == 1);
  CHECK(bench::Compare(std::vector<double>{3}, std::vector<double>{9, 9, 9}).p == 1);
}

TEST_CASE("what does not differ is called different as rarely as the limit says", "[bench]") {
  std::mt19937_64 random{11};
  constexpr int kTrials = 2'000;
  int alarms = 0;
  int found = 0;
  for (int i = 0; i < kTrials; ++i) {
    const auto before = Drawn(random, 100, 20);
    alarms += bench::Compare(before, Drawn(random, 100, 20)).p < 0.01 ? 1 : 0;
    found += bench::Compare(before, Drawn(random, 110, 20)).p < 0.01 ? 1 : 0;
  }
  CHECK(alarms < kTrials / 50);
  CHECK(found > kTrials * 95 / 100);
}

TEST_CASE("several tests share one limit for false alarms", "[bench]") {
  const auto corrected = bench::HolmCorrected(std::vector<double>{0.01, 0.04, 0.03});
  REQUIRE(corrected.size() == 3);
  CHECK(corrected[0] == Approx(0.03));
  CHECK(corrected[1] == Approx(0.06));
  CHECK(corrected[2] == Approx(0.06));
}

TEST_CASE("a condition is about the results it names", "[bench]") {
  CHECK(Condition{"p99>20ms"}.Concerns("mixed", "pool", 1));
  CHECK(Condition{"mixed:errors>0"}.Concerns("mixed", "pool", 1));
  CHECK_FALSE(Condition{"mixed:errors>0"}.Concerns("point-read", "pool", 1));
  CHECK(Condition{"mixed/pool@8: rate < 500"}.Concerns("mixed", "pool", 8));
  CHECK_FALSE(Condition{"mixed/pool@8: rate < 500"}.Concerns("mixed", "pool", 64));
  CHECK_FALSE(Condition{"mixed/pool@8: rate < 500"}.Concerns("mixed", "pipeline", 8));
}

TEST_CASE("a condition holds by its relation and unit", "[bench]") {
  const bench::Report report = ReportOf({1'000, 1'000});  // p99 is 31 ms
  const auto holds = [&](std::string_view text) { return !Condition{text}.Find(report).empty(); };
  CHECK(holds("p99>20ms"));
  CHECK(holds("p99 > 30999us"));
  CHECK(holds("p99>=0.031s"));
  CHECK(holds("p99<=31ms"));
  CHECK_FALSE(holds("p99<31ms"));
  CHECK_FALSE(holds("p99>31ms"));
  CHECK(holds("rate<1000.5"));
  CHECK_FALSE(holds("point-read/pipeline:rate<1000.5"));
  CHECK_FALSE(holds("errors>0"));
}

TEST_CASE("a condition that cannot be read says what is wrong", "[bench]") {
  CHECK(Refusal("p99").find("neither > nor <") != std::string::npos);
  CHECK(Refusal("p98>20ms").find("no metric 'p98'") != std::string::npos);
  CHECK(Refusal("rat>5").find("did you mean 'rate'") != std::string::npos);
  CHECK(Refusal("p99>20").find("us, ms or s") != std::string::npos);
  CHECK(Refusal("p99>fast").find("'fast' is no number") != std::string::npos);
  CHECK(Refusal("rate<5ms").find("has no unit") != std::string::npos);
  CHECK(Refusal("mixed@x:rate<5").find("number of clients") != std::string::npos);
  CHECK(Refusal("").find("neither > nor <") != std::string::npos);
}

TEST_CASE("a report is read again as it was written", "[bench]") {
  bench::Report report = ReportOf({1'000, 1'100});
  report.environment.server_version = "15.1";
  const std::string text = schema::ToJson(report);
  CHECK(schema::ToJson(bench::ReadReport(text)) == text);
  for (const std::string_view broken : {"", "[]", "{}", R"({"schema":2,"settings":{},"results":[]})"})
    CHECK_THROWS_AS(bench::ReadReport(broken), Error);
}

TEST_CASE("a run is slower than another by more than five per cent and chance, or not at all", "[bench]") {
  std::mt19937_64 random{3};
  const bench::Report before = ReportOf(Drawn(random, 1'000, 20));
  const auto verdict = [&](double rate) {
    return bench::CompareReports(before, ReportOf(Drawn(random, rate, 20))).front().verdict;
  };
  CHECK(verdict(1'000) == bench::Verdict::kNoDifference);
  CHECK(verdict(800) == bench::Verdict::kSlower);
  CHECK(verdict(1'300) == bench::Verdict::kFaster);
  bench::Report slower = ReportOf(Drawn(random, 800, 20));
  slower.comparison = bench::CompareReports(before, slower);
  CHECK(Condition{"slower"}.Find(slower).size() == 1);
  CHECK(Condition{"mixed:slower"}.Find(slower).empty());
}

TEST_CASE("at a fixed rate a run is slower by its latency", "[bench]") {
  std::mt19937_64 random{3};
  bench::Report before = ReportOf(Drawn(random, 1'000, 20));
  bench::Report now = ReportOf(Drawn(random, 1'300, 20));  // means of 769 µs after 1,000 µs
  before.settings.rate = now.settings.rate = 500;
  const bench::Comparison comparison = bench::CompareReports(before, now).front();
  CHECK(comparison.measure == "latency");
  CHECK(comparison.verdict == bench::Verdict::kFaster);
}

TEST_CASE("runs that did different things are not compared", "[bench]") {
  const bench::Report before = ReportOf({1'000, 1'000});
  bench::Report now = before;
  now.settings.members = 200;
  CHECK_THROWS_WITH(bench::CompareReports(before, now),
                    Catch::Contains("--members was 20 then and is 200 now"));
  now = before;
  now.results.front().clients = 9;
  CHECK_THROWS_WITH(bench::CompareReports(before, now), Catch::Contains("no result in common"));
}

}  // namespace gathering::test
