#include "core/base/timestamp.h"

#include <array>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace gathering {
namespace {

constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::int64_t kFirstSecond = -62'135'596'800;  // of the year 1
constexpr std::int64_t kLastSecond = 253'402'300'799;   // of the year 9999

struct Civil {
  std::chrono::year_month_day day;
  std::int64_t second_of_day;
  std::int64_t micros;
};

Civil Split(std::int64_t micros) {
  std::int64_t seconds = micros / kMicrosPerSecond;
  std::int64_t fraction = micros % kMicrosPerSecond;
  if (fraction < 0) {
    fraction += kMicrosPerSecond;
    --seconds;
  }
  std::int64_t days = seconds / kSecondsPerDay;
  std::int64_t rest = seconds % kSecondsPerDay;
  if (rest < 0) {
    rest += kSecondsPerDay;
    --days;
  }
  return {std::chrono::year_month_day{std::chrono::sys_days{std::chrono::days{days}}}, rest, fraction};
}

// With leading zeros.
void AppendDigits(std::int64_t value, int digits, std::string& out) {
  out.append(static_cast<std::size_t>(digits), '0');
  for (auto at = out.rbegin(); value > 0; value /= 10) *at++ = static_cast<char>('0' + value % 10);
}

// Digit by digit: an answer holds many of these, and a format string costs ten times as much.
std::string Render(std::int64_t micros, std::string_view suffix) {
  const Civil c = Split(micros);
  const int year = static_cast<int>(c.day.year());
  std::string text;
  text.reserve(sizeof "2026-11-23T09:36:00.655715+00:00");
  if (year >= 0 && year <= 9'999) {
    AppendDigits(year, 4, text);
  } else {
    text += fmt::format("{:04}", year);
  }
  const auto part = [&](char separator, std::int64_t value, int digits) {
    text.push_back(separator);
    AppendDigits(value, digits, text);
  };
  part('-', static_cast<unsigned>(c.day.month()), 2);
  part('-', static_cast<unsigned>(c.day.day()), 2);
  part('T', c.second_of_day / 3600, 2);
  part(':', c.second_of_day / 60 % 60, 2);
  part(':', c.second_of_day % 60, 2);
  if (c.micros != 0) part('.', c.micros, 6);
  return text.append(suffix);
}

// Takes exactly `digits` digits off the front of `text`.
std::optional<int> Digits(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool Skip(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::chrono::sys_days> TakeDay(std::string_view& text) {
  const auto year = Digits(text, 4);
  if (!year || *year == 0 || !Skip(text, '-')) return std::nullopt;
  const auto month = Digits(text, 2);
  if (!month || !Skip(text, '-')) return std::nullopt;
  const auto day = Digits(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date};
}

std::optional<std::int64_t> TakeFraction(std::string_view& text) {
  if (!Skip(text, '.')) return 0;
  std::int64_t micros = 0;
  std::int64_t scale = kMicrosPerSecond / 10;
  std::size_t digits = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    micros += (text.front() - '0') * scale;
    scale /= 10;
    ++digits;
    text.remove_prefix(1);
  }
  if (digits == 0) return std::nullopt;
  return micros;
}

std::optional<std::int64_t> TakeOffsetSeconds(std::string_view& text) {
  if (text.empty()) return 0;
  if (text == "Z" || text == "z") {
    text = {};
    return 0;
  }
  const int sign = text.front() == '-' ? -1 : 1;
  if (!Skip(text, '+') && !Skip(text, '-')) return std::nullopt;
  const auto hours = Digits(text, 2);
  if (!hours || *hours > 15) return std::nullopt;
  std::int64_t minutes = 0;
  if (!text.empty()) {
    Skip(text, ':');
    const auto value = Digits(text, 2);
    if (!value || *value > 59) return std::nullopt;
    minutes = *value;
  }
  return sign * (*hours * 3600 + minutes * 60);
}

}  // namespace

std::string ToText(Timestamp moment) {
  return Render(moment.micros, "Z");
}

std::string ToText(OffsetTimestamp moment) {
  return Render(moment.micros, "+00:00");
}

std::optional<Timestamp> ParseTimestamp(std::string_view text) {
  const auto day = TakeDay(text);
  if (!day || text.empty() || (text.front() != 'T' && text.front() != 't' && text.front() != ' ')) {
    return std::nullopt;
  }
  text.remove_prefix(1);
  const auto hour = Digits(text, 2);
  if (!hour || *hour > 23 || !Skip(text, ':')) return std::nullopt;
  const auto minute = Digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  int second = 0;
  if (Skip(text, ':')) {
    const auto value = Digits(text, 2);
    if (!value || *value > 59) return std::nullopt;
    second = *value;
  }
  const auto fraction = TakeFraction(text);
  if (!fraction) return std::nullopt;
  const auto offset = TakeOffsetSeconds(text);
  if (!offset || !text.empty()) return std::nullopt;
  const std::int64_t seconds =
      day->time_since_epoch().count() * kSecondsPerDay + *hour * 3600 + *minute * 60 + second - *offset;
  if (seconds < kFirstSecond || seconds > kLastSecond) return std::nullopt;
  return Timestamp{seconds * kMicrosPerSecond + *fraction};
}

std::optional<Date> ParseDate(std::string_view text) {
  std::string_view rest = text;
  if (!TakeDay(rest) || !rest.empty()) return std::nullopt;
  return Date{std::string{text}};
}

std::int64_t DaysSinceEpoch(const Date& day) {
  std::string_view text = day.text;
  return TakeDay(text).value().time_since_epoch().count();
}

Date ToDate(std::int64_t days_since_epoch) {
  const std::chrono::year_month_day day{std::chrono::sys_days{std::chrono::days{days_since_epoch}}};
  return Date{fmt::format("{:04}-{:02}-{:02}", static_cast<int>(day.year()),
                          static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()))};
}

Date ToDate(Timestamp moment) {
  return ToDate(std::chrono::sys_days{Split(moment.micros).day}.time_since_epoch().count());
}

std::string ToHttpDate(Timestamp moment) {
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Civil c = Split(moment.micros);
  const std::chrono::weekday weekday{std::chrono::sys_days{c.day}};
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[weekday.c_encoding()],
                     static_cast<unsigned>(c.day.day()), kMonths[static_cast<unsigned>(c.day.month()) - 1],
                     static_cast<int>(c.day.year()), c.second_of_day / 3600, c.second_of_day / 60 % 60,
                     c.second_of_day % 60);
}

}  // namespace gathering
