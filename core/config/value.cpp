#include "core/config/value.h"

#include <array>
#include <charconv>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "core/base/text.h"

namespace gathering::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::array<Unit, 4> kDurations = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizes = {{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}};
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kMask = "[secret]";

// A whole number followed by one of `units`.
std::optional<std::int64_t> ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  text = Trimmed(text);
  const std::size_t digits = std::min(text.find_first_not_of(kDigits), text.size());
  const auto number = ParseInteger(text.substr(0, digits));
  if (!number) return std::nullopt;
  const std::string_view name = Trimmed(text.substr(digits));
  for (const Unit& unit : units) {
    if (name != unit.name) continue;
    if (*number > std::numeric_limits<std::int64_t>::max() / unit.factor) return std::nullopt;
    return *number * unit.factor;
  }
  return std::nullopt;
}

std::string FormatWithUnit(std::int64_t amount, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (amount != 0 && amount % unit.factor == 0) return fmt::format("{}{}", amount / unit.factor, unit.name);
  }
  return fmt::format("0{}", units.back().name);
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      quoted += fmt::format("\\u{:04X}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

struct TomlText {
  std::string operator()(const std::string& text) const { return Quoted(text); }
  std::string operator()(std::int64_t number) const { return fmt::format("{}", number); }
  std::string operator()(bool truth) const { return truth ? "true" : "false"; }
  std::string operator()(const std::vector<std::string>& list) const {
    std::string text;
    for (const std::string& item : list) text += (text.empty() ? "" : ", ") + Quoted(item);
    return "[" + text + "]";
  }
};

// Where the value that starts at `at` stops: at its closing quote, or before one of `end`.
std::size_t ValueEnd(std::string_view text, std::size_t at, std::string_view end) {
  if (at >= text.size() || text[at] != '\'') return std::min(text.find_first_of(end, at), text.size());
  std::size_t stop = at + 1;
  while (stop < text.size() && text[stop] != '\'') stop += text[stop] == '\\' ? 2 : 1;
  return std::min(stop + 1, text.size());
}

// Replaces what follows each "password=" ("sslpassword=" too), with or without spaces around the sign.
void MaskPasswords(std::string& text, std::string_view end) {
  constexpr std::string_view kName = "password";
  for (std::size_t at = text.find(kName); at != std::string::npos; at = text.find(kName, at)) {
    at = text.find_first_not_of(' ', at + kName.size());
    if (at == std::string::npos) return;
    if (text[at] != '=') continue;
    at = std::min(text.find_first_not_of(' ', at + 1), text.size());
    text.replace(at, ValueEnd(text, at, end) - at, kMask);
    at += kMask.size();
  }
}

}  // namespace

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  text = Trimmed(text);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> ParseBoolean(std::string_view text) {
  const std::string word = Lower(Trimmed(text));
  for (const std::string_view yes : {"true", "1", "yes", "on"}) {
    if (word == yes) return true;
  }
  for (const std::string_view no : {"false", "0", "no", "off"}) {
    if (word == no) return false;
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  const auto amount = ParseWithUnit(text, kDurations);
  return amount ? std::optional{std::chrono::milliseconds{*amount}} : std::nullopt;
}

std::string ToText(std::chrono::milliseconds duration) {
  return FormatWithUnit(duration.count(), kDurations);
}

std::optional<std::int64_t> ParseSize(std::string_view text) {
  return ParseWithUnit(text, kSizes);
}

std::string SizeToText(std::int64_t bytes) {
  return FormatWithUnit(bytes, kSizes);
}

std::string ToToml(const Value& value) {
  return std::visit(TomlText{}, value);
}

std::string WithoutPassword(std::string_view database_url) {
  std::string text{database_url};
  const std::size_t scheme = text.find("://");
  if (scheme == std::string::npos) {
    MaskPasswords(text, " \t\n");
    return text;
  }
  // Up to the last '@', so that a password with unescaped '/' or '@' in it does not show either.
  const std::size_t at = text.rfind('@');
  const std::size_t colon = text.find(':', scheme + 3);
  if (at != std::string::npos && colon < at) text.replace(colon + 1, at - colon - 1, kMask);
  MaskPasswords(text, "&#");
  return text;
}

}  // namespace gathering::config
