#include "core/cache/budget.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace gathering::cache {
namespace {

constexpr std::chrono::seconds kEvery{1};

}  // namespace

Budget::Budget(std::vector<Observed*> caches, std::uint64_t bytes_max)
    : caches_(std::move(caches)), bytes_max_(bytes_max) {
  double wanted = 0;
  for (const Observed* const cache : caches_) wanted += static_cast<double>(cache->Look().bounds.bytes_max);
  if (bytes_max_ == 0 || wanted <= static_cast<double>(bytes_max_)) return;
  fits_ = static_cast<double>(bytes_max_) / wanted;
  SetPart(1);
}

Budget::~Budget() {
  thread_ = {};
}

void Budget::Watch(Fullness fullness) {
  thread_ = std::jthread{[this, fullness = std::move(fullness)](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "cache-budget");
    std::unique_lock lock{mutex_};
    while (!rest_.wait_for(lock, stop, kEvery, [&] { return stop.stop_requested(); })) {
      if (const auto full = fullness()) Note(*full);
    }
  }};
}

void Budget::Note(double fullness) {
  const double before = pressure_.load();
  const double part = fullness > kShort   ? std::max(before / 2, kPartMin)
                      : fullness < kEased ? std::min(before * 2, 1.0)
                                          : before;
  if (part == before) return;
  if (part < before) ++shrinks_;
  if (part < before && before == 1)
    log::Warn("memory is short: caches shrink", {{"memory_used_percent", 100 * fullness}});
  SetPart(part);
}

void Budget::SetPart(double part) {
  pressure_ = part;
  for (Observed* const cache : caches_) cache->SetPart(fits_ * part);
}

BudgetStats Budget::Stats() const {
  return {.bytes_max = bytes_max_, .part = fits_ * pressure_.load(), .shrinks = shrinks_.load()};
}

}  // namespace gathering::cache
