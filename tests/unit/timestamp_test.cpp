#include "core/base/timestamp.h"

#include <catch2/catch.hpp>

namespace gathering::test {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

}  // namespace

TEST_CASE("a moment is printed in both spellings, without empty microseconds", "[timestamp]") {
  CHECK(ToText(Timestamp{0}) == "1970-01-01T00:00:00Z");
  CHECK(ToText(Timestamp{1'767'323'045 * kSecond + 655'715}) == "2026-01-02T03:04:05.655715Z");
  CHECK(ToText(OffsetTimestamp{1'767'323'045 * kSecond + 7}) == "2026-01-02T03:04:05.000007+00:00");
  CHECK(ToText(OffsetTimestamp{1'767'323'045 * kSecond}) == "2026-01-02T03:04:05+00:00");
  CHECK(ToText(Timestamp{-1}) == "1969-12-31T23:59:59.999999Z");
}

TEST_CASE("moments are read in every form that is in use", "[timestamp]") {
  const auto expected = Timestamp{1'767'323'045 * kSecond + 500'000};
  for (const char* text :
       {"2026-01-02T03:04:05.5Z", "2026-01-02t03:04:05.500z", "2026-01-02 03:04:05.5+00",
        "2026-01-02T03:04:05.500000", "2026-01-02T05:34:05.5+02:30", "2026-01-02T05:34:05.5+0230",
        "2026-01-01T19:04:05.5-08:00", "2026-01-02T03:04:05.5000009Z"}) {
    INFO(text);
    CHECK(ParseTimestamp(text) == expected);
  }
  CHECK(ParseTimestamp("2026-01-02T03:04") == Timestamp{1'767'323'040 * kSecond});
}

TEST_CASE("what is no moment is refused", "[timestamp]") {
  for (const char* text :
       {"", "2026-01-02", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:00Z", "2026-01-02T03:04:60Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05ZZ",
        "2026-01-02T03:04:05+", "2026-01-02T03:04:05+99:00", "2026-01-02X03:04:05Z", "26-01-02T03:04:05Z",
        "2026-01-02T3:04:05Z", " 2026-01-02T03:04:05Z", "infinity", "2026-01-02 03:04:05 BC"}) {
    INFO(text);
    CHECK_FALSE(ParseTimestamp(text));
  }
}

TEST_CASE("moments are of the years 1 to 9999, wherever their offset puts them", "[timestamp]") {
  CHECK(ParseTimestamp("0001-01-01T00:00:00Z"));
  CHECK(ParseTimestamp("9999-12-31T23:59:59.999999Z"));
  for (const char* text :
       {"0001-01-01T00:00:00+00:01", "0000-12-31T23:59:59Z", "9999-12-31T23:59:59-00:01"}) {
    INFO(text);
    CHECK_FALSE(ParseTimestamp(text));
  }
}

TEST_CASE("what was printed is read back", "[timestamp]") {
  for (std::int64_t micros = -70'000'000 * kSecond; micros < 4'000'000'000 * kSecond;
       micros += 12'345'678'901'234) {
    REQUIRE(ParseTimestamp(ToText(Timestamp{micros})) == Timestamp{micros});
    REQUIRE(ParseTimestamp(ToText(OffsetTimestamp{micros})) == Timestamp{micros});
  }
}

TEST_CASE("a day must exist", "[timestamp]") {
  CHECK(DaysSinceEpoch({"1970-01-01"}) == 0);
  CHECK(DaysSinceEpoch({"2024-03-01"}) - DaysSinceEpoch({"2024-02-28"}) == 2);
  CHECK(ToDate(DaysSinceEpoch({"2024-02-29"})) == Date{"2024-02-29"});
  CHECK(ToDate(Timestamp{-1}) == Date{"1969-12-31"});
  CHECK(ParseDate("2024-02-29") == Date{"2024-02-29"});
  for (const char* text :
       {"", "0000-01-01", "2023-02-29", "2024-2-29", "2024-02-30", "2024-02-29T00:00:00", "tomorrow"}) {
    INFO(text);
    CHECK_FALSE(ParseDate(text));
  }
}

TEST_CASE("the date header has the fixed form of HTTP", "[timestamp]") {
  CHECK(ToHttpDate(Timestamp{784'111'777 * kSecond}) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(ToHttpDate(Timestamp{1'767'323'045 * kSecond + 999'999}) == "Fri, 02 Jan 2026 03:04:05 GMT");
}

}  // namespace gathering::test
