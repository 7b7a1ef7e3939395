#include "core/schema/reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/text.h"
#include "core/base/utf8.h"

namespace gathering::schema::detail {
namespace {

using nlohmann::json;

// A client needs no more to find its mistakes, and an answer must not outgrow its request.
constexpr std::size_t kErrorsMax = 100;
constexpr std::size_t kEchoBytesMax = 2'048;

std::string Quoted(std::string_view text) {
  std::string out;
  WriteText(text, out);
  return out;
}

std::optional<std::string_view> TextOf(const Source& source) {
  if (source.text != nullptr) return *source.text;
  if (source.json->is_string()) return source.json->get_ref<const std::string&>();
  return std::nullopt;
}

// Takes the size of the value as text from `budget`, roughly; false when it is used up.
bool Affordable(const json& value, std::size_t& budget) {
  std::size_t cost = 8;
  if (value.is_string()) cost += value.get_ref<const std::string&>().size();
  if (cost > budget) return false;
  budget -= cost;
  if (value.is_object()) {
    for (auto it = value.begin(); it != value.end(); ++it) {
      if (it.key().size() > budget || !Affordable(*it, budget)) return false;
    }
  } else if (value.is_array()) {
    return std::all_of(value.begin(), value.end(),
                       [&](const json& item) { return Affordable(item, budget); });
  }
  return true;
}

// The value as the client sent it: a long text is cut, a long list or object left out.
std::string Echo(const Source& source) {
  if (auto text = TextOf(source)) {
    std::size_t end = std::min(text->size(), kEchoBytesMax);
    while (end < text->size() && end > 0 && (static_cast<unsigned char>((*text)[end]) & 0xC0) == 0x80) --end;
    return Quoted(text->substr(0, end));
  }
  std::size_t budget = kEchoBytesMax;
  if (!Affordable(*source.json, budget)) return "null";
  return source.json->dump(-1, ' ', false, json::error_handler_t::replace);
}

struct Broken {
  std::string_view type;
  std::string message;
  std::string context = {};
};

void Report(const Where& at, std::string input, Broken broken, Errors& errors) {
  if (errors.size() >= kErrorsMax) return;
  FieldError error{
      std::string{broken.type}, {}, std::move(broken.message), std::move(input), std::move(broken.context)};
  for (const Where* step = &at; step != nullptr; step = step->parent) {
    if (step->name.data() != nullptr) {
      error.location.emplace_back(std::string{step->name});
    } else {
      error.location.emplace_back(step->index);
    }
  }
  std::reverse(error.location.begin(), error.location.end());
  errors.push_back(std::move(error));
}

void Report(const Where& at, const Source& source, Broken broken, Errors& errors) {
  if (errors.size() < kErrorsMax) Report(at, Echo(source), std::move(broken), errors);
}

// A whole number as it was written; `beyond` is -1 or 1 when no std::int64_t holds it.
struct Whole {
  std::int64_t value = 0;
  int beyond = 0;
};

Whole WholeOf(double value) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (value >= kLimit) return {.beyond = 1};
  if (value < -kLimit) return {.beyond = -1};
  return {.value = static_cast<std::int64_t>(value)};
}

// Digits with a sign, and a fraction of zeros at most ("77", "+77", "77.0").
std::optional<Whole> ParseWhole(std::string_view text) {
  text = Trimmed(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  Whole whole;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), whole.value);
  if (error == std::errc::invalid_argument) return std::nullopt;
  if (error == std::errc::result_out_of_range) whole.beyond = text.starts_with('-') ? -1 : 1;
  std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  if (rest.empty()) return whole;
  rest.remove_prefix(1);
  const bool zeros = *end == '.' && !rest.empty() && rest.find_first_not_of('0') == std::string_view::npos;
  return zeros ? std::optional{whole} : std::nullopt;
}

std::optional<double> ParseDouble(std::string_view text) {
  text = Trimmed(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return std::numeric_limits<double>::infinity();
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Broken TooSmall(std::int64_t bound, std::string_view shown) {
  return {"greater_than_equal", fmt::format("Input should be greater than or equal to {}", bound),
          fmt::format(R"({{"ge":{}}})", shown)};
}

Broken TooLarge(std::int64_t bound, std::string_view shown) {
  return {"less_than_equal", fmt::format("Input should be less than or equal to {}", bound),
          fmt::format(R"({{"le":{}}})", shown)};
}

Broken BadValue(std::string_view subject, std::string_view reason) {
  return {"value_error", fmt::format("{}: {}", subject, reason),
          fmt::format(R"({{"reason":{}}})", Quoted(reason))};
}

bool HasNul(const json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().find('\0') != std::string::npos;
  if (value.is_array()) return std::any_of(value.begin(), value.end(), HasNul);
  if (!value.is_object()) return false;
  for (auto it = value.begin(); it != value.end(); ++it) {
    if (it.key().find('\0') != std::string::npos || HasNul(*it)) return true;
  }
  return false;
}

constexpr std::string_view kNulMessage = "A text cannot hold the character U+0000.";

// --- e-mail ----------------------------------------------------------------------------------------

constexpr std::size_t kEmailBytesMax = 254;  // RFC 5321, section 4.5.3.1.3, without the brackets
constexpr std::size_t kLocalBytesMax = 64;
constexpr std::size_t kLabelBytesMax = 63;

bool IsAlnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool IsLocalPart(std::string_view local) {
  constexpr std::string_view kMarks = "!#$%&'*+-/=?^_`{|}~.";
  if (local.starts_with('.') || local.ends_with('.') || local.find("..") != std::string_view::npos)
    return false;
  return std::all_of(local.begin(), local.end(), [&](char c) {
    return IsAlnum(c) || static_cast<unsigned char>(c) >= 0x80 || kMarks.find(c) != std::string_view::npos;
  });
}

bool IsLabel(std::string_view label) {
  if (label.empty() || label.size() > kLabelBytesMax || label.starts_with('-') || label.ends_with('-'))
    return false;
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return IsAlnum(c) || c == '-' || static_cast<unsigned char>(c) >= 0x80; });
}

// One label is enough: the first administrator is admin@localhost.
bool IsDomain(std::string_view domain) {
  const std::string_view last = domain.substr(domain.rfind('.') + 1);
  if (last.find_first_not_of("0123456789") == std::string_view::npos) return false;
  while (true) {
    const std::size_t dot = domain.find('.');
    if (!IsLabel(domain.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    domain.remove_prefix(dot + 1);
  }
}

// Why `email` is none, or empty.
std::string_view EmailFault(std::string_view email) {
  const std::size_t at = email.rfind('@');
  if (at == std::string_view::npos) return "An email address must have an @-sign.";
  if (email.size() > kEmailBytesMax) return "The address is longer than 254 bytes.";
  if (at == 0) return "The part before the @-sign is empty.";
  if (at > kLocalBytesMax) return "The part before the @-sign is longer than 64 bytes.";
  if (!IsLocalPart(email.substr(0, at))) return "The part before the @-sign is not valid.";
  if (!IsDomain(email.substr(at + 1))) return "The part after the @-sign is not a domain name.";
  return {};
}

std::optional<Broken> TextFault(std::string_view text, const Rule& rule) {
  if (text.find('\0') != std::string_view::npos) return BadValue("Value error", kNulMessage);
  const auto length = static_cast<std::int64_t>(Utf8Count(text));
  if (rule.min && length < *rule.min) {
    return Broken{
        "string_too_short",
        fmt::format("String should have at least {} character{}", *rule.min, *rule.min == 1 ? "" : "s"),
        fmt::format(R"({{"min_length":{}}})", *rule.min)};
  }
  if (rule.max && length > *rule.max) {
    return Broken{
        "string_too_long",
        fmt::format("String should have at most {} character{}", *rule.max, *rule.max == 1 ? "" : "s"),
        fmt::format(R"({{"max_length":{}}})", *rule.max)};
  }
  if (!rule.pattern.empty() && text != rule.pattern) {
    const std::string expected = fmt::format("'{}'", rule.pattern);
    return Broken{"literal_error", "Input should be " + expected,
                  fmt::format(R"({{"expected":{}}})", Quoted(expected))};
  }
  if (rule.format == "email") {
    const std::string_view fault = EmailFault(text);
    if (!fault.empty()) return BadValue("value is not a valid email address", fault);
  }
  return std::nullopt;
}

}  // namespace

bool IsNull(const Source& source) {
  return source.json != nullptr && source.json->is_null();
}

const json* Member(const json& object, std::string_view name) {
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

const json& Item(const json& list, std::size_t index) {
  return list[index];
}

std::vector<const std::string*> Find(const Pairs& pairs, std::string_view name) {
  std::vector<const std::string*> found;
  for (const auto& [key, value] : pairs) {
    if (key == name) found.push_back(&value);
  }
  return found;
}

void ReportMissing(const json* parent, const Where& at, Errors& errors) {
  std::string input = parent == nullptr ? "null" : Echo(Source{.json = parent});
  Report(at, std::move(input), {"missing", "Field required"}, errors);
}

void ReadBool(const Source& source, const Where& at, Errors& errors, bool& out) {
  constexpr std::string_view kTrue[] = {"true", "1", "yes", "y", "on", "t"};
  constexpr std::string_view kFalse[] = {"false", "0", "no", "n", "off", "f"};
  std::string word;
  if (const auto text = TextOf(source)) {
    word = Lower(text->substr(0, 8));
  } else if (source.json->is_boolean()) {
    word = source.json->get<bool>() ? "1" : "0";
  } else if (source.json->is_number()) {
    const auto number = source.json->get<double>();
    word = number == 1 ? "1" : number == 0 ? "0" : "";
  } else {
    Report(at, source, {"bool_type", "Input should be a valid boolean"}, errors);
    return;
  }
  if (std::find(std::begin(kTrue), std::end(kTrue), word) != std::end(kTrue)) {
    out = true;
  } else if (std::find(std::begin(kFalse), std::end(kFalse), word) != std::end(kFalse)) {
    out = false;
  } else {
    Report(at, source, {"bool_parsing", "Input should be a valid boolean, unable to interpret input"},
           errors);
  }
}

std::optional<std::int64_t> ReadInt(const Source& source, const Rule& rule, const Range& range,
                                    const Where& at, Errors& errors) {
  std::optional<Whole> whole;
  if (const auto text = TextOf(source)) {
    whole = ParseWhole(*text);
    if (!whole) {
      Report(at, source,
             {"int_parsing", "Input should be a valid integer, unable to parse string as an integer"},
             errors);
      return std::nullopt;
    }
  } else if (source.json->is_number_unsigned()) {
    const auto value = source.json->get<std::uint64_t>();
    const bool fits = value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    whole = fits ? Whole{.value = static_cast<std::int64_t>(value)} : Whole{.beyond = 1};
  } else if (source.json->is_number_integer()) {
    whole = Whole{.value = source.json->get<std::int64_t>()};
  } else if (source.json->is_number_float()) {
    const auto value = source.json->get<double>();
    if (value != std::trunc(value)) {
      Report(at, source,
             {"int_from_float", "Input should be a valid integer, got a number with a fractional part"},
             errors);
      return std::nullopt;
    }
    whole = WholeOf(value);
  } else {
    Report(at, source, {"int_type", "Input should be a valid integer"}, errors);
    return std::nullopt;
  }
  const std::int64_t min = std::max(range.min, rule.min.value_or(range.min));
  const std::int64_t max = std::min(range.max, rule.max.value_or(range.max));
  if (whole->beyond < 0 || (whole->beyond == 0 && whole->value < min)) {
    Report(at, source, TooSmall(min, fmt::to_string(min)), errors);
    return std::nullopt;
  }
  if (whole->beyond > 0 || whole->value > max) {
    Report(at, source, TooLarge(max, fmt::to_string(max)), errors);
    return std::nullopt;
  }
  return whole->value;
}

void ReadDouble(const Source& source, const Rule& rule, const Where& at, Errors& errors, double& out) {
  std::optional<double> value;
  if (const auto text = TextOf(source)) {
    value = ParseDouble(*text);
    if (!value) {
      Report(at, source,
             {"float_parsing", "Input should be a valid number, unable to parse string as a number"}, errors);
      return;
    }
  } else if (source.json->is_number()) {
    value = source.json->get<double>();
  } else {
    Report(at, source, {"float_type", "Input should be a valid number"}, errors);
    return;
  }
  const auto shown = [](std::int64_t bound) {
    std::string text;
    WriteNumber(static_cast<double>(bound), text);
    return text;
  };
  if (!std::isfinite(*value)) {
    Report(at, source, {"finite_number", "Input should be a finite number"}, errors);
  } else if (rule.min && *value < static_cast<double>(*rule.min)) {
    Report(at, source, TooSmall(*rule.min, shown(*rule.min)), errors);
  } else if (rule.max && *value > static_cast<double>(*rule.max)) {
    Report(at, source, TooLarge(*rule.max, shown(*rule.max)), errors);
  } else {
    out = *value;
  }
}

void ReadString(const Source& source, const Rule& rule, const Where& at, Errors& errors, std::string& out) {
  const auto text = TextOf(source);
  if (!text) {
    Report(at, source, {"string_type", "Input should be a valid string"}, errors);
    return;
  }
  if (auto fault = TextFault(*text, rule)) {
    Report(at, source, *std::move(fault), errors);
    return;
  }
  out.assign(*text);
  if (rule.format == "email") {
    // Only the domain is the same in every case; what stands before it is the receiver's business.
    const std::size_t domain = out.rfind('@') + 1;
    out.replace(domain, std::string::npos, Lower(std::string_view{out}.substr(domain)));
  }
}

std::optional<std::int64_t> ReadMoment(const Source& source, const Where& at, Errors& errors) {
  const auto text = TextOf(source);
  if (!text) {
    Report(at, source, {"datetime_type", "Input should be a valid datetime"}, errors);
    return std::nullopt;
  }
  const auto moment = ParseTimestamp(*text);
  if (!moment) {
    Report(at, source,
           {"datetime_from_date_parsing", "Input should be a valid datetime or date, invalid format",
            R"({"error":"invalid format"})"},
           errors);
    return std::nullopt;
  }
  return moment->micros;
}

void ReadDate(const Source& source, const Where& at, Errors& errors, Date& out) {
  const auto text = TextOf(source);
  if (!text) {
    Report(at, source, {"date_type", "Input should be a valid date"}, errors);
  } else if (auto date = ParseDate(*text)) {
    out = *std::move(date);
  } else {
    Report(at, source,
           {"date_from_datetime_parsing", "Input should be a valid date or datetime, invalid format",
            R"({"error":"invalid format"})"},
           errors);
  }
}

void ReadUuid(const Source& source, const Where& at, Errors& errors, Uuid& out) {
  const auto text = TextOf(source);
  if (!text) {
    Report(at, source, {"uuid_type", "Input should be a valid UUID"}, errors);
  } else if (const auto id = ParseUuid(*text)) {
    out = *id;
  } else {
    Report(at, source,
           {"uuid_parsing", "Input should be a valid UUID, 36 characters with hyphens",
            R"({"error":"invalid format"})"},
           errors);
  }
}

void ReadAnyJson(const Source& source, const Where& at, Errors& errors, std::string& out) {
  if (source.text != nullptr) {
    out = Quoted(*source.text);
  } else if (HasNul(*source.json)) {
    Report(at, source, BadValue("Value error", kNulMessage), errors);
  } else {
    out = source.json->dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

std::optional<std::size_t> ReadName(const Source& source, std::span<const std::string_view> names,
                                    const Where& at, Errors& errors) {
  if (const auto text = TextOf(source)) {
    const auto found = std::find(names.begin(), names.end(), *text);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  }
  std::string expected;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) expected += i + 1 == names.size() ? " or " : ", ";
    expected += fmt::format("'{}'", names[i]);
  }
  Report(at, source,
         {"enum", "Input should be " + expected, fmt::format(R"({{"expected":{}}})", Quoted(expected))},
         errors);
  return std::nullopt;
}

bool CheckLength(std::size_t length, const Rule& rule, const Where& at, Errors& errors) {
  const auto plural = [](std::int64_t n) { return n == 1 ? "" : "s"; };
  const auto count = static_cast<std::int64_t>(length);
  if (rule.min && count < *rule.min) {
    Report(at, length == 0 ? "[]" : "null",
           {"too_short",
            fmt::format("List should have at least {} item{} after validation, not {}", *rule.min,
                        plural(*rule.min), count),
            fmt::format(R"({{"field_type":"List","min_length":{},"actual_length":{}}})", *rule.min, count)},
           errors);
    return false;
  }
  if (rule.max && count > *rule.max) {
    Report(at, "null",
           {"too_long",
            fmt::format("List should have at most {} item{} after validation, not {}", *rule.max,
                        plural(*rule.max), count),
            fmt::format(R"({{"field_type":"List","max_length":{},"actual_length":{}}})", *rule.max, count)},
           errors);
    return false;
  }
  return true;
}

std::optional<std::size_t> ReadList(const Source& source, const Rule& rule, const Where& at, Errors& errors) {
  if (source.json == nullptr || !source.json->is_array()) {
    Report(at, source, {"list_type", "Input should be a valid list"}, errors);
    return std::nullopt;
  }
  if (!CheckLength(source.json->size(), rule, at, errors)) return std::nullopt;
  return source.json->size();
}

bool ReadObject(const Source& source, const Where& at, Errors& errors) {
  if (source.json != nullptr && source.json->is_object()) return true;
  Report(at, source,
         {"model_attributes_type", "Input should be a valid dictionary or object to extract fields from"},
         errors);
  return false;
}

}  // namespace gathering::schema::detail
