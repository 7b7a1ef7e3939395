// Rates as people write them.
#include "core/limits/rate.h"

#include "core/base/error.h"
#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  namespace limits = gathering::limits;
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  try {
    const limits::Limit limit = limits::ParseLimit(text);
    Require(!limit.rates.empty() && limit.rates.size() <= limits::kRatesMax, "the rates are few");
    for (const limits::Rate& rate : limit.rates) {
      Require(rate.count >= 1 && rate.count <= limits::kCountMax, "the count is bounded");
      Require(rate.period.count() >= 1 && rate.period <= limits::kPeriodMax, "the period is bounded");
      Require(rate.count <= rate.period.count() * limits::kRequestsPerSecondMax, "the rate is bounded");
      Require(!limits::ToSentence(rate).empty(), "a rate can be told");
    }
    const std::string canonical = limits::ToText(limit);
    Require(limits::ParseLimit(canonical) == limit, "a written limit is read back");
    Require(limits::LongestFirst(limit).size() == limit.rates.size(), "no rate is lost");
  } catch (const gathering::Error& error) {
    Require(error.code == gathering::Code::kInvalid && !error.message.empty(), "a refusal says why");
  }
  return 0;
}
