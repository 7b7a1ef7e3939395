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
  std::scoped_lock lock{mutex_};
  Fit();
  if (fits_ < 1) SetParts();
}

Budget::~Budget() {
  thread_ = {};
}

void Budget::Watch(Fullness fullness) {
  thread_ = std::jthread{[this, fullness = std::move(fullness)](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "cache-budget");
    std::unique_lock lock{resting_};
    while (!rest_.wait_for(lock, stop, kEvery, [&] { return stop.stop_requested(); })) {
      if (const auto full = fullness()) Note(*full);
    }
  }};
}

void Budget::Resize(std::uint64_t bytes_max) {
  std::scoped_lock lock{mutex_};
  bytes_max_ = bytes_max;
  Fit();
  SetParts();
}

void Budget::Note(double fullness) {
  std::scoped_lock lock{mutex_};
  const double before = pressure_;
  const double part = fullness > kShort   ? std::max(before / 2, kPartMin)
                      : fullness < kEased ? std::min(before * 2, 1.0)
                                          : before;
  if (part == before) return;
  if (part < before) ++shrinks_;
  if (part < before && before == 1)
    log::Warn("memory is short: caches shrink", {{"memory_used_percent", 100 * fullness}});
  pressure_ = part;
  SetParts();
}

void Budget::Fit() {
  double wanted = 0;
  for (const Observed* const cache : caches_) wanted += static_cast<double>(cache->OwnBounds().bytes_max);
  const auto room = static_cast<double>(bytes_max_);
  fits_ = bytes_max_ == 0 || wanted <= room ? 1 : room / wanted;
}

void Budget::SetParts() {
  for (Observed* const cache : caches_) cache->SetPart(fits_ * pressure_);
}

BudgetStats Budget::Stats() const {
  std::scoped_lock lock{mutex_};
  return {.bytes_max = bytes_max_, .part = fits_ * pressure_, .shrinks = shrinks_};
}

}  // namespace gathering::cache
