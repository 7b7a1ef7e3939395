#include <catch2/catch.hpp>

#include "core/schema/describe.h"
#include "tests/support/json.h"

namespace gathering::schema {
namespace left {

struct Thing {
  std::int64_t id = 0;
  static void Fields(auto& self, auto& visit) { visit("id", self.id); }
};

}  // namespace left
namespace right {

struct Thing {
  std::string name;
  static void Fields(auto& self, auto& visit) { visit("name", self.name, {.required = true}); }
};

}  // namespace right

namespace {

enum class Size : std::uint8_t { kSmall, kLarge };

struct Everything {
  std::string text = "x";
  std::optional<std::int64_t> count;
  std::vector<left::Thing> things;
  Size size = Size::kLarge;
  double share = 0.5;
  Timestamp at;
  Json<> any;
  Json<std::vector<right::Thing>> others;

  static void Fields(auto& self, auto& visit) {
    visit("text", self.text, {.doc = "One line", .min = 1, .max = 9, .required = true});
    visit("count", self.count, {.min = 0, .max = 5});
    visit("things", self.things, {.max = 3});
    visit("size", self.size);
    visit("share", self.share);
    visit("at", self.at, {.required = true});
    visit("any", self.any);
    visit("others", self.others);
  }
};

struct Tree {
  std::vector<Tree> children;
  static void Fields(auto& self, auto& visit) { visit("children", self.children); }
};

}  // namespace
}  // namespace gathering::schema

template <>
struct gathering::schema::Names<gathering::schema::Size> {
  static constexpr std::string_view kTexts[] = {"small", "large"};
};

namespace gathering::schema {

using nlohmann::json;

template <class T, Direction direction = Direction::kInput>
json Described(json& components) {
  json schema;
  Describe<T, direction>(components, schema);
  return schema;
}

TEST_CASE("a type's schema says its rules and its defaults") {
  json components = json::object();
  CHECK(Described<Everything>(components) == json::parse(R"({"$ref":"#/components/schemas/Everything"})"));
  Finish(components);
  CHECK(components.at("Everything") == json::parse(R"({
    "title": "Everything", "type": "object", "required": ["text", "at"],
    "properties": {
      "text": {"type": "string", "description": "One line", "minLength": 1, "maxLength": 9},
      "count": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 5}, {"type": "null"}],
                "default": null},
      "things": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}, "maxItems": 3,
                 "default": []},
      "size": {"type": "string", "enum": ["small", "large"], "default": "large"},
      "share": {"type": "number", "default": 0.5},
      "at": {"type": "string", "format": "date-time"},
      "any": {"default": null},
      "others": {"type": "array", "items": {"$ref": "#/components/schemas/right_Thing"}, "default": null}
    }})"));
}

TEST_CASE("two types of one name get two components") {
  json components = json::object();
  const json left = Described<left::Thing>(components);
  const json right = Described<right::Thing>(components);
  CHECK(left.at("$ref") == "#/components/schemas/Thing");
  CHECK(right.at("$ref") == "#/components/schemas/right_Thing");
  CHECK(Described<left::Thing>(components) == left);
  CHECK(Described<right::Thing>(components) == right);
  CHECK(components.size() == 2);
}

TEST_CASE("what we answer holds every field, what we read need not") {
  json components = json::object();
  CHECK(Described<left::Thing>(components).at("$ref") == "#/components/schemas/Thing");
  CHECK(Described<left::Thing, Direction::kOutput>(components).at("$ref") ==
        "#/components/schemas/ThingOutput");
  CHECK_FALSE(components.at("Thing").contains("required"));
  CHECK(components.at("ThingOutput").at("required") == json::array({"id"}));
  CHECK_FALSE(components.at("ThingOutput").at("properties").at("id").contains("default"));
}

TEST_CASE("a type may hold itself") {
  json components = json::object();
  CHECK(Described<Tree>(components).at("$ref") == "#/components/schemas/Tree");
  CHECK(components.at("Tree").at("properties").at("children").at("items").at("$ref") ==
        "#/components/schemas/Tree");
}

}  // namespace gathering::schema
