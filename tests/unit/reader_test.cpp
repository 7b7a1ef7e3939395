#include <catch2/catch.hpp>

#include "core/schema/reader.h"
#include "tests/support/json.h"

namespace gathering::schema {
namespace {

enum class Colour : std::uint8_t { kRed, kGreen, kBlue };

struct Limb {
  std::string name;
  std::int64_t toes = 5;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.min = 1, .max = 10, .required = true});
    visit("toes", self.toes, {.min = 0, .max = 6});
  }
};

struct Animal {
  std::string name;
  bool tame = true;
  std::int64_t legs = 4;
  std::int32_t small = 0;
  double weight = 1.5;
  std::optional<std::string> nick = "none";
  std::vector<std::string> tags;
  std::vector<Limb> limbs;
  std::optional<Limb> tail;
  std::string email = "a@b.example";
  Timestamp born;
  Date day;
  Json<> extra;
  Json<Limb> limb_text;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.min = 1, .max = 5, .required = true});
    visit("tame", self.tame);
    visit("legs", self.legs, {.min = 0, .max = 100});
    visit("small", self.small);
    visit("weight", self.weight, {.min = 0, .max = 2});
    visit("nick", self.nick, {.max = 3});
    visit("tags", self.tags, {.max = 3});
    visit("limbs", self.limbs);
    visit("tail", self.tail);
    visit("email", self.email, {.format = "email"});
    visit("born", self.born);
    visit("day", self.day);
    visit("extra", self.extra);
    visit("limb_text", self.limb_text);
  }
};

struct Search {
  std::string grant;
  std::int64_t limit = 20;
  std::optional<bool> deep;
  std::vector<std::int64_t> ids;

  static void Fields(auto& self, auto& visit) {
    visit("grant", self.grant, {.required = true, .pattern = "password"});
    visit("limit", self.limit, {.min = 1, .max = 100});
    visit("deep", self.deep);
    visit("ids", self.ids, {.max = 3});
  }
};

struct Outcome {
  Animal animal;
  std::vector<FieldError> errors;
};

Outcome Read(std::string_view text) {
  Outcome outcome;
  outcome.animal = ReadJson<Animal>(ParseJson(text, {}), "body", outcome.errors);
  return outcome;
}

// The animal with `member` beside its name.
Outcome ReadWith(const std::string& member) {
  return Read(R"({"name":"Rex",)" + member + "}");
}

// "type at place: message | input | context"
std::string Show(const FieldError& error) {
  std::string text = error.type + " at";
  for (const FieldStep& step : error.location) {
    text += ' ';
    if (const auto* name = std::get_if<std::string>(&step)) {
      text += *name;
    } else {
      text += std::to_string(std::get<std::int64_t>(step));
    }
  }
  return text + ": " + error.message + " | " + error.input + " | " + error.context;
}

std::string OnlyError(const std::vector<FieldError>& errors) {
  if (errors.empty()) return "no error";
  return errors.size() == 1 ? Show(errors[0]) : std::to_string(errors.size()) + " errors";
}

std::string ErrorOf(const std::string& member) {
  return OnlyError(ReadWith(member).errors);
}

// How ParseJson refuses: "offset: reason", or "rejected" and "too large" for limits.
std::string Refusal(std::string_view text, const JsonLimits& limits = {}) {
  try {
    const auto value = ParseJson(text, limits);
    return "accepted " + value.dump();
  } catch (const JsonTooLarge&) {
    return "too large";
  } catch (const Error& error) {
    if (error.code == Code::kRejected) return "rejected";
    REQUIRE(error.fields.size() == 1);
    const FieldError& field = error.fields[0];
    CHECK(field.type == "json_invalid");
    CHECK(field.message == "JSON decode error");
    CHECK(field.input == "{}");
    CHECK(std::get<std::string>(field.location.at(0)) == "body");
    return std::to_string(std::get<std::int64_t>(field.location.at(1))) + ": " +
           nlohmann::json::parse(field.context).at("error").get<std::string>();
  }
}

}  // namespace
}  // namespace gathering::schema

template <>
struct gathering::schema::Names<gathering::schema::Colour> {
  static constexpr std::string_view kTexts[] = {"red", "green", "blue"};
};

namespace gathering::schema {

TEST_CASE("a text that is not JSON is refused with the place where it stops making sense") {
  CHECK(Refusal("") == "0: Expecting value");
  CHECK(Refusal("{\"email\": ") == "10: Expecting value");
  CHECK(Refusal("{\"a\":1,}") == "7: Expecting property name enclosed in double quotes");
  CHECK(Refusal("{'a':1}") == "1: Expecting property name enclosed in double quotes");
  CHECK(Refusal("{\"a\" 1}") == "5: Expecting ':' delimiter");
  CHECK(Refusal("{\"a\":1 \"b\":2}") == "7: Expecting ',' delimiter");
  CHECK(Refusal("[1 2]") == "3: Expecting ',' delimiter");
  CHECK(Refusal("[1,]") == "3: Expecting value");
  CHECK(Refusal("1 2") == "2: Extra data");
  CHECK(Refusal("{} // no").starts_with("3: "));
  CHECK(Refusal("/* no */ 1").starts_with("0: "));
  CHECK(Refusal("\"abc") == "4: Unterminated string");
  CHECK(Refusal("\"a\nb\"").ends_with("Invalid control character in a string"));
  CHECK(Refusal("\"\\x\"").ends_with("Invalid \\escape"));
  CHECK(Refusal("\"\\ud800\"").ends_with("Invalid \\escape"));
  CHECK(Refusal("\"\\udc00\\ud800\"").ends_with("Invalid \\escape"));
  CHECK(Refusal("\"a\xff\"").ends_with("Invalid UTF-8"));
  CHECK(Refusal("\"\xc0\x80\"").ends_with("Invalid UTF-8"));
  CHECK(Refusal("\"\xed\xa0\x80\"").ends_with("Invalid UTF-8"));
  CHECK(Refusal("1e999").ends_with("Number out of range"));
  for (const char* number : {"01", "+1", ".5", "1.", "1e", "-", "0x1", "NaN", "Infinity"}) {
    INFO(number);
    CHECK_FALSE(Refusal(number).starts_with("accepted"));
  }
  CHECK_FALSE(Refusal(std::string_view{"\xff\xfe{\0}\0", 6}).starts_with("accepted"));  // UTF-16
  CHECK_FALSE(Refusal(std::string_view{"1\0", 2}).starts_with("accepted"));
}

TEST_CASE("a name that comes twice in one object is refused where it comes again") {
  CHECK(Refusal(R"({"a":1,"a":2})") == "10: Duplicate name");
  CHECK(Refusal(R"({"a":1,"\u0061":2})").ends_with("Duplicate name"));
  CHECK(Refusal(R"([{"a":1},{"a":2}])").starts_with("accepted"));
}

TEST_CASE("unusual but valid JSON is read") {
  CHECK(Refusal("-0") == "accepted 0");
  CHECK(Refusal(" \t\r\n[ ]\n") == "accepted []");
  CHECK(Refusal("18446744073709551615") == "accepted 18446744073709551615");
  CHECK(Refusal("\"\\ud83d\\ude00\"") == "accepted \"\xf0\x9f\x98\x80\"");
  CHECK(Refusal("{\"\":0}") == "accepted {\"\":0}");
  CHECK(Refusal("\"\\u0000\"") == "accepted \"\\u0000\"");
  CHECK(Refusal("\xef\xbb\xbf[]") == "accepted []");  // a byte order mark
}

TEST_CASE("JSON may be as deep, as many and as long as its limits say and no more") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(Refusal(nested(63)).starts_with("accepted"));
  CHECK(Refusal(nested(64)).starts_with("accepted"));
  CHECK(Refusal(nested(65)) == "rejected");
  CHECK(Refusal(std::string(500'000, '[')) == "rejected");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK(Refusal(objects) == "rejected");

  const JsonLimits limits{.nodes_max = 4, .text_bytes_max = 3};
  CHECK(Refusal("[1,2]", limits).starts_with("accepted"));
  CHECK(Refusal("[1,2,3]", limits).starts_with("accepted"));
  CHECK(Refusal("[1,2,3,4]", limits) == "too large");
  CHECK(Refusal("\"ab\"", limits).starts_with("accepted"));
  CHECK(Refusal("\"abc\"", limits).starts_with("accepted"));
  CHECK(Refusal("\"abcd\"", limits) == "too large");
  CHECK(Refusal("{\"abcd\":1}", limits) == "too large");
}

TEST_CASE("every prefix of a document and every flipped byte is either read or refused, never worse") {
  const std::string document = R"({"name":"Rex","legs":"4","weight":1.5e0,"tags":["a","\u00e9\n"],)"
                               R"("limbs":[{"name":"l"}],"x":[null,true]})";
  std::size_t refused = 0;
  for (std::size_t i = 0; i < document.size(); ++i) {
    refused += Refusal(std::string_view{document}.substr(0, i)).starts_with("accepted") ? 0 : 1;
    for (const int flip : {0x01, 0x20, 0x80, 0xff}) {
      std::string broken = document;
      broken[i] = static_cast<char>(broken[i] ^ flip);
      try {
        std::vector<FieldError> errors;
        (void)ReadJson<Animal>(ParseJson(broken, {}), "body", errors);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  CHECK(refused > document.size());
}

TEST_CASE("what a client leaves out keeps its default, what it says is taken") {
  const Outcome outcome =
      Read(R"({"name":"Rex","tame":false,"legs":3,"nick":null,"tags":["a"],"unknown":{"x":1},
      "limbs":[{"name":"left","toes":6}],"tail":{"name":"t"},"extra":{"b":[1,2.5]},
      "limb_text":{"name":"x","y":1}})");
  REQUIRE(outcome.errors.empty());
  CHECK(outcome.animal.tame == false);
  CHECK(outcome.animal.legs == 3);
  CHECK(outcome.animal.weight == 1.5);
  CHECK_FALSE(outcome.animal.nick.has_value());
  CHECK(outcome.animal.tags == std::vector<std::string>{"a"});
  REQUIRE(outcome.animal.limbs.size() == 1);
  CHECK(outcome.animal.limbs[0].toes == 6);
  CHECK(outcome.animal.tail.value().toes == 5);
  CHECK(outcome.animal.extra.text == R"({"b":[1,2.5]})");
  CHECK(outcome.animal.limb_text.text == R"({"name":"x","toes":5})");
  CHECK(Read(R"({"name":"Rex"})").animal.nick == "none");
}

TEST_CASE("every broken rule is told at once, each with its place") {
  const Outcome outcome = Read(R"({"legs":-1,"limbs":[{"name":"ok"},{"toes":7},5],"tags":["a",1]})");
  std::vector<std::string> shown;
  for (const FieldError& error : outcome.errors) shown.push_back(Show(error));
  const std::string whole = R"({"legs":-1,"limbs":[{"name":"ok"},{"toes":7},5],"tags":["a",1]})";
  CHECK(shown ==
        std::vector<std::string>{
            "missing at body name: Field required | " + whole + " | ",
            "greater_than_equal at body legs: Input should be greater than or equal to 0 | -1 | {\"ge\":0}",
            "string_type at body tags 1: Input should be a valid string | 1 | ",
            "missing at body limbs 1 name: Field required | {\"toes\":7} | ",
            "less_than_equal at body limbs 1 toes: Input should be less than or equal to 6 | 7 | {\"le\":6}",
            "model_attributes_type at body limbs 2: Input should be a valid dictionary or object to extract "
            "fields from | 5 | "});
}

TEST_CASE("a body that is no object is told so, a null body is missing") {
  std::vector<FieldError> errors;
  (void)ReadJson<Animal>(nlohmann::json(nullptr), "body", errors);
  CHECK(OnlyError(errors) == "missing at body: Field required | null | ");
  errors.clear();
  (void)ReadJson<Animal>(nlohmann::json::array({1}), "body", errors);
  CHECK(OnlyError(errors).starts_with("model_attributes_type at body: "));
  errors.clear();
  (void)ReadJson<std::vector<std::string>>(nlohmann::json{{"files", {"a"}}}, "body", errors);
  CHECK(OnlyError(errors) == R"(list_type at body: Input should be a valid list | {"files":["a"]} | )");
}

TEST_CASE("numbers are taken as JSON or as text, within their bounds") {
  CHECK(ReadWith(R"("legs":"77")").animal.legs == 77);
  CHECK(ReadWith(R"("legs":77.0)").animal.legs == 77);
  CHECK(ReadWith(R"("legs":" +7.00 ")").animal.legs == 7);
  CHECK(ReadWith(R"("weight":"1e0")").animal.weight == 1.0);
  CHECK(ReadWith(R"("weight":1)").animal.weight == 1.0);
  CHECK(ErrorOf(R"("legs":77.5)") ==
        "int_from_float at body legs: Input should be a valid integer, got a number with a fractional part | "
        "77.5 | ");
  CHECK(ErrorOf(R"("legs":"ten")") ==
        "int_parsing at body legs: Input should be a valid integer, unable to parse string as an integer | "
        "\"ten\" | ");
  for (const char* bad :
       {R"("")", R"("1.5")", R"("1.")", R"("1 2")", R"("0x1")", R"("+-1")", R"("--1")", R"("1e3")"}) {
    INFO(bad);
    CHECK(ErrorOf(std::string{"\"legs\":"} + bad).starts_with("int_parsing at body legs"));
  }
  CHECK(
      ErrorOf(R"("legs":null)").starts_with("int_type at body legs: Input should be a valid integer | null"));
  CHECK(ErrorOf(R"("legs":true)").starts_with("int_type"));
  CHECK(ErrorOf(R"("legs":[1])").starts_with("int_type"));
  CHECK(ErrorOf(R"("legs":101)").starts_with("less_than_equal"));
  CHECK(ErrorOf(R"("weight":"x")").starts_with("float_parsing"));
  CHECK(ErrorOf(R"("weight":"nan")").starts_with("finite_number"));
  CHECK(ErrorOf(R"("weight":"1e999")").starts_with("finite_number"));
  CHECK(ErrorOf(R"("weight":{})").starts_with("float_type"));
  CHECK(ErrorOf(R"("weight":2.5)") ==
        "less_than_equal at body weight: Input should be less than or equal to 2 | 2.5 | {\"le\":2.0}");
}

TEST_CASE("a number no field can hold is beyond its bounds, not wrapped") {
  for (const char* large :
       {"2147483648", "9223372036854775808", "18446744073709551615", "1e30", "\"99999999999999999999\""}) {
    INFO(large);
    CHECK(ErrorOf(std::string{"\"small\":"} + large).find("less than or equal to 2147483647") !=
          std::string::npos);
  }
  for (const char* small : {"-2147483649", "-9223372036854775809", "-1e30", "\"-99999999999999999999\""}) {
    INFO(small);
    CHECK(ErrorOf(std::string{"\"small\":"} + small).find("greater than or equal to -2147483648") !=
          std::string::npos);
  }
  CHECK(ReadWith(R"("small":2147483647)").animal.small == 2147483647);
  CHECK(ReadWith(R"("small":-2147483648)").animal.small == -2147483647 - 1);
}

TEST_CASE("truth is taken in the words people use for it") {
  for (const char* yes : {"true", "1", "1.0", "\"true\"", "\"1\"", "\"YES\"", "\"on\"", "\"t\""}) {
    INFO(yes);
    CHECK(ReadWith(std::string{"\"tame\":"} + yes).animal.tame);
    CHECK(ReadWith(std::string{"\"tame\":"} + yes).errors.empty());
  }
  for (const char* no : {"false", "0", "\"False\"", "\"0\"", "\"no\"", "\"off\""}) {
    INFO(no);
    CHECK_FALSE(ReadWith(std::string{"\"tame\":"} + no).animal.tame);
  }
  CHECK(
      ErrorOf(R"("tame":"maybe")") ==
      "bool_parsing at body tame: Input should be a valid boolean, unable to interpret input | \"maybe\" | ");
  CHECK(ErrorOf(R"("tame":2)").starts_with("bool_parsing"));
  CHECK(ErrorOf(R"("tame":null)").starts_with("bool_type"));
  CHECK(ErrorOf(R"("tame":[])").starts_with("bool_type"));
}

TEST_CASE("a text is measured in characters and holds no NUL") {
  CHECK(Read("{\"name\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}").errors.empty());
  CHECK(OnlyError(Read(R"({"name":"abcdef"})").errors) ==
        "string_too_long at body name: String should have at most 5 characters | \"abcdef\" | "
        "{\"max_length\":5}");
  CHECK(OnlyError(Read(R"({"name":""})").errors) ==
        "string_too_short at body name: String should have at least 1 character | \"\" | {\"min_length\":1}");
  CHECK(OnlyError(Read(R"({"name":"a\u0000b"})").errors).starts_with("value_error at body name"));
  CHECK(ErrorOf(R"("extra":{"a":["\u0000"]})").starts_with("value_error at body extra"));
  CHECK(ErrorOf(R"("extra":{"\u0000":1})").starts_with("value_error at body extra"));
  CHECK(ErrorOf(R"("nick":"abcd")").starts_with("string_too_long at body nick"));
  CHECK(ErrorOf(R"("tags":["1","2","3","4"])") ==
        "too_long at body tags: List should have at most 3 items after validation, not 4 | null | "
        R"({"field_type":"List","max_length":3,"actual_length":4})");
}

TEST_CASE("an error repeats what was sent, but not without bound") {
  const Outcome outcome = Read("{\"name\":\"" + std::string(100'000, 'x') + "\"}");
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors[0].input.size() < 4'096);
  std::string many = "[";
  for (int i = 0; i < 1'000; ++i) many += "{},";
  const Outcome lots = ReadWith("\"limbs\":" + many + "{}]");
  CHECK(lots.errors.size() == 100);
  CHECK(Read("{\"x\":\"" + std::string(100'000, 'x') + "\"}").errors.at(0).input == "null");
}

TEST_CASE("an e-mail address has a name, an @-sign and a domain in small letters") {
  CHECK(ReadWith(R"("email":"Alice@Example.COM")").animal.email == "Alice@example.com");
  CHECK(ErrorOf(R"("email":"not-an-email")") ==
        "value_error at body email: value is not a valid email address: An email address must have an "
        "@-sign. | "
        R"("not-an-email" | {"reason":"An email address must have an @-sign."})");
  for (const std::string bad :
       {"@b.example", "a@", "a@b..example", "a@-b.example", "a b@c.example", ".a@b.example", "a@b.example.",
        "a..b@c.example", "a@b_c.example", "a@1.2.3.4", "a@b@c.example", "\\\"a\\\"@b.example", "a@[::1]",
        "<a@b.example>"}) {
    INFO(bad);
    CHECK(ErrorOf("\"email\":\"" + bad + "\"").starts_with("value_error at body email"));
  }
  CHECK(ErrorOf("\"email\":\"" + std::string(65, 'a') + "@b.example\"").starts_with("value_error"));
  CHECK(ErrorOf("\"email\":\"a@" + std::string(64, 'b') + ".example\"").starts_with("value_error"));
  for (const std::string good :
       {"a.b+c@d-e.example", "\xc3\xa9@b.example", "x@xn--bcher-kva.example", "admin@localhost"}) {
    INFO(good);
    CHECK(ErrorOf("\"email\":\"" + good + "\"") == "no error");
  }
}

TEST_CASE("moments and days are read or told to be none") {
  CHECK(ReadWith(R"("born":"2026-11-23T09:36:00Z")").animal.born.micros == 1'795'426'560'000'000);
  CHECK(ErrorOf(R"("born":"yesterday")").starts_with("datetime_from_date_parsing at body born"));
  CHECK(ErrorOf(R"("born":5)").starts_with("datetime_type"));
  CHECK(ReadWith(R"("day":"2026-02-28")").animal.day.text == "2026-02-28");
  CHECK(ErrorOf(R"("day":"2026-02-30")").starts_with("date_from_datetime_parsing at body day"));
  CHECK(ErrorOf(R"("day":5)").starts_with("date_type"));
}

TEST_CASE("a name of an enumeration is one of its texts") {
  std::vector<FieldError> errors;
  CHECK(ReadJson<Colour>(nlohmann::json("green"), "body", errors) == Colour::kGreen);
  CHECK(errors.empty());
  (void)ReadJson<Colour>(nlohmann::json("pink"), "body", errors);
  CHECK(OnlyError(errors) == R"(enum at body: Input should be 'red', 'green' or 'blue' | "pink" | )"
                             R"({"expected":"'red', 'green' or 'blue'"})");
}

TEST_CASE("a query is read like a body, its values being texts") {
  std::vector<FieldError> errors;
  const auto search = ReadPairs<Search>(
      {{"grant", "no"}, {"grant", "password"}, {"limit", "7"}, {"deep", "on"}, {"ids", "1"}, {"ids", "2"}},
      "query", errors);
  CHECK(errors.empty());
  CHECK(search.limit == 7);
  CHECK(search.deep == true);
  CHECK(search.ids == std::vector<std::int64_t>{1, 2});

  (void)ReadPairs<Search>({{"grant", "token"}}, "query", errors);
  CHECK(OnlyError(errors) ==
        R"(literal_error at query grant: Input should be 'password' | "token" | {"expected":"'password'"})");
  errors.clear();
  (void)ReadPairs<Search>({{"limit", ""}, {"ids", "x"}}, "query", errors);
  REQUIRE(errors.size() == 3);
  CHECK(Show(errors[0]) == "missing at query grant: Field required | null | ");
  CHECK(Show(errors[1]).starts_with("int_parsing at query limit"));
  CHECK(Show(errors[2]).starts_with("int_parsing at query ids 0"));
}

TEST_CASE("a field of a form that was left blank is absent") {
  std::vector<FieldError> errors;
  const auto search = ReadPairs<Search>({{"grant", ""}, {"limit", ""}}, "body", errors);
  CHECK(OnlyError(errors) == "missing at body grant: Field required | null | ");
  CHECK(search.limit == 20);
}

}  // namespace gathering::schema
