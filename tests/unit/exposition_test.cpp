// Figures as Prometheus reads them, letter by letter.
#include <catch2/catch.hpp>

#include <charconv>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/metrics/exposition.h"

namespace gathering::metrics {
namespace {

constexpr Format kFormats[] = {Format::kText, Format::kOpenMetrics};

// The number behind the last space of the only sample.
std::string Spelled(auto value) {
  Exposition out{Format::kText};
  out.Begin({Kind::kGauge, "x", "X"});
  out.Sample({}, value);
  const std::string text = std::move(out).Take();
  const std::size_t begin = text.rfind(' ') + 1;
  return text.substr(begin, text.size() - begin - 1);
}

template <class T>
T ReadBack(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  REQUIRE(error == std::errc{});
  REQUIRE(end == text.data() + text.size());
  return value;
}

std::string WriteAll(Format format) {
  Exposition out{format};
  out.Begin({Kind::kCounter, "calls_total", "Calls"});
  out.Sample({{"route", "a.get"}, {"code", "2xx"}}, std::uint64_t{7});
  out.Sample({{"route", "a.get"}, {"code", "5xx"}}, std::uint64_t{0});
  out.Begin({Kind::kCounter, "busy_seconds_total", "Time spent"});
  out.Sample({}, 1.25);
  out.Begin({Kind::kGauge, "queued", "Waiting"});
  out.Sample({}, -3);
  out.Begin({Kind::kInfo, "build_info", "Which program this is"});
  out.Sample({{"version", "1.2"}}, 1);
  return std::move(out).Take();
}

}  // namespace

TEST_CASE("the text format has each family in one piece, described once", "[metrics]") {
  CHECK(WriteAll(Format::kText) ==
        "# HELP calls_total Calls\n"
        "# TYPE calls_total counter\n"
        "calls_total{route=\"a.get\",code=\"2xx\"} 7\n"
        "calls_total{route=\"a.get\",code=\"5xx\"} 0\n"
        "# HELP busy_seconds_total Time spent\n"
        "# TYPE busy_seconds_total counter\n"
        "busy_seconds_total 1.25\n"
        "# HELP queued Waiting\n"
        "# TYPE queued gauge\n"
        "queued -3\n"
        "# HELP build_info Which program this is\n"
        "# TYPE build_info gauge\n"
        "build_info{version=\"1.2\"} 1\n");
  CHECK(ContentTypeOf(Format::kText) == "text/plain; version=0.0.4; charset=utf-8");
}

TEST_CASE("OpenMetrics names families without their endings, has units and types, and an end", "[metrics]") {
  CHECK(WriteAll(Format::kOpenMetrics) ==
        "# TYPE calls counter\n"
        "# HELP calls Calls\n"
        "calls_total{route=\"a.get\",code=\"2xx\"} 7\n"
        "calls_total{route=\"a.get\",code=\"5xx\"} 0\n"
        "# TYPE busy_seconds counter\n"
        "# UNIT busy_seconds seconds\n"
        "# HELP busy_seconds Time spent\n"
        "busy_seconds_total 1.25\n"
        "# TYPE queued gauge\n"
        "# HELP queued Waiting\n"
        "queued -3\n"
        "# TYPE build info\n"
        "# HELP build Which program this is\n"
        "build_info{version=\"1.2\"} 1\n"
        "# EOF\n");
  CHECK(ContentTypeOf(Format::kOpenMetrics) == "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

TEST_CASE("a histogram's buckets are cumulative and the last one holds all, in both formats", "[metrics]") {
  constexpr double kBounds[] = {0.0005, 0.1, 1, 10};
  constexpr std::uint64_t kCounts[] = {2, 0, 3, 1, 4};
  const std::string samples =
      "took_seconds_bucket{route=\"x\",le=\"0.0005\"} 2\n"
      "took_seconds_bucket{route=\"x\",le=\"0.1\"} 2\n"
      "took_seconds_bucket{route=\"x\",le=\"1.0\"} 5\n"
      "took_seconds_bucket{route=\"x\",le=\"10.0\"} 6\n"
      "took_seconds_bucket{route=\"x\",le=\"+Inf\"} 10\n"
      "took_seconds_sum{route=\"x\"} 42.5\n"
      "took_seconds_count{route=\"x\"} 10\n";
  for (const Format format : kFormats) {
    Exposition out{format};
    out.Begin({Kind::kHistogram, "took_seconds", "How long"});
    out.Sample({{"route", "x"}}, Distribution{.bounds = kBounds, .counts = kCounts, .sum = 42.5});
    const std::string text = std::move(out).Take();
    INFO(text);
    CHECK(text.find(samples) != std::string::npos);
    CHECK(text.find("# TYPE took_seconds histogram\n") != std::string::npos);
    CHECK((text.find("# UNIT took_seconds seconds\n") != std::string::npos) ==
          (format == Format::kOpenMetrics));
  }
}

TEST_CASE("a histogram without labels has the bound as its only one", "[metrics]") {
  constexpr double kBounds[] = {1e-5};
  constexpr std::uint64_t kCounts[] = {0, 0};
  Exposition out{Format::kText};
  out.Begin({Kind::kHistogram, "took_seconds", "How long"});
  out.Sample({}, Distribution{.bounds = kBounds, .counts = kCounts});
  const std::string text = std::move(out).Take();
  CHECK(text.find("took_seconds_bucket{le=\"1e-05\"} 0\ntook_seconds_bucket{le=\"+Inf\"} 0\n"
                  "took_seconds_sum 0\ntook_seconds_count 0\n") != std::string::npos);
}

TEST_CASE("any text can be a label's value or a help", "[metrics]") {
  const auto write = [](Format format) {
    Exposition out{format};
    out.Begin({Kind::kGauge, "x", "a \"b\" \\ c\nd"});
    out.Sample({{"text", "a \"b\" \\ c\nd é"}}, 1);
    return std::move(out).Take();
  };
  CHECK(write(Format::kText) ==
        "# HELP x a \"b\" \\\\ c\\nd\n"
        "# TYPE x gauge\n"
        "x{text=\"a \\\"b\\\" \\\\ c\\nd é\"} 1\n");
  CHECK(write(Format::kOpenMetrics) ==
        "# TYPE x gauge\n"
        "# HELP x a \\\"b\\\" \\\\ c\\nd\n"
        "x{text=\"a \\\"b\\\" \\\\ c\\nd é\"} 1\n# EOF\n");
}

TEST_CASE("a number reads back as what it was", "[metrics]") {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1} << 53, (std::uint64_t{1} << 53) + 1,
                                    std::numeric_limits<std::uint64_t>::max()})
    CHECK(ReadBack<std::uint64_t>(Spelled(value)) == value);
  for (const std::int64_t value :
       {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()})
    CHECK(ReadBack<std::int64_t>(Spelled(value)) == value);
  for (const double value : {0.0, 0.1, 1.0 / 3, -2.5e-9, 1e21, 123456789.123, 1e308,
                             std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max()})
    CHECK(ReadBack<double>(Spelled(value)) == value);
  CHECK(Spelled(true) == "1");
  CHECK(Spelled(1'000'000) == "1000000");
}

TEST_CASE("what is not a number is left out", "[metrics]") {
  Exposition out{Format::kText};
  out.Begin({Kind::kGauge, "x", "X"});
  out.Sample({}, std::nan(""));
  out.Sample({}, std::numeric_limits<double>::infinity());
  CHECK(std::move(out).Take() == "# HELP x X\n# TYPE x gauge\n");
}

TEST_CASE("a family is begun once, and its name says what it is", "[metrics]") {
  Exposition out{Format::kText};
  out.Begin({Kind::kGauge, "x", "X"});
  CHECK_THROWS_AS(out.Begin({Kind::kGauge, "x", "X"}), Error);
  CHECK_THROWS_AS(out.Begin({Kind::kCounter, "calls", "X"}), Error);
  CHECK_THROWS_AS(out.Begin({Kind::kInfo, "build", "X"}), Error);
  CHECK(std::move(out).Take() == "# HELP x X\n# TYPE x gauge\n");
}

}  // namespace gathering::metrics
