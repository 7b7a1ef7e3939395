#include "tests/support/json_schema.h"

#include <set>

#include <nlohmann/json.hpp>

namespace gathering::test {
namespace {

using nlohmann::json;

bool HasType(const json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  return type == "object" && value.is_object();
}

bool HasOneOfTypes(const json& value, const json& types) {
  if (types.is_string()) return HasType(value, types);
  return std::any_of(types.begin(), types.end(), [&](const json& type) { return HasType(value, type); });
}

std::string ObjectViolation(const json& schema, const json& value, const json& document,
                            const std::string& at) {
  for (const json& name : schema.value("required", json::array())) {
    if (!value.contains(name.get<std::string>())) return at + "." + name.get<std::string>() + " is missing";
  }
  static const json kNone = json::object();
  const auto found = schema.find("properties");
  const json& properties = found == schema.end() ? kNone : *found;
  for (const auto& [name, inner] : value.items()) {
    const auto property = properties.find(name);
    if (property == properties.end()) {
      if (properties.empty()) continue;
      return at + "." + name + " is not in the schema";
    }
    const std::string violation = Violation(*property, inner, document, at + "." + name);
    if (!violation.empty()) return violation;
  }
  return {};
}

}  // namespace

std::string Violation(const json& schema, const json& value, const json& document, const std::string& at) {
  static const std::set<std::string> kKnown = {
      "$ref",      "type",      "properties",  "required", "items",    "enum",    "const",
      "anyOf",     "title",     "description", "default",  "format",   "minimum", "maximum",
      "minLength", "maxLength", "minItems",    "maxItems", "examples", "pattern"};
  for (const auto& [keyword, unused] : schema.items()) {
    if (!kKnown.contains(keyword)) return at + ": unknown keyword " + keyword;
  }
  if (schema.contains("$ref")) {
    const std::string pointer = schema["$ref"].get<std::string>().substr(1);
    return Violation(document.at(json::json_pointer{pointer}), value, document, at);
  }
  if (schema.contains("anyOf")) {
    std::string first;
    for (const json& option : schema["anyOf"]) {
      const std::string violation = Violation(option, value, document, at);
      if (violation.empty()) return {};
      if (first.empty() || !value.is_null()) first = violation;
    }
    return first;
  }
  if (schema.contains("type") && !HasOneOfTypes(value, schema["type"])) {
    return at + ": " + value.dump() + " is not " + schema["type"].dump();
  }
  if (schema.contains("const") && schema["const"] != value) return at + ": not " + schema["const"].dump();
  if (schema.contains("enum") && !value.is_null()) {
    const json& names = schema["enum"];
    if (std::find(names.begin(), names.end(), value) == names.end())
      return at + ": " + value.dump() + " not in " + names.dump();
  }
  if (value.is_object()) return ObjectViolation(schema, value, document, at);
  if (value.is_array() && schema.contains("items")) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      const std::string violation =
          Violation(schema["items"], value[i], document, at + "[" + std::to_string(i) + "]");
      if (!violation.empty()) return violation;
    }
  }
  return {};
}

}  // namespace gathering::test
