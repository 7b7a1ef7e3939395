#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "core/base/utf8.h"
#include "core/schema/writer.h"
#include "tests/support/json.h"

namespace gathering::schema {
namespace {

struct Inner {
  std::int64_t id = 7;
  std::optional<double> share;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("share", self.share);
  }
};

struct Outer {
  std::string name = "x";
  bool on = true;
  std::vector<Inner> inner = {{}, {.id = 8, .share = 0.5}};
  Json<> raw{R"({"a":[1]})"};
  Timestamp at{1'795'426'560'655'715};
  OffsetTimestamp offset{1'795'426'560'000'000};
  Date day{"2026-01-02"};

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("on", self.on);
    visit("inner", self.inner);
    visit("raw", self.raw);
    visit("at", self.at);
    visit("offset", self.offset);
    visit("day", self.day);
  }
};

struct Nothing {
  static void Fields(auto&, auto&) {}
};

std::string Text(std::string_view text) {
  std::string out;
  WriteText(text, out);
  return out;
}

std::string Number(double value) {
  std::string out;
  WriteNumber(value, out);
  return out;
}

}  // namespace

TEST_CASE("a struct is written as compact JSON in the order of its fields") {
  CHECK(ToJson(Outer{}) ==
        R"({"name":"x","on":true,"inner":[{"id":7,"share":null},{"id":8,"share":0.5}],"raw":{"a":[1]},)"
        R"("at":"2026-11-23T09:36:00.655715Z","offset":"2026-11-23T09:36:00+00:00","day":"2026-01-02"})");
  CHECK(ToJson(Nothing{}) == "{}");
  CHECK(ToJson(std::vector<Inner>{}) == "[]");
}

TEST_CASE("a double is the shortest text that reads back as the same double") {
  CHECK(Number(0.7) == "0.7");
  CHECK(Number(1) == "1.0");
  CHECK(Number(-0.0) == "-0.0");
  CHECK(Number(100000) == "100000.0");
  CHECK(Number(0.1 + 0.2) == "0.30000000000000004");
  CHECK(Number(std::numeric_limits<double>::infinity()) == "null");
  CHECK(Number(std::nan("")) == "null");
  for (const double value : {1e300, 5e-324, 1.7976931348623157e308, 123456789.125, 1e21, 1e-7}) {
    INFO(value);
    CHECK(nlohmann::json::parse(Number(value)).get<double>() == value);
    CHECK(nlohmann::json::parse(Number(value)).is_number_float());
  }
}

TEST_CASE("whole numbers are written to their ends") {
  CHECK(ToJson(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(ToJson(std::numeric_limits<std::int64_t>::max()) == "9223372036854775807");
}

TEST_CASE("every byte comes out of a text as JSON that reads back") {
  CHECK(Text("") == "\"\"");
  CHECK(Text("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f") == "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
  CHECK(Text(std::string_view{"a\0b", 3}) == "\"a\\u0000b\"");
  CHECK(Text("\xc3\xa9\xf0\x9f\x98\x80") == "\"\xc3\xa9\xf0\x9f\x98\x80\"");
  // Each byte at each place of a text around the width in which runs are copied.
  std::size_t compared = 0;
  for (int byte = 0; byte < 128; ++byte) {
    for (std::size_t length = 1; length < 20; ++length) {
      for (std::size_t at = 0; at < length; ++at) {
        std::string text(length, 'x');
        text[at] = static_cast<char>(byte);
        if (nlohmann::json::parse(Text(text)).get<std::string>() != text)
          FAIL("byte " << byte << " at " << at);
        ++compared;
      }
    }
  }
  CHECK(compared == 128 * 190);
}

TEST_CASE("a byte that is no UTF-8 becomes the replacement character") {
  CHECK(Text("a\xff") == "\"a\xef\xbf\xbd\"");
  CHECK(Text("\xc3") == "\"\xef\xbf\xbd\"");
  CHECK(Text("\xc0\x80") == "\"\xef\xbf\xbd\xef\xbf\xbd\"");
  CHECK(Text("\xed\xa0\x80z") == "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
  CHECK(Text("\xf5\x80\x80\x80") == "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text{static_cast<char>(first), static_cast<char>(second), 'x'};
      if (!nlohmann::json::accept(Text(text))) FAIL(first << " " << second);
      if (IsUtf8(text) != (nlohmann::json::parse(Text(text)) == text)) FAIL(first << " " << second);
    }
  }
}

}  // namespace gathering::schema
