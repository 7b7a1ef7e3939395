// What clients send as JSON that is none, or too much of it: every row is refused in a moment with one
// problem of the documented shape, and the daemon goes on.
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

using nlohmann::json;
using std::string_literals::operator""s;

constexpr std::chrono::milliseconds kMoment{2'000};  // far from any work that grows faster than its input

struct Row {
  const char* what;
  std::string body;
  std::set<int> allowed;
  std::string content_type = "application/json";
};

std::string Repeat(std::string_view text, std::size_t times) {
  std::string all;
  all.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

// A circle whose name is this text, already escaped and without its quotes.
std::string Named(const std::string& text) {
  return R"({"name":")" + text + R"("})";
}

// A circle with this number, as written.
std::string Numbered(const std::string& number) {
  return R"({"name":"n","max_concurrent_tasks":)" + number + "}";
}

std::string Members(std::size_t count) {
  std::string text = "{";
  for (std::size_t i = 0; i < count; ++i) text += fmt::format("{}\"k{}\":0", i == 0 ? "" : ",", i);
  return text + "}";
}

std::vector<Row> Sizes() {
  return {
      {"half a million [", std::string(500'000, '['), {400}},
      {"half a million {\"a\":", Repeat("{\"a\":", 200'000), {400}},
      {"deep lists that are closed", std::string(100'000, '[') + std::string(100'000, ']'), {400}},
      {"deep objects that are closed", Repeat("{\"a\":", 65) + "1" + std::string(65, '}'), {400}},
      {"lists and objects in turn", Repeat("[{\"a\":", 50'000), {400}},
      {"a key of a mebibyte", "{\"" + std::string(1'048'570, 'k') + "\":1}", {413, 422}},
      {"a key of a mebibyte and more", "{\"" + std::string(1'048'576, 'k') + "\":1}", {413}},
      {"a text of a mebibyte", Named(std::string(1'048'560, 't')), {413, 422}},
      {"100,000 keys", Members(100'000), {413}},
      {"50,000 keys", Members(50'000), {413}},
      {"60,000 items", "[" + Repeat("0,", 60'000) + "0]", {413}},
      {"a number of a million digits", Numbered(std::string(1'000'000, '9')), {413, 422}},
      {"an exponent of a million digits", Numbered("1e" + std::string(1'000'000, '0') + "9"), {413, 422}},
      {"a fraction of a million digits", Numbered("0." + std::string(1'000'000, '1')), {413, 422}},
      {"a million spaces", std::string(1'000'000, ' '), {422}},
      {"a million escapes", Named(Repeat("\\u0041", 170'000)), {422}},
  };
}

std::vector<Row> Grammar() {
  return {
      {"nothing but a space", " ", {422}},
      {"a name twice", R"({"name":"a","name":"b"})", {422}},
      {"a name twice, once escaped", R"({"name":"a","\u006eame":"b"})", {422}},
      {"trailing data", R"({"name":"a"}x)", {422}},
      {"two values", R"({"name":"a"}{"name":"b"})", {422}},
      {"a trailing NUL", R"({"name":"a"})"s + "\0"s, {422}},
      {"a comment in a line", "{\"name\":\"a\"//b\n}", {422}},
      {"a comment in a block", R"({/* a */"name":"a"})", {422}},
      {"a comment with a hash", "#a\n{\"name\":\"a\"}", {422}},
      {"a comma at the end of an object", R"({"name":"a",})", {422}},
      {"a comma at the end of a list", R"(["a",])", {422}},
      {"a comma first", R"({,"name":"a"})", {422}},
      {"single quotes", "{'name':'a'}", {422}},
      {"a bare key", "{name:\"a\"}", {422}},
      {"no colon", R"({"name" "a"})", {422}},
      {"no value", R"({"name":})", {422}},
      {"NaN", Numbered("NaN"), {422}},
      {"Infinity", Numbered("Infinity"), {422}},
      {"-Infinity", Numbered("-Infinity"), {422}},
      {"nan in small letters", Numbered("nan"), {422}},
      {"TRUE", R"({"name":"a","auto_route":TRUE})", {422}},
      {"undefined", R"({"name":undefined})", {422}},
      {"a vertical tab as a space", "{\x0b\"name\":\"a\"}", {422}},
      {"a form feed as a space", "{\x0c\"name\":\"a\"}", {422}},
      {"a hard space as a space", "{\xc2\xa0\"name\":\"a\"}", {422}},
      {"truncated in a key", R"({"na)", {422}},
      {"truncated in a text", R"({"name":"a)", {422}},
      {"truncated in an escape", R"({"name":"a\)", {422}},
      {"truncated in \\u", R"({"name":"\u00)", {422}},
      {"truncated in a word", R"({"auto_route":tru)", {422}},
      {"truncated behind the value", R"({"name":"a")", {422}},
      {"closed by the wrong bracket", R"({"name":"a"])", {422}},
      {"a list instead of an object", R"([{"name":"a"}])", {422}},
      {"a text instead of an object", R"("name")", {422}},
      {"a number instead of an object", "7", {422}},
      {"null instead of an object", "null", {422}},
      {"a form", "name=a", {422}},
      {"XML", "<?xml version=\"1.0\"?><name>a</name>", {422}},
      {"a prototype", R"({"__proto__":{"name":"a"}})", {422}},
  };
}

std::vector<Row> Texts() {
  return {
      {"a byte order mark", "\xef\xbb\xbf" + Named("a"), {201, 422}},
      {"UTF-16 in little-endian", "\xff\xfe{\0\"\0n\0\"\0"s, {422}},
      {"UTF-16 in big-endian", "\xfe\xff\0{\0\"\0n"s, {422}},
      {"UTF-32", "\xff\xfe\0\0{\0\0\0"s, {422}},
      {"a NUL", Named("a\0b"s), {422}},
      {"an escaped NUL", Named("a\\u0000b"), {422}},
      {"a bare line feed", Named("a\nb"), {422}},
      {"a bare tab", Named("a\tb"), {422}},
      {"an unknown escape", Named("\\x41"), {422}},
      {"an escaped single quote", Named("\\'"), {422}},
      {"an upper-case \\U", Named("\\U00000041"), {422}},
      {"\\u without digits", Named("\\uzzzz"), {422}},
      {"a high surrogate alone", Named("\\ud800"), {422}},
      {"a low surrogate alone", Named("\\udc00"), {422}},
      {"surrogates in the wrong order", Named("\\udc00\\ud800"), {422}},
      {"two high surrogates", Named("\\ud800\\ud800"), {422}},
      {"a surrogate in UTF-8", Named("\xed\xa0\x80"), {422}},
      {"a pair of surrogates in UTF-8", Named("\xed\xa0\xbd\xed\xb8\x80"), {422}},
      {"a lone continuation byte", Named("\x80"), {422}},
      {"a character that lacks a byte", Named("\xe2\x82"), {422}},
      {"a character that ends with the text", "{\"name\":\"\xf0\x9f\x98", {422}},
      {"NUL in two bytes", Named("\xc0\x80"), {422}},
      {"a slash in two bytes", Named("\xc0\xaf"), {422}},
      {"a slash in three bytes", Named("\xe0\x80\xaf"), {422}},
      {"a slash in four bytes", Named("\xf0\x80\x80\xaf"), {422}},
      {"beyond U+10FFFF", Named("\xf4\x90\x80\x80"), {422}},
      {"five bytes", Named("\xf8\x88\x80\x80\x80"), {422}},
      {"the byte FE", Named("\xfe"), {422}},
      {"Latin-1", Named("caf\xe9"), {422}},
      {"invalid UTF-8 in a key", "{\"\xff\":1,\"name\":\"a\"}", {422}},
      {"a NUL in a key", "{\"a\\u0000\":1}", {422}},
  };
}

std::vector<Row> Numbers() {
  std::vector<Row> rows;
  for (const char* number : {"1e999",
                             "-1e999",
                             "1e400",
                             "1e308",
                             "-0",
                             "-0.0",
                             "0",
                             "-1",
                             "1001",
                             "0.5",
                             "1.5",
                             "2147483647",
                             "2147483648",
                             "-2147483648",
                             "-2147483649",
                             "4294967295",
                             "4294967296",
                             "9007199254740993",
                             "9223372036854775807",
                             "9223372036854775808",
                             "-9223372036854775808",
                             "-9223372036854775809",
                             "18446744073709551615",
                             "18446744073709551616",
                             "123456789012345678901234567890123456789",
                             "01",
                             "+1",
                             "1.",
                             ".5",
                             "0x10",
                             "1e",
                             "1e+",
                             "1_000",
                             "--1",
                             "-",
                             "1,5",
                             "5e-324",
                             "1e-400",
                             "\"1e3\"",
                             "\"0x5\"",
                             "\" \"",
                             "\"five\"",
                             "\"\\u0665\"",
                             "true5",
                             "[5]",
                             "{\"a\":5}",
                             "null"}) {
    rows.push_back({number, Numbered(number), {422}});
  }
  return rows;
}

std::vector<Row> Types() {
  const std::string good = Named("typed");
  return {
      {"plain text", good, {415}, "text/plain"},
      {"HTML", good, {415}, "text/html"},
      {"XML", good, {415}, "application/xml"},
      {"a form's type", good, {415}, "application/x-www-form-urlencoded"},
      {"parts", good, {415}, "multipart/form-data; boundary=a"},
      {"bytes", good, {415}, "application/octet-stream"},
      {"almost JSON", good, {415}, "application/jsonx"},
      {"JSON lines", good, {415}, "application/x-ndjson"},
      {"JSON in another tree", good, {415}, "text/json"},
      {"two types", good, {415}, "text/plain, application/json"},
      {"a type within a parameter", good, {415}, "text/plain; a=application/json"},
      {"a plus that is not at the end", good, {415}, "application/a+json+xml"},
      {"UTF-16 by name, which it is not", "\xff\xfe{\0}\0"s, {422}, "application/json; charset=utf-16"},
  };
}

// The rows against POST /circles.
void Check(HttpClient& admin, const std::string& token, const std::vector<Row>& rows) {
  const auto circles = [&] { return admin.Get("/circles").Json().at("circles").size(); };
  std::size_t expected = circles();
  for (const Row& row : rows) {
    INFO(row.what);
    const auto before = std::chrono::steady_clock::now();
    Answer answer;
    REQUIRE_NOTHROW(answer =
                        admin.Send("POST", "/circles",
                                   {{"Authorization", "Bearer " + token}, {"Content-Type", row.content_type}},
                                   row.body));
    CHECK(std::chrono::steady_clock::now() - before < kMoment);
    INFO(answer.status << " " << answer.body.substr(0, 300));
    CHECK(row.allowed.contains(answer.status));
    if (answer.status == 201) ++expected;
    if (answer.status < 400) continue;
    CHECK(answer.Header("Content-Type") == "application/json");
    const json problem = answer.Json();
    REQUIRE(problem.is_object());
    CHECK(problem.at("request_id") == answer.Header("X-Request-ID").value_or(""));
    CHECK(problem.at("detail").is_array() == (answer.status == 422));
    CHECK(answer.body.size() < 100'000);  // what was sent comes back cut
  }
  CHECK(circles() == expected);
}

}  // namespace

TEST_CASE("a JSON body that breaks the rules is refused at once, with its reason and without a trace") {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient admin = daemon.Admin();
  const std::string token = daemon.AdminToken();
  Check(admin, token, Sizes());
  Check(admin, token, Grammar());
  Check(admin, token, Texts());
  Check(admin, token, Numbers());
  Check(admin, token, Types());
}

TEST_CASE("a JSON body that is unusual and right is taken") {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  HttpClient admin = daemon.Admin();
  const std::string token = daemon.AdminToken();
  int number = 0;
  const auto status = [&](const std::string& body, const std::string& type = "application/json") {
    return admin
        .Send("POST", "/circles", {{"Authorization", "Bearer " + token}, {"Content-Type", type}}, body)
        .status;
  };
  const auto name = [&] { return fmt::format("c{}", ++number); };
  for (const char* type :
       {"application/json", "APPLICATION/JSON", "application/json;charset=utf-8", "application/json ; a=b",
        "application/vnd.api+json", "application/problem+json"}) {
    INFO(type);
    CHECK(status(Named(name()), type) == 201);
  }
  CHECK(status(" \r\n\t" + Named(name()) + "\n\n") == 201);
  CHECK(status(Named("\\ud83d\\ude00" + name())) == 201);
  CHECK(status(Named("\xf0\x9f\x98\x80" + name())) == 201);
  CHECK(status(R"({"unknown":[[{"a":1e300}]],"name":")" + name() + "\"}") == 201);
  CHECK(status(R"({"deep":)" + std::string(62, '[') + std::string(62, ']') + R"(,"name":")" + name() +
               "\"}") == 201);
  for (const char* written : {"1", "1000", "1.0", "1e3", "\"7\"", "1E+2", "10e-1"}) {
    INFO(written);
    CHECK(status(fmt::format(R"({{"name":"{}","max_concurrent_tasks":{}}})", name(), written)) == 201);
  }
}

}  // namespace gathering::test
