#include <catch2/catch.hpp>

#include <string>

#include "core/base/error.h"
#include "core/limits/rate.h"

namespace gathering::limits {
namespace {

using namespace std::chrono_literals;

std::string Refusal(std::string_view text) {
  try {
    static_cast<void>(ParseLimit(text));
  } catch (const Error& error) {
    CHECK(error.code == Code::kInvalid);
    return error.message;
  }
  return "accepted";
}

Rate One(std::string_view text) {
  const Limit limit = ParseLimit(text);
  REQUIRE(limit.rates.size() == 1);
  return limit.rates.front();
}

}  // namespace

TEST_CASE("rates are read as the Python library reads them") {
  CHECK(One("5/minute") == Rate{5, 60s});
  CHECK(One("100 per hour") == Rate{100, 3'600s});
  CHECK(One("1 per 15 minutes") == Rate{1, 900s});
  CHECK(One("5/15minutes") == Rate{5, 900s});
  CHECK(One("1/second") == Rate{1, 1s});
  CHECK(One("  7 / 2 DAYS ") == Rate{7, 172'800s});
  CHECK(One("5perminute") == Rate{5, 60s});
  CHECK(One("5 Per Minute") == Rate{5, 60s});
  CHECK(One("3/month") == Rate{3, 2'592'000s});
  CHECK(One("3/year") == Rate{3, 31'104'000s});
  CHECK(One("1000000/second") == Rate{1'000'000, 1s});
  CHECK(One("1/10years").period == kPeriodMax);
}

TEST_CASE("several rates are separated by a semicolon, a comma or a bar") {
  const Limit both{{{10, 1s}, {200, 3'600s}}};
  CHECK(ParseLimit("10/second;200/hour") == both);
  CHECK(ParseLimit("10 per second, 200 per hour") == both);
  CHECK(ParseLimit("10/second | 200/hour") == both);
  CHECK(ParseLimit("1/second;2/minute;3/hour;4/day").rates.size() == kRatesMax);
}

TEST_CASE("what is no rate is refused with what is wrong and what would do") {
  CHECK(Refusal("") == "the limit is empty; write it like 5/minute");
  CHECK(Refusal(" ") == "the limit is empty; write it like 5/minute");
  CHECK(Refusal("five/minute") ==
        "'five/minute' is no rate: it does not begin with a count; write it like 5/minute");
  CHECK(Refusal("-5/minute") ==
        "'-5/minute' is no rate: it does not begin with a count; write it like 5/minute");
  CHECK(Refusal("0/minute") == "'0/minute' is no rate: the count is 0; use at least 1");
  CHECK(Refusal("5") ==
        "'5' is no rate: after the count comes '/' or 'per'; write it like 5/minute or 5 per minute");
  CHECK(Refusal("5 every minute") ==
        "'5 every minute' is no rate: after the count comes '/' or 'per'; write it like 5/minute or 5 per "
        "minute");
  CHECK(Refusal("5/") == "'5/' is no rate: the unit of time is missing; write it like 5/minute");
  CHECK(Refusal("5/0minutes") == "'5/0minutes' is no rate: it is for a time of 0; use at least 1");
  CHECK(Refusal("5/minuet") ==
        "'5/minuet' is no rate: 'minuet' is no unit of time; use second, minute, hour, "
        "day, month or year; did you mean 'minute'?");
  CHECK(Refusal("5/minute 3/hour") ==
        "'5/minute 3/hour' is no rate: '3/hour' is too much; separate rates by ';'");
  CHECK(Refusal("5/-1minutes").find("is no unit of time") != std::string::npos);
}

TEST_CASE("a missing rate, too many rates and too long a text are refused") {
  const std::string missing = "a rate is missing beside a separator; write it like 10/second;200/hour";
  CHECK(Refusal("5/minute;") == missing);
  CHECK(Refusal(";5/minute") == missing);
  CHECK(Refusal("5/minute;;6/hour") == missing);
  CHECK(Refusal("1/second;1/minute;1/hour;1/day;1/month") == "a limit has over 4 rates; leave some out");
  CHECK(Refusal(std::string(2'000, '5')) == "a limit of 2000 bytes is too long");
}

TEST_CASE("numbers that would overflow are refused") {
  CHECK(Refusal("99999999999999999999/minute") ==
        "'99999999999999999999/minute' is no rate: the count is too large");
  CHECK(Refusal("1/99999999999999999999minutes") ==
        "'1/99999999999999999999minutes' is no rate: the number of units is too large");
  CHECK(Refusal("1000000001/year") == "'1000000001/year' is no rate: the count is over 1000000000");
  CHECK(Refusal("1000001/second") == "'1000001/second' is no rate: it is over 1000000 in a second");
  CHECK(Refusal("1/11years") == "'1/11years' is no rate: its time is over 10 years");
  CHECK(Refusal("1/9223372036854775807years") ==
        "'1/9223372036854775807years' is no rate: its time is over 10 years");
}

TEST_CASE("a limit is written in canonical text that reads back as itself") {
  CHECK(ToText(ParseLimit("100 PER 1 hours")) == "100/hour");
  CHECK(ToText(ParseLimit("1 per 15 minutes")) == "1/15minutes");
  CHECK(ToText(ParseLimit("10/second , 200 per hour")) == "10/second;200/hour");
  CHECK(ToText(ParseLimit("60/60seconds")) == "60/minute");
  CHECK(ToText(ParseLimit("60/90seconds")) == "60/90seconds");
  CHECK(ToText(ParseLimit("2/24hours")) == "2/day");
  for (const char* text :
       {"5/minute", "1/15minutes", "10/second;200/hour", "3/month", "7/2years", "9/61seconds"})
    CHECK(ToText(ParseLimit(text)) == text);
}

TEST_CASE("a rate is said to clients as the Python library says it") {
  CHECK(ToSentence(One("5/minute")) == "5 per 1 minute");
  CHECK(ToSentence(One("1 per 15 minutes")) == "1 per 15 minute");
}

}  // namespace gathering::limits
