#include "core/limits/gcra.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace gathering::limits {

Quotas::Quotas(const Limit& limit, Algorithm algorithm, std::int64_t burst) {
  const auto refuse = [](std::string message) { throw Error{Code::kInvalid, std::move(message)}; };
  if (limit.rates.empty() || limit.rates.size() > kRatesMax)
    refuse(fmt::format("a limit of {} rates; use 1 to {}", limit.rates.size(), kRatesMax));
  if (burst < 0) refuse(fmt::format("a burst of {}; use at least 1", burst));
  if (burst > 0 && limit.rates.size() > 1) refuse("a burst belongs to a limit of one rate; leave it out");
  if (burst > 0 && algorithm == Algorithm::kFixedWindow)
    refuse("a fixed window has no burst; leave it out, or use gcra");
  for (const Rate& rate : LongestFirst(limit)) {
    if (rate.count < 1 || rate.count > kCountMax || rate.period < std::chrono::seconds{1} ||
        rate.period > kPeriodMax || rate.count / rate.period.count() > kRequestsPerSecondMax)
      refuse(fmt::format("{} requests in {} s cannot be counted", rate.count, rate.period.count()));
    quotas_[size_++] = ToQuota(rate, algorithm, burst);
  }
}

}  // namespace gathering::limits
