// Moments, days, and bounds of a replay.
#include "core/base/timestamp.h"
#include "core/replay/filter.h"
#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  if (const auto moment = gathering::ParseTimestamp(text)) {
    const std::string written = gathering::ToText(*moment);
    const std::string offset = gathering::ToText(gathering::OffsetTimestamp{moment->micros});
    Require(gathering::ParseTimestamp(written) == moment, "a moment is read back");
    Require(gathering::ParseTimestamp(offset) == moment, "in the older spelling, too");
    const gathering::Date day = gathering::ToDate(*moment);
    Require(written.starts_with(day.text), "a moment begins with its day");
    Require(gathering::ParseDate(day.text) == day, "its day is read back");
    Require(gathering::ToHttpDate(*moment).size() == 29, "HTTP's date has its length");
  }
  if (const auto day = gathering::ParseDate(text)) {
    Require(day->text == text, "a day has one spelling");
    Require(gathering::ToDate(gathering::DaysSinceEpoch(*day)) == *day, "a day is counted and found again");
  }
  static_cast<void>(gathering::replay::ParseBound(text));
  return 0;
}
