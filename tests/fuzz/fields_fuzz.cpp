// A struct read from JSON or from pairs: broken rules are listed within bounds, and what is read without any
// is read again from what is written.
#include <nlohmann/json.hpp>

#include "core/schema/reader.h"
#include "core/schema/writer.h"
#include "daemon/http/message.h"
#include "tests/fuzz/promise.h"

namespace {

enum class Colour : std::uint8_t { kRed, kBlue };

struct Inner {
  std::string name;
  std::vector<std::int64_t> numbers;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.min = 1, .max = 8, .required = true});
    visit("numbers", self.numbers, {.max = 4});
  }
};

// One of each kind that a text can say.
struct Flat {
  bool flag = false;
  std::int32_t small = 0;
  std::int64_t large = 5;
  double share = 0.5;
  std::string text;
  std::string email = "a@b";
  std::optional<gathering::Timestamp> at;
  std::optional<gathering::Date> day;
  std::optional<gathering::Uuid> id;
  std::optional<Colour> colour;
  std::vector<std::string> words;

  static void Fields(auto& self, auto& visit) {
    visit("flag", self.flag);
    visit("small", self.small, {.min = -7, .max = 1'000});
    visit("large", self.large);
    visit("share", self.share, {.min = -1, .max = 1'000'000});
    visit("text", self.text, {.min = 1, .max = 20, .required = true});
    visit("email", self.email, {.format = "email"});
    visit("at", self.at);
    visit("day", self.day);
    visit("id", self.id);
    visit("colour", self.colour);
    visit("words", self.words, {.max = 3});
  }
};

struct Deep : Flat {
  std::vector<Inner> inner;
  std::optional<gathering::OffsetTimestamp> then;
  gathering::schema::Json<> any;
  gathering::schema::Json<Inner> shaped = {.text = R"({"name":"x","numbers":[]})"};

  static void Fields(auto& self, auto& visit) {
    Flat::Fields(self, visit);
    visit("inner", self.inner, {.max = 3});
    visit("then", self.then);
    visit("any", self.any);
    visit("shaped", self.shaped);
  }
};

}  // namespace

template <>
struct gathering::schema::Names<Colour> {
  static constexpr std::string_view kTexts[] = {"red", "blue"};
};

namespace {

using gathering::fuzz::Require;
using nlohmann::json;
using Errors = std::vector<gathering::FieldError>;

constexpr std::size_t kErrorsMax = 100;
constexpr std::size_t kInputBytesMax = 16'384;  // 2 KiB, each byte escaped at most

void RequireBounded(const Errors& errors) {
  Require(errors.size() <= kErrorsMax, "the broken rules are bounded");
  for (const gathering::FieldError& error : errors) {
    Require(!error.type.empty() && !error.message.empty() && !error.location.empty(), "a rule has words");
    Require(json::accept(error.input), "an input is repeated as JSON");
    Require(error.context.empty() || json::accept(error.context), "a context is JSON");
    Require(error.input.size() <= kInputBytesMax, "an input is repeated within bounds");
  }
}

template <class T>
void RequireReadAgain(const T& value) {
  const std::string text = gathering::schema::ToJson(value);
  Errors errors;
  const T again = gathering::schema::ReadJson<T>(gathering::schema::ParseJson(text, {}), "body", errors);
  if (!errors.empty()) throw gathering::fuzz::BrokenPromise{errors.front().message + " in " + text};
  gathering::fuzz::RequireSame(gathering::schema::ToJson(again), text, "what is written is read back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gathering::fuzz::Input input{data, size};
  const bool pairs = input.Byte() % 2 == 0;
  Errors errors;
  if (pairs) {
    const auto decoded = gathering::http::DecodePairs(input.Rest(), 32);
    if (!decoded) return 0;
    const auto value = gathering::schema::ReadPairs<Flat>(*decoded, "query", errors);
    RequireBounded(errors);
    if (errors.empty()) RequireReadAgain(value);
    return 0;
  }
  json body;
  try {
    body = gathering::schema::ParseJson(input.Rest(), {});
  } catch (const gathering::Error&) {
    return 0;  // the matter of json_fuzz
  }
  const auto value = gathering::schema::ReadJson<Deep>(body, "body", errors);
  RequireBounded(errors);
  if (errors.empty()) RequireReadAgain(value);
  return 0;
}
