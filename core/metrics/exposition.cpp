#include "core/metrics/exposition.h"

#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <type_traits>

#include "core/base/error.h"

namespace gathering::metrics {
namespace {

constexpr std::string_view kTotal = "_total";
constexpr std::string_view kInfo = "_info";
constexpr std::string_view kUnits[] = {"seconds", "bytes", "ratio"};

std::string_view TypeOf(Kind kind, Format format) {
  switch (kind) {
    case Kind::kCounter:
      return "counter";
    case Kind::kGauge:
      return "gauge";
    case Kind::kHistogram:
      return "histogram";
    case Kind::kInfo:
      return format == Format::kOpenMetrics ? "info" : "gauge";
  }
  return {};
}

// The ending that OpenMetrics adds to a family's name to get that of its samples.
std::string_view EndingOf(Kind kind) {
  if (kind == Kind::kCounter) return kTotal;
  return kind == Kind::kInfo ? kInfo : std::string_view{};
}

std::string_view UnitOf(std::string_view family) {
  for (const std::string_view unit : kUnits) {
    if (family.ends_with(unit) && family.substr(0, family.size() - unit.size()).ends_with('_')) return unit;
  }
  return {};
}

enum class Quotes : std::uint8_t { kStay, kEscaped };

void AppendEscaped(std::string_view text, Quotes quotes, std::string& out) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || (c == '"' && quotes == Quotes::kEscaped)) out += '\\';
    out += c;
  }
}

// Room for the longest number.
using Digits = std::array<char, 32>;

template <class T>
std::string_view Spell(T value, Digits& room) {
  char* const begin = room.data();
  char* const end = begin + room.size();
  if constexpr (std::is_floating_point_v<T>) {
    return {begin, std::to_chars(begin, end, value, std::chars_format::general).ptr};
  } else {
    return {begin, std::to_chars(begin, end, value).ptr};
  }
}

// As OpenMetrics wants bounds: never like a whole number.
std::string SpellBound(double bound) {
  Digits room;
  std::string text{Spell(bound, room)};
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

std::string_view ContentTypeOf(Format format) {
  return format == Format::kOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                        : "text/plain; version=0.0.4; charset=utf-8";
}

void Exposition::Begin(const Family& family) {
  const std::string_view ending = EndingOf(family.kind);
  if (!family.name.ends_with(ending) || !begun_.insert(family.name).second)
    throw Error{Code::kInternal, "a family of metrics cannot be begun: " + std::string{family.name}};
  name_ = family.name;
  described_ = name_;
  if (format_ == Format::kText) {
    AddDescription("HELP", family.help);
    AddDescription("TYPE", TypeOf(family.kind, format_));
    return;
  }
  described_.remove_suffix(ending.size());
  AddDescription("TYPE", TypeOf(family.kind, format_));
  if (const std::string_view unit = UnitOf(described_); !unit.empty()) AddDescription("UNIT", unit);
  AddDescription("HELP", family.help);
}

void Exposition::AddDescription(std::string_view what, std::string_view text) {
  text_.append("# ").append(what).append(" ").append(described_).append(" ");
  AppendEscaped(text, format_ == Format::kOpenMetrics ? Quotes::kEscaped : Quotes::kStay, text_);
  text_ += '\n';
}

void Exposition::Sample(Labels labels, const Distribution& distribution) {
  if (!std::isfinite(distribution.sum)) return;
  Digits room;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < distribution.bounds.size(); ++i) {
    below += distribution.counts[i];
    AddLine("_bucket", labels, SpellBound(distribution.bounds[i]), Spell(below, room));
  }
  const std::uint64_t count =
      std::accumulate(distribution.counts.begin(), distribution.counts.end(), std::uint64_t{0});
  AddLine("_bucket", labels, "+Inf", Spell(count, room));
  AddLine("_sum", labels, {}, Spell(distribution.sum, room));
  AddLine("_count", labels, {}, Spell(count, room));
}

std::string Exposition::Take() && {
  if (format_ == Format::kOpenMetrics) text_ += "# EOF\n";
  return std::move(text_);
}

void Exposition::AddSample(Labels labels, std::uint64_t value) {
  Digits room;
  AddLine({}, labels, {}, Spell(value, room));
}

void Exposition::AddSample(Labels labels, std::int64_t value) {
  Digits room;
  AddLine({}, labels, {}, Spell(value, room));
}

void Exposition::AddSample(Labels labels, double value) {
  if (!std::isfinite(value)) return;
  Digits room;
  AddLine({}, labels, {}, Spell(value, room));
}

// With a bound the sample is a bucket.
void Exposition::AddLine(std::string_view suffix, Labels labels, std::string_view bound,
                         std::string_view number) {
  text_.append(name_).append(suffix);
  char separator = '{';
  const auto add = [&](std::string_view name, std::string_view value) {
    text_ += separator;
    separator = ',';
    text_.append(name).append("=\"");
    AppendEscaped(value, Quotes::kEscaped, text_);
    text_ += '"';
  };
  for (const Label& label : labels) add(label.name, label.value);
  if (!bound.empty()) add("le", bound);
  if (separator == ',') text_ += '}';
  text_.append(" ").append(number).append("\n");
}

}  // namespace gathering::metrics
