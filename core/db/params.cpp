#include "core/db/params.h"

#include <fmt/format.h>

namespace gathering::db {

std::string Encode(bool value) {
  return value ? "true" : "false";
}

std::string Encode(std::int64_t value) {
  return fmt::format("{}", value);
}

std::string Encode(double value) {
  return fmt::format("{}", value);
}

std::string Encode(std::string_view value) {
  return std::string{value};
}

std::string Encode(Timestamp value) {
  return ToText(value);
}

std::string Encode(const Date& value) {
  return value.text;
}

std::string Encode(const Uuid& value) {
  return ToText(value);
}

std::string Encode(const std::vector<std::string>& value) {
  std::string literal = "{";
  for (const auto& element : value) {
    if (literal.size() > 1) literal += ',';
    literal += '"';
    for (const char c : element) {
      if (c == '"' || c == '\\') literal += '\\';
      literal += c;
    }
    literal += '"';
  }
  return literal + "}";
}

std::string Encode(const std::vector<std::int64_t>& value) {
  return fmt::format("{{{}}}", fmt::join(value, ","));
}

}  // namespace gathering::db
