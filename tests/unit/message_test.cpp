#include "daemon/http/message.h"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

namespace gathering::http {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST_CASE("pairs are decoded in their order, repeated names and all", "[message]") {
  CHECK(DecodePairs("", 8) == Pairs{});
  CHECK(DecodePairs("a=1&b=x%20y&a=2", 8) == Pairs{{"a", "1"}, {"b", "x y"}, {"a", "2"}});
  CHECK(DecodePairs("a+b=c+d", 8) == Pairs{{"a b", "c d"}});
  CHECK(DecodePairs("flag&x=", 8) == Pairs{{"flag", ""}, {"x", ""}});
  CHECK(DecodePairs("&&a=b=c&", 8) == Pairs{{"a", "b=c"}});
  CHECK(DecodePairs("=v", 8) == Pairs{{"", "v"}});
  CHECK(DecodePairs("n=%C3%A9&m=%f0%9f%98%80", 8) == Pairs{{"n", "é"}, {"m", "😀"}});
}

TEST_CASE("pairs with a broken escape, bytes that are no text, or too many are refused", "[message]") {
  for (const char* broken : {"a=%", "a=%1", "a=%zz", "%G0=1", "a=%ff", "a=%c3", "a=%ed%a0%80", "a=%c0%af",
                             "a=%00", "a=%f4%90%80%80", "a=%e0%80%80", "a=%c3%28"}) {
    INFO(broken);
    CHECK_FALSE(DecodePairs(broken, 8).has_value());
  }
  CHECK(DecodePairs("a&b", 2).has_value());
  CHECK(DecodePairs("a&b&", 2).has_value());
  CHECK_FALSE(DecodePairs("a&b&c", 2).has_value());
}

TEST_CASE("a path segment keeps its plus signs", "[message]") {
  CHECK(PercentDecode("a+b%2Fc") == "a+b/c");
  CHECK(PercentDecode("") == "");
  CHECK_FALSE(PercentDecode("%2").has_value());
  CHECK_FALSE(PercentDecode("a%00b").has_value());
  CHECK_FALSE(PercentDecode("%80").has_value());
}

TEST_CASE("header names are compared without case and the first of several is found", "[message]") {
  Request request;
  request.headers = {{"X-One", "1"}, {"x-one", "2"}, {"Empty", ""}};
  CHECK(request.Find("x-ONE") == "1");
  CHECK(request.Find("empty") == "");
  CHECK_FALSE(request.Find("x-on").has_value());
}

TEST_CASE("every method has its name and only its name", "[message]") {
  for (const std::string_view name : kMethodNames) {
    REQUIRE(ParseMethod(name).has_value());
    CHECK(Name(*ParseMethod(name)) == name);
  }
  for (const char* other : {"", "get", "GETS", "TRACE", "CONNECT", "PRI"})
    CHECK_FALSE(ParseMethod(other).has_value());
}

TEST_CASE("statuses have the reasons of the standard", "[message]") {
  CHECK(Reason(200) == "OK");
  CHECK(Reason(422) == "Unprocessable Entity");
  CHECK(Reason(431) == "Request Header Fields Too Large");
  CHECK(Reason(299) == "Unknown");
}

}  // namespace
}  // namespace gathering::http
