#include "core/db/params.h"

#include <limits>

#include <catch2/catch.hpp>

namespace gathering {
enum class Fruit : std::uint8_t { kApple, kPear };
template <>
struct schema::Names<Fruit> {
  static constexpr std::string_view kTexts[] = {"apple", "pear"};
};
}  // namespace gathering

namespace gathering::test {

TEST_CASE("values become PostgreSQL's texts", "[params]") {
  CHECK(db::Encode(true) == "true");
  CHECK(db::Encode(false) == "false");
  CHECK(db::Encode(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(db::Encode(0.1) == "0.1");
  CHECK(db::Encode(1e300) == "1e+300");
  CHECK(db::Encode(1.0 / 3) == "0.3333333333333333");
  CHECK(db::Encode(std::string_view{"it's"}) == "it's");
  CHECK(db::Encode(Timestamp{1'767'323'045'000'001}) == "2026-01-02T03:04:05.000001Z");
  CHECK(db::Encode(Date{"2026-01-02"}) == "2026-01-02");
}

TEST_CASE("every element of a text list is quoted", "[params]") {
  using List = std::vector<std::string>;
  CHECK(db::Encode(List{}) == "{}");
  CHECK(db::Encode(List{""}) == R"({""})");
  CHECK(db::Encode(List{"a", "NULL"}) == R"({"a","NULL"})");
  CHECK(db::Encode(List{R"(say "\o/")", "{x,y}"}) == R"({"say \"\\o/\"","{x,y}"})");
  CHECK(db::Encode(std::vector<std::int64_t>{}) == "{}");
  CHECK(db::Encode(std::vector<std::int64_t>{1, -2, 3}) == "{1,-2,3}");
}

TEST_CASE("parameters keep their order and their absence", "[params]") {
  const db::Params params =
      db::ToParams(std::int32_t{7}, "text", std::string{"more"}, std::optional<std::string>{},
                   std::optional<std::int64_t>{8}, Fruit::kPear, schema::Json<>{.text = "{}"}, true);
  const db::Params expected{"7", "text", "more", std::nullopt, "8", "pear", "{}", "true"};
  CHECK(params == expected);
}

}  // namespace gathering::test
