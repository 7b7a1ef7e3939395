#include "core/limits/rate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <optional>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace gathering::limits {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t seconds;
};

// The largest last.
constexpr std::array<Unit, 6> kUnits = {{{"second", 1},
                                         {"minute", 60},
                                         {"hour", 3'600},
                                         {"day", 86'400},
                                         {"month", 30 * 86'400},
                                         {"year", 12 * 30 * 86'400}}};
constexpr std::string_view kSeparators = ";,|";
constexpr std::size_t kTextBytesMax = 1'024;

[[noreturn]] void Refuse(std::string_view rate, std::string_view why) {
  throw Error{Code::kInvalid, fmt::format("'{}' is no rate: {}", rate, why)};
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// Reads one rate from its beginning to its end.
class Reader {
 public:
  explicit Reader(std::string_view whole) : whole_(whole), rest_(whole) {}

  Rate Read() {
    const std::int64_t count = Number("the count").value_or(0);
    if (count == 0) {
      Refuse(whole_, IsDigit(whole_.front()) ? "the count is 0; use at least 1"
                                             : "it does not begin with a count; write it like 5/minute");
    }
    if (count > kCountMax) Refuse(whole_, fmt::format("the count is over {}", kCountMax));
    Separator();
    const std::optional<std::int64_t> written = Number("the number of units");
    const std::int64_t units = written.value_or(1);
    if (units == 0) Refuse(whole_, "it is for a time of 0; use at least 1");
    const Unit& unit = ReadUnit();
    if (units > kPeriodMax.count() / unit.seconds) Refuse(whole_, "its time is over 10 years");
    const std::int64_t period = units * unit.seconds;
    if (count > period * kRequestsPerSecondMax)
      Refuse(whole_, fmt::format("it is over {} in a second", kRequestsPerSecondMax));
    return Rate{count, std::chrono::seconds{period}};
  }

 private:
  void SkipSpace() {
    while (!rest_.empty() && IsSpace(rest_.front())) rest_.remove_prefix(1);
  }

  std::optional<std::int64_t> Number(std::string_view what) {
    SkipSpace();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error == std::errc::result_out_of_range) Refuse(whole_, fmt::format("{} is too large", what));
    if (error != std::errc{} || !IsDigit(rest_.front())) return std::nullopt;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    SkipSpace();
    return value;
  }

  std::string Word() {
    std::size_t size = 0;
    while (size < rest_.size() && !IsDigit(rest_[size]) && !IsSpace(rest_[size]) && rest_[size] != '/')
      ++size;
    std::string word = Lower(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return word;
  }

  void Separator() {
    if (rest_.starts_with('/')) {
      rest_.remove_prefix(1);
      return;
    }
    // "5perminute" is what the notation allows as well.
    if (Lower(rest_.substr(0, 3)) == "per") {
      rest_.remove_prefix(3);
      return;
    }
    Refuse(whole_, "after the count comes '/' or 'per'; write it like 5/minute or 5 per minute");
  }

  const Unit& ReadUnit() {
    const std::string word = Word();
    SkipSpace();
    if (word.empty()) Refuse(whole_, "the unit of time is missing; write it like 5/minute");
    for (const Unit& unit : kUnits) {
      if (word != unit.name && word != std::string{unit.name} + 's') continue;
      if (!rest_.empty()) Refuse(whole_, fmt::format("'{}' is too much; separate rates by ';'", rest_));
      return unit;
    }
    std::vector<std::string_view> names;
    for (const Unit& unit : kUnits) names.push_back(unit.name);
    Refuse(whole_, fmt::format("'{}' is no unit of time; use second, minute, hour, day, month or year{}",
                               word, DidYouMean(word, names)));
  }

  const std::string_view whole_;
  std::string_view rest_;
};

struct Period {
  std::int64_t units;
  const Unit& unit;
};

// In the largest unit that fits.
Period In(std::chrono::seconds period) {
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    if (period.count() % unit->seconds == 0) return {period.count() / unit->seconds, *unit};
  }
  return {period.count(), kUnits.front()};
}

}  // namespace

Limit ParseLimit(std::string_view text) {
  if (Trimmed(text).empty()) throw Error{Code::kInvalid, "the limit is empty; write it like 5/minute"};
  if (text.size() > kTextBytesMax)
    throw Error{Code::kInvalid, fmt::format("a limit of {} bytes is too long", text.size())};
  Limit limit;
  while (true) {
    const std::size_t end = text.find_first_of(kSeparators);
    const std::string_view part = Trimmed(text.substr(0, end));
    if (part.empty())
      throw Error{Code::kInvalid, "a rate is missing beside a separator; write it like 10/second;200/hour"};
    if (limit.rates.size() == kRatesMax)
      throw Error{Code::kInvalid, fmt::format("a limit has over {} rates; leave some out", kRatesMax)};
    limit.rates.push_back(Reader{part}.Read());
    if (end == std::string_view::npos) return limit;
    text.remove_prefix(end + 1);
  }
}

std::string ToText(const Rate& rate) {
  const auto [units, unit] = In(rate.period);
  return units == 1 ? fmt::format("{}/{}", rate.count, unit.name)
                    : fmt::format("{}/{}{}s", rate.count, units, unit.name);
}

std::string ToText(const Limit& limit) {
  std::string text;
  for (const Rate& rate : limit.rates) {
    if (!text.empty()) text += ';';
    text += ToText(rate);
  }
  return text;
}

std::vector<Rate> LongestFirst(const Limit& limit) {
  std::vector<Rate> rates = limit.rates;
  std::ranges::stable_sort(rates, std::greater{}, &Rate::period);
  return rates;
}

std::string ToSentence(const Rate& rate) {
  const auto [units, unit] = In(rate.period);
  return fmt::format("{} per {} {}", rate.count, units, unit.name);
}

}  // namespace gathering::limits
