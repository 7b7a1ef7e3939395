#include "core/db/row.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/db/params.h"

namespace gathering::test {
namespace {

using Texts = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;

// A result made of texts.
class Canned final : public db::Result {
 public:
  using Row = std::vector<std::optional<std::string>>;
  Canned(Texts names, std::vector<Row> rows) : names_(std::move(names)), rows_(std::move(rows)) {}

  std::size_t rows() const override { return rows_.size(); }
  std::size_t columns() const override { return names_.size(); }
  std::size_t affected() const override { return rows_.size(); }
  std::string_view column_name(std::size_t column) const override { return names_[column]; }
  std::optional<std::string_view> text(std::size_t row, std::size_t column) const override {
    const auto& value = rows_[row][column];
    return value ? std::optional<std::string_view>{*value} : std::nullopt;
  }

 private:
  Texts names_;
  std::vector<Row> rows_;
};

struct Person {
  std::int64_t id = 0;
  std::string name;
  std::optional<std::string> nickname;
  std::vector<std::string> tags;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("name", self.name);
    visit("nickname", self.nickname);
    visit("tags", self.tags);
  }
};

db::Rows Answer(Texts names, std::vector<Canned::Row> rows) {
  return db::Rows{std::make_unique<Canned>(std::move(names), std::move(rows))};
}

template <class T>
T Decoded(std::string_view text) {
  T value{};
  db::Decode(text, "column", value);
  return value;
}

template <class T>
bool Refuses(std::string_view text) {
  try {
    Decoded<T>(text);
    return false;
  } catch (const Error& error) {
    return error.code == Code::kInternal && error.cause.find("\"column\"") != std::string::npos;
  }
}

}  // namespace

TEST_CASE("a row becomes a struct by the order of its fields", "[row]") {
  const auto rows = Answer({"id", "name", "nickname", "tags"},
                           {{"1", "Ada", std::nullopt, "{}"}, {"2", "Bob", "Bobby", "{a,\"b c\"}"}});
  REQUIRE(rows.size() == 2);
  const auto ada = rows.As<Person>(0);
  CHECK(ada.id == 1);
  CHECK(ada.name == "Ada");
  CHECK_FALSE(ada.nickname);
  CHECK(ada.tags.empty());
  const auto bob = rows.As<Person>(1);
  CHECK(bob.nickname == "Bobby");
  CHECK(bob.tags == Texts{"a", "b c"});
}

TEST_CASE("a query and its type cannot drift apart", "[row]") {
  CHECK_THROWS_AS(Answer({"id", "title", "nickname", "tags"}, {{"1", "Ada", "", "{}"}}).As<Person>(0), Error);
  CHECK_THROWS_AS(Answer({"id", "name"}, {{"1", "Ada"}}).As<Person>(0), Error);
  CHECK_THROWS_AS(Answer({"id", "name", "nickname", "tags"}, {{std::nullopt, "Ada", "", "{}"}}).As<Person>(0),
                  Error);
}

TEST_CASE("a single value needs no struct", "[row]") {
  CHECK(Answer({"count"}, {{"42"}}).As<std::int64_t>(0) == 42);
  CHECK(Answer({"max"}, {{std::nullopt}}).As<std::optional<std::int64_t>>(0) == std::nullopt);
  CHECK(Answer({"data"}, {{"{\"a\": 1}"}}).As<schema::Json<>>(0).text == "{\"a\": 1}");
}

TEST_CASE("texts of PostgreSQL become values", "[row]") {
  CHECK(Decoded<bool>("t"));
  CHECK_FALSE(Decoded<bool>("f"));
  CHECK(Decoded<std::int32_t>("-2147483648") == -2147483648);
  CHECK(Decoded<std::int64_t>("9223372036854775807") == 9223372036854775807);
  CHECK(Decoded<double>("1e-07") == 1e-7);
  CHECK(Decoded<Timestamp>("2026-01-02 03:04:05.000001+00").micros == 1'767'323'045'000'001);
  CHECK(Decoded<Timestamp>("2026-01-02 05:34:05+02:30").micros == 1'767'323'045'000'000);
  CHECK(Decoded<OffsetTimestamp>("2026-01-02 03:04:05").micros == 1'767'323'045'000'000);
  CHECK(Decoded<Date>("2024-02-29").text == "2024-02-29");
}

TEST_CASE("a text that does not fit is our bug, told with the column", "[row]") {
  CHECK(Refuses<bool>("true"));
  CHECK(Refuses<std::int32_t>("2147483648"));
  CHECK(Refuses<std::int64_t>("9223372036854775808"));
  CHECK(Refuses<std::int64_t>("12 "));
  CHECK(Refuses<std::int64_t>(""));
  CHECK(Refuses<double>("one"));
  CHECK(Refuses<Timestamp>("infinity"));
  CHECK(Refuses<Date>("2026-02-29"));
}

TEST_CASE("array literals are read with their quotes", "[row]") {
  CHECK(Decoded<Texts>("{}").empty());
  CHECK(Decoded<Texts>("{a}") == Texts{"a"});
  CHECK(Decoded<Texts>(R"({"","NULL","a,b","q\"\\q","{x}"})") == Texts{"", "NULL", "a,b", "q\"\\q", "{x}"});
  CHECK(Decoded<Numbers>("{1,-2,3}") == Numbers{1, -2, 3});
  for (const char* bad : {"", "{", "}", "a", "{a,}", "{,a}", "{a", "{NULL}", "{{a},{b}}", "{\"a}", "{\"a\"b}",
                          "[0:1]={a,b}", "{\"a\\"}) {
    INFO(bad);
    CHECK(Refuses<Texts>(bad));
  }
  CHECK(Refuses<Numbers>("{x}"));
}

TEST_CASE("a text list comes back as it was sent", "[row][params]") {
  Texts nasty;
  for (int c = 1; c < 256; ++c) nasty.push_back(std::string(2, static_cast<char>(c)) + ",\"\\{}");
  CHECK(Decoded<Texts>(db::Encode(nasty)) == nasty);
}

}  // namespace gathering::test
