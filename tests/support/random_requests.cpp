#include "tests/support/random_requests.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace gathering::test {
namespace {

using nlohmann::json;
using std::string_literals::operator""s;

// Where the placeholder of a number stands that no nlohmann::json can hold.
constexpr std::pair<std::string_view, std::string_view> kRawNumbers[] = {
    {"\"@2^64\"", "18446744073709551616"},
    {"\"@-2^63-1\"", "-9223372036854775809"},
    {"\"@40 digits\"", "1234567890123456789012345678901234567890"},
    {"\"@1e400\"", "1e400"},
    {"\"@1e308\"", "1e308"},
    {"\"@-0\"", "-0"},
    {"\"@-0.0\"", "-0.0"},
    {"\"@1e-400\"", "1e-400"},
};

const std::vector<std::string>& OddTexts() {
  static const std::vector<std::string> texts = {
      "",
      " ",
      "\t\n\r",
      "'",
      "''",
      "\"",
      "\\",
      "' or 1=1 --",
      "'; drop table users; --",
      "1); delete from agents; --",
      "\" union all select null, null --",
      "$1",
      "$$",
      "%s%n%p",
      "{0}{}",
      "%",
      "_",
      "*",
      "a\0b"s,
      "\0"s,
      "\x01\x02\x1f\x7f",
      "\x1b[31mred\x1b[0m",
      "a\r\nX-Injected: yes",
      "../../../../etc/passwd",
      "..\\..\\win.ini",
      "/etc/passwd",
      "file:///etc/passwd",
      "http://169.254.169.254/latest/",
      "<script>alert(1)</script>",
      "{{7*7}}${7*7}",
      "=cmd|' /c calc'!a1",
      "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80",              // an emoji of three parts
      "\xe2\x80\xae\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d\xe2\x81\xa6",  // right to left, not closed
      "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81",                 // many marks on one letter
      "\xef\xbb\xbf"
      "bom",
      "\xc2\xa0\xe2\x80\x8b",                  // spaces that are hard to see
      "\xc4\xb0\xc4\xb1\xc3\x9f\xef\xac\x80",  // change their length with their case
      "\xef\xbf\xbf\xf4\x8f\xbf\xbf",
      "null",
      "undefined",
      "NaN",
      "true",
      "-1",
      "1e3",
      "0x10",
      "007",
      "1_000",
      "\xd9\xa1\xd9\xa2",  // digits of another script
      "2147483648",
      "-2147483649",
      "9007199254740993",
      "9223372036854775807",
      "9223372036854775808",
      "-9223372036854775809",
      "99999999999999999999999999999999999999",
      "2026-02-30",
      "0000-00-00",
      "-4713-01-01",
      "294277-01-01",
      "9999-12-31",
      "infinity",
      "a@b",
      "@",
      "a@b@c.example",
      std::string(255, 'x'),
      std::string(1'001, 'y'),
      std::string(10'240, 'z'),
  };
  return texts;
}

json OddNumber(Dice& dice) {
  using Limits = std::numeric_limits<std::int64_t>;
  constexpr std::int64_t kWhole[] = {0,
                                     1,
                                     -1,
                                     2'147'483'647,
                                     2'147'483'648,
                                     -2'147'483'648,
                                     -2'147'483'649,
                                     4'294'967'295,
                                     4'294'967'296,
                                     9'007'199'254'740'992,
                                     9'007'199'254'740'993,
                                     -9'007'199'254'740'993,
                                     Limits::max(),
                                     Limits::max() - 1,
                                     Limits::min(),
                                     Limits::min() + 1};
  constexpr double kBroken[] = {0.5, -0.5, 1.0, 1e15, 1e18, 1e19, -1e19, 1e300, 5e-324, 0.1};
  switch (dice.Below(4)) {
    case 0:
      return kBroken[dice.Below(std::size(kBroken))];
    case 1: {
      const std::string_view quoted = kRawNumbers[dice.Below(std::size(kRawNumbers))].first;
      return std::string{quoted.substr(1, quoted.size() - 2)};
    }
    case 2:
      return std::uint64_t{9'223'372'036'854'775'807U} + dice.Below(2) * 1'000;
    default:
      return kWhole[dice.Below(std::size(kWhole))];
  }
}

json Nested(std::size_t levels, bool objects) {
  json value = nullptr;
  for (std::size_t i = 0; i < levels; ++i) value = objects ? json{{"a", value}} : json::array({value});
  return value;
}

// Anything, of any type.
json OddValue(Dice& dice) {
  switch (dice.Below(12)) {
    case 0:
      return nullptr;
    case 1:
      return dice.Percent(50);
    case 2:
      return json::array();
    case 3:
      return json::object();
    case 4:
      return Nested(std::array{1, 5, 62, 70}[dice.Below(4)], dice.Percent(50));
    case 5:
      return json(std::vector<std::string>(200, "item"));
    case 6:
      return json::array({nullptr, 1, "a", json::object()});
    case 7:
    case 8:
    case 9:
      return OddNumber(dice);
    default:
      return dice.Pick(OddTexts());
  }
}

std::string Dump(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  for (const auto& [placeholder, number] : kRawNumbers) {
    for (std::size_t at = 0; (at = text.find(placeholder, at)) != std::string::npos; at += number.size())
      text.replace(at, placeholder.size(), number);
  }
  return text;
}

// How a value of a query, path or form is written.
std::string AsText(const json& value) {
  return value.is_string() ? value.get<std::string>() : Dump(value);
}

}  // namespace

std::vector<Operation> OperationsOf(const json& document) {
  std::vector<Operation> all;
  for (const auto& [path, operations] : document.at("paths").items()) {
    for (const auto& [method, described] : operations.items()) {
      Operation operation{.id = described.at("operationId"),
                          .method = method,
                          .path = path,
                          .authority = described.at("x-authority"),
                          .parameters = described.value("parameters", json::array()),
                          .body = nullptr,
                          .responses = described.at("responses")};
      std::transform(method.begin(), method.end(), operation.method.begin(),
                     [](char c) { return static_cast<char>(c - 'a' + 'A'); });
      if (described.contains("requestBody")) {
        const json& content = described.at("requestBody").at("content");
        operation.form = content.contains("application/x-www-form-urlencoded");
        operation.body = content.begin()->at("schema");
      }
      all.push_back(std::move(operation));
    }
  }
  return all;
}

// One request in the making.
class RandomRequests::Maker {
 public:
  Maker(const RandomRequests& requests, const Operation& operation, std::uint64_t seed)
      : document_(requests.document_), hint_(requests.hint_), operation_(operation), dice_(seed) {}

  RandomRequest Make() {
    wrong_ = dice_.Percent(55) ? dice_.Below(2 + (operation_.body.is_null() ? 0 : 3)) : kNothing;
    RandomRequest request;
    request.method = operation_.method;
    request.target = Path();
    request.odd_path = odd_path_;
    const std::string query = Query();
    if (!query.empty()) request.target += "?" + query;
    AddHeaders(request);
    if (!operation_.body.is_null()) AddBody(request);
    return request;
  }

 private:
  // What is wrong: kPath, kQuery, or something of the body.
  static constexpr std::size_t kPath = 0;
  static constexpr std::size_t kQuery = 1;
  static constexpr std::size_t kNothing = 99;

  json Good(const json& schema, const std::string& name) {
    if (auto hinted = hint_(operation_, name, dice_)) return *std::move(hinted);
    if (schema.contains("$ref"))
      return Good(document_.at(json::json_pointer{schema["$ref"].get<std::string>().substr(1)}), "");
    if (schema.contains("anyOf")) return Good(dice_.Pick(schema["anyOf"]), "");
    if (schema.contains("enum")) return dice_.Pick(schema["enum"]);
    if (schema.contains("const")) return schema["const"];
    const std::string type = schema.value("type", "");
    if (type == "string") return GoodText(schema);
    if (type == "integer" || type == "number") return GoodNumber(schema);
    if (type == "boolean") return dice_.Percent(50);
    if (type == "array") {
      json list = json::array();
      for (std::size_t i = dice_.Below(4); i > 0; --i) list.push_back(Good(schema.at("items"), name + "[]"));
      return list;
    }
    if (type == "object") return GoodObject(schema);
    return type == "null" ? json{} : json(dice_.Between(1, 10));
  }

  json GoodText(const json& schema) {
    const std::string format = schema.value("format", "");
    if (format == "email") return fmt::format("user{}@example.com", dice_.Below(1'000'000));
    if (format == "date") return fmt::format("2026-{:02}-{:02}", dice_.Between(1, 12), dice_.Between(1, 28));
    const std::size_t least = schema.value("minLength", 0U);
    const std::size_t most = std::min<std::size_t>(schema.value("maxLength", 200U), 10'000);
    if (dice_.Percent(5)) return std::string(dice_.Percent(50) ? least : most, 'm');
    std::string text = fmt::format("text-{}", dice_.Below(1'000'000'000));
    return text.substr(0, most);
  }

  json GoodNumber(const json& schema) {
    const std::int64_t least = schema.value("minimum", std::int64_t{1});
    const std::int64_t most = schema.value("maximum", least + 30);
    switch (dice_.Below(10)) {
      case 0:
        return least;
      case 1:
        return most;
      default:
        return dice_.Between(least, std::min(most, least + 30));
    }
  }

  json GoodObject(const json& schema) {
    json object = json::object();
    const json required = schema.value("required", json::array());
    const json properties = schema.value("properties", json::object());
    for (const auto& [name, property] : properties.items()) {
      const bool needed = std::find(required.begin(), required.end(), name) != required.end();
      if (needed || dice_.Percent(40)) object[name] = Good(property, name);
    }
    return object;
  }

  std::string Path() {
    std::string path = dice_.Percent(5) ? "/api" : "";
    for (std::size_t at = 0; at < operation_.path.size(); ++at) {
      if (operation_.path[at] != '{') {
        path += operation_.path[at];
        continue;
      }
      const std::size_t end = operation_.path.find('}', at);
      path += Segment(operation_.path.substr(at + 1, end - at - 1));
      at = end;
    }
    return path;
  }

  std::string Segment(const std::string& name) {
    static const std::vector<std::string> kBroken = {
        "%",         "%z",           "%zz",       "%00",   "%c3%28", "%f5%80", "%ed%a0",
        "%2e%2e%2f", "..%252f..%2f", "%0d%0aX:y", "1;a=b", "1%2f2",  "+1",     "%20",
        "1%20",      "~!$&'()",      "1.0",       "1e0",   "-0"};
    for (const json& parameter : operation_.parameters) {
      if (parameter.at("name") != name || parameter.at("in") != "path") continue;
      if (wrong_ != kPath) return UrlEncode(AsText(Good(parameter.at("schema"), name)));
    }
    odd_path_ = true;
    return dice_.Percent(30) ? dice_.Pick(kBroken) : UrlEncode(AsText(OddValue(dice_)));
  }

  std::string Query() {
    std::string query;
    const auto add = [&](std::string_view name, std::string_view value) {
      query += fmt::format("{}{}={}", query.empty() ? "" : "&", UrlEncode(name), value);
    };
    for (const json& parameter : operation_.parameters) {
      if (parameter.at("in") != "query" || parameter.at("name") == "token") continue;
      const std::string name = parameter.at("name");
      const bool odd = wrong_ == kQuery && dice_.Percent(40);
      const bool needed = parameter.at("required").get<bool>() && !(odd && dice_.Percent(20));
      if (!needed && !dice_.Percent(odd ? 70 : 30)) continue;
      const json value = odd ? OddValue(dice_) : Good(parameter.at("schema"), name);
      const json values = value.is_array() && !odd ? value : json::array({value});
      for (const json& one : values) {
        if (!one.is_null() || odd) add(name, UrlEncode(AsText(one)));
      }
    }
    if (wrong_ == kQuery && dice_.Percent(30)) add(dice_.Pick(OddTexts()), UrlEncode(dice_.Pick(OddTexts())));
    if (wrong_ == kQuery && dice_.Percent(5)) query += "&%zz=%";
    return query;
  }

  void AddHeaders(RandomRequest& request) {
    for (const json& parameter : operation_.parameters) {
      if (parameter.at("in") != "header" || !dice_.Percent(15)) continue;
      std::string value =
          dice_.Percent(60) ? fmt::format("\"{:016x}\"", dice_.Below(1'000)) : dice_.Pick(OddTexts());
      // A line's end would make another field, which is no value any more.
      std::erase_if(value, [](char c) { return c == '\r' || c == '\n'; });
      request.headers.emplace_back(parameter.at("name"), std::move(value));
    }
  }

  void AddBody(RandomRequest& request) {
    json body = Good(operation_.body, "");
    const bool broken = wrong_ != kNothing && wrong_ > kQuery;
    if (broken) Spoil(body, 0);
    if (operation_.form) {
      request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
      if (!body.is_object()) body = json{{"username", body}};
      for (const auto& [name, value] : body.items()) {
        request.body += fmt::format("{}{}={}", request.body.empty() ? "" : "&", UrlEncode(name),
                                    UrlEncode(AsText(value)));
      }
      return;
    }
    if (!dice_.Percent(5)) request.headers.emplace_back("Content-Type", "application/json");
    request.body = Dump(body);
    if (broken && dice_.Percent(10)) SpoilText(request.body);
  }

  // One thing of it, at any depth.
  void Spoil(json& value, int depth) {
    if (!value.is_structured() || value.empty() || (depth == 0 && dice_.Percent(8))) {
      value = OddValue(dice_);
      return;
    }
    auto chosen = value.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(dice_.Below(value.size())));
    if (chosen->is_structured() && !chosen->empty() && dice_.Percent(60)) return Spoil(*chosen, depth + 1);
    switch (dice_.Below(8)) {
      case 0:
        value.erase(chosen);
        break;
      case 1:
        *chosen = nullptr;
        break;
      case 2:
        if (value.is_object()) value[dice_.Pick(OddTexts())] = OddValue(dice_);
        break;
      default:
        *chosen = OddValue(dice_);
    }
  }

  void SpoilText(std::string& text) {
    if (text.empty()) return;
    const std::size_t at = dice_.Below(text.size());
    switch (dice_.Below(3)) {
      case 0:
        text.resize(at);
        break;
      case 1:
        text[at] = static_cast<char>(dice_.Below(256));
        break;
      default:
        text.insert(at, dice_.Pick(OddTexts()));
    }
  }

  const json& document_;
  const Hint& hint_;
  const Operation& operation_;
  Dice dice_;
  std::size_t wrong_ = kNothing;
  bool odd_path_ = false;
};

RandomRequest RandomRequests::Make(const Operation& operation, std::uint64_t seed) const {
  return Maker{*this, operation, seed}.Make();
}

}  // namespace gathering::test
