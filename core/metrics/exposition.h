#pragma once
// Writes figures as Prometheus reads them: in its text format 0.0.4 or in OpenMetrics 1.0.0.
//
// Figures come in families: a name, what it means, and samples told apart by labels.  A family is written in
// one piece, HELP and TYPE once before its samples; a name begun twice is refused.  Names are those of the
// text format, which are those to ask Prometheus for: counters end in _total, information in _info.  From
// them OpenMetrics gets the families' names (without these endings) and UNIT (of names in _seconds, _bytes
// and _ratio).  Numbers read back as what they were, and a bound of a histogram is spelled alike in both
// formats, so a change of format does not begin new series.  What is unknown is left out, not NaN: samples
// that are not finite are not written.
//
// Written by hand because Debian's prometheus-cpp has no OpenMetrics, and its registry would be a second
// place for counts that the parts of the daemon already keep.
//
// Not thread-safe: whoever asks has a writer of their own.
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

namespace gathering::metrics {

enum class Format : std::uint8_t { kText, kOpenMetrics };

// The media type of what is written, with its parameters.
[[nodiscard]] std::string_view ContentTypeOf(Format format);

enum class Kind : std::uint8_t {
  kCounter,    // only grows, until the process starts again
  kGauge,      // goes up and down
  kHistogram,  // how many were how large
  kInfo,       // 1, for the sake of its labels
};

// Texts are borrowed until the end of the writer.  Names are [a-z_][a-z0-9_]*.
struct Family {
  Kind kind = Kind::kGauge;
  std::string_view name;
  std::string_view help;  // one sentence without a full stop, any text
};

struct Label {
  std::string_view name;
  std::string_view value;  // any UTF-8 text
};
using Labels = std::initializer_list<Label>;

// How many fell into each bucket of a histogram.
struct Distribution {
  std::span<const double> bounds;         // the largest of each bucket but the last, ascending
  std::span<const std::uint64_t> counts;  // each bucket's own; one more than bounds
  double sum = 0;                         // of all that was counted
};

class Exposition {
 public:
  explicit Exposition(Format format) : format_(format) {}

  // What follows belongs to this family.  Throws Error kInternal when it was begun before, or when a
  // counter's name does not end in _total or an information's in _info.
  void Begin(const Family& family);

  // A sample of the family that was begun last, which is no histogram.
  template <std::unsigned_integral T>
  void Sample(Labels labels, T value) {
    AddSample(labels, static_cast<std::uint64_t>(value));
  }
  template <std::signed_integral T>
  void Sample(Labels labels, T value) {
    AddSample(labels, static_cast<std::int64_t>(value));
  }
  void Sample(Labels labels, double value) { AddSample(labels, value); }

  // All samples of one histogram of the family that was begun last.
  void Sample(Labels labels, const Distribution& distribution);

  // Ends the text and gives it away.
  [[nodiscard]] std::string Take() &&;

 private:
  void AddSample(Labels labels, std::uint64_t value);
  void AddSample(Labels labels, std::int64_t value);
  void AddSample(Labels labels, double value);
  void AddLine(std::string_view suffix, Labels labels, std::string_view bound, std::string_view number);
  void AddDescription(std::string_view what, std::string_view text);

  const Format format_;
  std::string text_;
  std::string_view name_;       // of samples
  std::string_view described_;  // the family's name in HELP, TYPE and UNIT
  std::unordered_set<std::string_view> begun_;
};

}  // namespace gathering::metrics
