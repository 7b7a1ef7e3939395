#include <catch2/catch.hpp>

#include <string>

#include <fmt/format.h>

#include "daemon/http/trace.h"

namespace gathering::http {
namespace {

const std::string kTrace = "0af7651916cd43dd8448eb211c80319c";
const std::string kSpan = "b7ad6b7169203331";
const std::string kZeros(32, '0');

std::string TextOf(const auto& id) {
  return {id.data(), id.size()};
}

std::string Parent(const std::string& version, const std::string& trace, const std::string& span,
                   const std::string& flags, const std::string& more = "") {
  return version + "-" + trace + "-" + span + "-" + flags + more;
}

Request With(std::vector<Header> headers) {
  Request request;
  request.headers = std::move(headers);
  return request;
}

TEST_CASE("a well-formed traceparent says trace and span, of version 00 and of later ones", "[trace]") {
  const std::string good[] = {
      Parent("00", kTrace, kSpan, "01"),
      Parent("00", kTrace, kSpan, "00"),
      Parent("00", kTrace, kSpan, "ff"),  // flags nobody knows yet
      Parent("00", kTrace, kSpan, "09"),
      Parent("01", kTrace, kSpan, "01"),
      Parent("cc", kTrace, kSpan, "01"),
      Parent("fe", kTrace, kSpan, "01"),
      Parent("cc", kTrace, kSpan, "01", "-"),
      Parent("cc", kTrace, kSpan, "01", "-what-the-future-will-be-like"),
      Parent("01", kTrace, kSpan, "01", "-UPPER \x01"),
  };
  for (const std::string& text : good) {
    INFO(text);
    const auto parent = ParseTraceParent(text);
    REQUIRE(parent);
    CHECK(TextOf(parent->trace_id) == kTrace);
    CHECK(TextOf(parent->parent_id) == kSpan);
  }
  const std::string least_trace = fmt::format("{:032}", 1);
  const auto least = ParseTraceParent(Parent("00", least_trace, fmt::format("{:016}", 1), "00"));
  REQUIRE(least);
  CHECK(TextOf(least->trace_id) == least_trace);
  CHECK(TextOf(least->parent_id) == "0000000000000001");
}

TEST_CASE("a traceparent with anything wrong in it is not gone on with", "[trace]") {
  const std::string whole = Parent("00", kTrace, kSpan, "01");
  std::string with_nul = whole;
  with_nul[10] = '\0';
  const std::string bad[] = {
      "",
      "00",
      "-",
      "garbage",
      Parent("ff", kTrace, kSpan, "01"),  // a version that is none
      Parent("ff", kTrace, kSpan, "01", "-more"),
      Parent("0", kTrace, kSpan, "01"),
      Parent("000", kTrace, kSpan, "01"),
      Parent("0G", kTrace, kSpan, "01"),
      Parent("CC", kTrace, kSpan, "01"),
      Parent(".0", kTrace, kSpan, "01"),
      Parent("", kTrace, kSpan, "01"),
      Parent("00", kZeros, kSpan, "01"),
      Parent("00", kTrace, kZeros.substr(16), "01"),
      Parent("00", kZeros, kZeros.substr(16), "01"),
      Parent("cc", kZeros, kSpan, "01", "-more"),
      Parent("00", "0AF7651916CD43DD8448EB211C80319C", kSpan, "01"),
      Parent("00", kTrace, "B7AD6B7169203331", "01"),
      Parent("00", kTrace, kSpan, "0A"),
      Parent("00", kTrace.substr(1), kSpan, "01"),
      Parent("00", kTrace + "0", kSpan, "01"),
      Parent("00", kTrace, kSpan.substr(1), "01"),
      Parent("00", kTrace, kSpan + "0", "01"),
      Parent("00", kTrace.substr(1), kSpan + "0", "01"),  // the right length all the same
      Parent("00", "g" + kTrace.substr(1), kSpan, "01"),
      Parent("00", kTrace, kSpan.substr(1) + "z", "01"),
      Parent("00", kTrace, kSpan, "0"),
      Parent("00", kTrace, kSpan, ""),
      Parent("00", kTrace, kSpan, "0x"),
      Parent("00", kTrace, kSpan, "01", "-"),
      Parent("00", kTrace, kSpan, "01", "-more"),
      Parent("00", kTrace, kSpan, "01", "0"),
      Parent("00", kTrace, kSpan, "01", " "),
      Parent("cc", kTrace, kSpan, "01", "0"),
      Parent("cc", kTrace, kSpan, "01", ".more"),
      " " + whole,
      "00_" + whole.substr(3),
      whole.substr(0, 35) + "_" + whole.substr(36),
      whole.substr(0, 52) + "_" + whole.substr(53),
      whole.substr(0, 54),
      whole + "," + whole,
      with_nul,
      "\xc3\xa9" + whole.substr(2),
  };
  STATIC_REQUIRE(std::size(bad) >= 40);
  for (const std::string& text : bad) {
    INFO(text);
    CHECK_FALSE(ParseTraceParent(text));
  }
}

TEST_CASE("one traceparent is taken, whatever its case, and two are none", "[trace]") {
  const std::string whole = Parent("00", kTrace, kSpan, "01");
  CHECK_FALSE(TraceParentOf(With({})));
  CHECK(TraceParentOf(With({{"TraceParent", whole}})));
  CHECK(TraceParentOf(With({{"Accept", "*/*"}, {"traceparent", whole}, {"trace-parent", "x"}})));
  CHECK_FALSE(TraceParentOf(With({{"traceparent", whole}, {"Traceparent", whole}})));
  CHECK_FALSE(TraceParentOf(With({{"traceparent", "x"}, {"traceparent", whole}})));
}

TEST_CASE("a tracestate is taken as it is, several as one list, up to 512 bytes", "[trace]") {
  CHECK_FALSE(TraceStateOf(With({})));
  CHECK(TraceStateOf(With({{"tracestate", "rojo=00f067aa0ba902b7 , congo=t61r"}})) ==
        "rojo=00f067aa0ba902b7 , congo=t61r");
  CHECK(TraceStateOf(With({{"tracestate", "a=1"}, {"Accept", "x"}, {"TraceState", "b=2"}})) == "a=1,b=2");
  CHECK(TraceStateOf(With({{"tracestate", ""}, {"tracestate", "b=2"}, {"tracestate", ""}})) == "b=2");
  const std::string most = "a=" + std::string(510, 'x');
  CHECK(TraceStateOf(With({{"tracestate", most}})) == most);
  CHECK_FALSE(TraceStateOf(With({{"tracestate", most + "x"}})));
  CHECK_FALSE(TraceStateOf(With({{"tracestate", most.substr(1)}, {"tracestate", "b"}})));
}

TEST_CASE("a trace that begins with a request has the digits of its id", "[trace]") {
  CHECK(TextOf(TraceIdOf("6F9619FF-8b86-4d01-B42D-00c04fc964ff")) == "6f9619ff8b864d01b42d00c04fc964ff");
  CHECK(TextOf(TraceIdOf("6f9619ff8b864d01b42d00c04fc964ff")) == "6f9619ff8b864d01b42d00c04fc964ff");
}

}  // namespace
}  // namespace gathering::http
