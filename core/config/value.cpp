#include "core/config/value.h"

#include <algorithm>
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
constexpr std::string_view kPassword = "password";
constexpr std::string_view kKeywordEnds = "= \t\n\v\f\r";
constexpr std::string_view kBlanks = kKeywordEnds.substr(1);

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

// Bytes of a text that nobody is to see.
struct Range {
  std::size_t begin;
  std::size_t end;
};

// Ranges that touch become one mask.
std::string Masked(std::string_view text, std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](Range a, Range b) { return a.begin < b.begin; });
  std::string masked;
  std::size_t shown = 0;  // up to here
  bool open = false;
  for (const Range& range : ranges) {
    if (!open || range.begin > shown) masked.append(text.substr(shown, range.begin - shown)).append(kMask);
    shown = std::max(shown, range.end);
    open = true;
  }
  return masked.append(text.substr(shown));
}

// Where a keyword's value stops: behind its closing quote, if there is one, or at a blank without a
// backslash.
std::optional<std::size_t> ValueEnd(std::string_view text, std::size_t at) {
  const bool quoted = at < text.size() && text[at] == '\'';
  const std::string_view ends = quoted ? "'" : kBlanks;
  for (at += quoted ? 1 : 0; at < text.size() && ends.find(text[at]) == std::string_view::npos; ++at)
    at += text[at] == '\\' ? 1 : 0;
  if (quoted) return at < text.size() ? std::optional{at + 1} : std::nullopt;
  return std::min(at, text.size());
}

// What stands behind the first "password", however it is meant.
std::vector<Range> RestBehindPassword(std::string_view text) {
  const std::size_t at = text.find(kPassword);
  if (at == std::string_view::npos) return {};
  return {{std::min(text.find_first_not_of(kKeywordEnds, at + kPassword.size()), text.size()), text.size()}};
}

// The values of "password" and "sslpassword", found as libpq finds them; of what it would refuse, the rest.
std::vector<Range> KeywordPasswords(std::string_view text) {
  std::vector<Range> ranges;
  for (std::size_t at = 0; (at = text.find_first_not_of(kBlanks, at)) != std::string_view::npos;) {
    const std::string_view keyword = text.substr(at, text.find_first_of(kKeywordEnds, at) - at);
    const std::size_t sign = text.find_first_not_of(kBlanks, at + keyword.size());
    if (sign == std::string_view::npos || text[sign] != '=') return RestBehindPassword(text);
    const std::size_t begin = std::min(text.find_first_not_of(kBlanks, sign + 1), text.size());
    const auto end = ValueEnd(text, begin);
    if (!end) return RestBehindPassword(text);
    if (keyword.ends_with(kPassword)) ranges.push_back({begin, *end});
    at = *end;
  }
  return ranges;
}

// With its escapes read; what is no escape stays.
std::string Unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* const digits = text.data() + i + 1;
    const bool escape = text[i] == '%' && text.size() - i > 2 &&
                        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2;
    plain += escape ? static_cast<char>(byte) : text[i];
    i += escape ? 2 : 0;
  }
  return plain;
}

// Behind `authority`, where host and user begin.
std::vector<Range> UrlPasswords(std::string_view text, std::size_t authority) {
  std::vector<Range> ranges;
  // Up to the last '@', so that a password with unescaped '/' or '@' in it does not show either.
  const std::size_t at = text.rfind('@');
  const std::size_t colon = text.find(':', authority);
  if (at != std::string_view::npos && colon < at) ranges.push_back({colon + 1, at});
  std::size_t begin = text.find('?', authority);
  while (begin != std::string_view::npos && begin < text.size()) {
    const std::size_t end = std::min(text.find('&', ++begin), text.size());
    const std::size_t equals = text.substr(0, end).find('=', begin);
    if (equals != std::string_view::npos &&
        Unescaped(text.substr(begin, equals - begin)).ends_with(kPassword))
      ranges.push_back({equals + 1, end});
    begin = end;
  }
  return ranges;
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
  const std::size_t scheme = database_url.find("://");
  const bool is_url = scheme < database_url.find_first_of("= \t\n\v\f\r'");
  return Masked(database_url,
                is_url ? UrlPasswords(database_url, scheme + 3) : KeywordPasswords(database_url));
}

}  // namespace gathering::config
