#include "core/schema/describe.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gathering::schema {

using nlohmann::json;

namespace {

constexpr std::string_view kMark = "x-type";  // whose component this is, until Finish

bool IsWordCharacter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// "gathering::http::Page<gathering::agents::Agent>" as {"http", "agents"} and "Page_Agent".
struct SplitName {
  std::string space;  // the innermost namespace of the type itself
  std::string plain;
};

SplitName Split(std::string_view full_name) {
  // How the compilers spell a namespace without a name; "http" holds the types of single routes.
  constexpr std::string_view kNoNames[] = {"{anonymous}::", "(anonymous namespace)::", "http::"};
  std::string cleaned{full_name};
  for (const std::string_view no_name : kNoNames) {
    for (std::size_t at = 0; (at = cleaned.find(no_name)) != std::string::npos;)
      cleaned.erase(at, no_name.size());
  }
  full_name = cleaned;
  SplitName split;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) split.plain += (split.plain.empty() ? "" : "_") + word;
    word.clear();
  };
  for (std::size_t i = 0; i < full_name.size(); ++i) {
    if (full_name.substr(i).starts_with("::")) {
      if (split.plain.empty()) split.space = word == "gathering" ? "" : word;
      word.clear();
      ++i;
    } else if (IsWordCharacter(full_name[i])) {
      word.push_back(full_name[i]);
    } else {
      flush();
    }
  }
  flush();
  return split;
}

std::string_view MarkOf(const json& component) {
  return component.at(kMark).get_ref<const std::string&>();
}

json SimpleSchema(detail::Leaf leaf) {
  using detail::Leaf;
  switch (leaf) {
    case Leaf::kBool:
      return {{"type", "boolean"}};
    case Leaf::kInt:
      return {{"type", "integer"}};
    case Leaf::kDouble:
      return {{"type", "number"}};
    case Leaf::kText:
      return {{"type", "string"}};
    case Leaf::kMoment:
      return {{"type", "string"}, {"format", "date-time"}};
    case Leaf::kDay:
      return {{"type", "string"}, {"format", "date"}};
    case Leaf::kUuid:
      return {{"type", "string"}, {"format", "uuid"}};
    case Leaf::kAny:
      break;
  }
  return json::object();
}

void Constrain(json& schema, const Rule& rule) {
  if (schema.contains("anyOf")) {
    Constrain(schema["anyOf"][0], rule);
    return;
  }
  const std::string type = schema.value("type", "");
  const auto bound = [&](const char* min, const char* max) {
    if (rule.min) schema[min] = *rule.min;
    if (rule.max) schema[max] = *rule.max;
  };
  if (type == "integer" || type == "number") bound("minimum", "maximum");
  if (type == "string") bound("minLength", "maxLength");
  if (type == "array") bound("minItems", "maxItems");
  if (!rule.format.empty()) schema["format"] = rule.format;
  if (!rule.pattern.empty()) schema["const"] = rule.pattern;
}

}  // namespace

void Finish(json& components) {
  for (json& component : components) component.erase(std::string{kMark});
}

namespace detail {

void LeafSchema(Leaf leaf, json& schema) {
  schema = SimpleSchema(leaf);
}

void NamesSchema(std::span<const std::string_view> names, json& schema) {
  schema = {{"type", "string"}, {"enum", names}};
}

json& ListSchema(json& schema) {
  schema = {{"type", "array"}, {"items", nullptr}};
  return schema["items"];
}

void OrNull(json& schema) {
  if (schema.empty()) return;  // anything, null included
  schema = {{"anyOf", json::array({std::move(schema), json{{"type", "null"}}})}};
}

json* Claim(json& components, const Owner& owner, json& schema) {
  const SplitName split = Split(owner.full_name);
  const bool is_input = owner.direction == Direction::kInput;
  const std::string type = fmt::format("{}", owner.tag);
  const std::string mark = (is_input ? ">" : "<") + type;
  for (int attempt = 0;; ++attempt) {
    std::string name = split.plain;
    if (attempt == 1 && !split.space.empty()) name = split.space + "_" + name;
    if (attempt > 1) name += fmt::to_string(attempt);
    auto found = components.find(name);
    if (found != components.end() && MarkOf(*found).substr(1) == type && MarkOf(*found) != mark) {
      name += is_input ? "Input" : "Output";
      found = components.find(name);
    }
    if (found != components.end() && MarkOf(*found) != mark) continue;
    schema = {{"$ref", "#/components/schemas/" + name}};
    if (found != components.end()) return nullptr;
    json& component = components[name];
    component = {{"type", "object"}, {"title", name}, {"properties", json::object()}, {kMark, mark}};
    return &component;
  }
}

json& AddProperty(json& object, std::string_view name, bool required) {
  if (required) object["required"].push_back(name);
  return object["properties"][std::string{name}];
}

void Qualify(json& schema, const Rule& rule, std::string_view default_value) {
  Constrain(schema, rule);
  if (!rule.doc.empty()) schema["description"] = rule.doc;
  if (!default_value.empty()) schema["default"] = json::parse(default_value);
}

}  // namespace detail
}  // namespace gathering::schema
