#include "core/cache/advisor.h"

#include <algorithm>
#include <bit>

namespace gathering::cache {
namespace {

constexpr std::uint64_t kUnbounded = Bounds{}.bytes_max;

constexpr std::size_t kOwnSize = 1;
static_assert(Advisor::kFactors[kOwnSize] == 1);

// Of all sampled hashes the lowest bits are the same.
std::uint64_t Mixed(std::uint64_t hash) {
  return std::rotr(hash, 32);
}

Shelf::Slot Known(const Shelf& shelf, std::uint64_t key) {
  return shelf.Find(key, [&](Shelf::Slot slot) { return shelf.HashOf(slot) == key; });
}

}  // namespace

Advisor::Advisor(Policy policy, const Bounds& bounds)
    : policy_(policy),
      rate_(RateFor(bounds)),
      bounds_(bounds),
      rehearsals_{
          Rehearsal{Shelf{policy, Scaled(kFactors[0])}}, Rehearsal{Shelf{policy, Scaled(kFactors[1])}},
          Rehearsal{Shelf{policy, Scaled(kFactors[2])}}, Rehearsal{Shelf{policy, Scaled(kFactors[3])}}} {}

std::uint64_t Advisor::RateFor(const Bounds& bounds) {
  return std::max(kRateMin, std::bit_ceil(bounds.entries_max / std::uint64_t{kSampleMax} + 1));
}

Bounds Advisor::Scaled(double factor) const {
  const double part = factor / static_cast<double>(rate_.load());
  Bounds scaled = bounds_;
  scaled.entries_max = std::max(1U, static_cast<std::uint32_t>(bounds_.entries_max * part));
  if (bounds_.bytes_max != kUnbounded)
    scaled.bytes_max = static_cast<std::uint64_t>(static_cast<double>(bounds_.bytes_max) * part);
  return scaled;
}

void Advisor::Use(std::uint64_t hash, std::uint64_t bytes) {
  const std::uint64_t key = Mixed(hash);
  const std::unique_lock lock{mutex_, std::try_to_lock};
  if (!lock) {
    skipped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  if (!Samples(hash)) return;  // the sample has changed meanwhile
  ++lookups_;
  for (auto& [shelf, hits] : rehearsals_) {
    if (const Shelf::Slot known = Known(shelf, key); known != Shelf::kNone) {
      ++hits;
      shelf.Use({&known, 1});
      shelf.Reweigh(known, bytes);
      while (shelf.Over()) shelf.Evict();
      continue;
    }
    if (bytes > shelf.bounds().bytes_max) continue;
    while (shelf.Full(bytes)) shelf.Evict();
    shelf.Add(key, bytes);
  }
}

void Advisor::Forget(std::uint64_t hash) {
  std::scoped_lock lock{mutex_};
  for (auto& [shelf, hits] : rehearsals_) {
    if (const Shelf::Slot known = Known(shelf, Mixed(hash)); known != Shelf::kNone) shelf.Remove(known);
  }
}

void Advisor::Clear() {
  std::scoped_lock lock{mutex_};
  for (std::size_t i = 0; i < rehearsals_.size(); ++i)
    rehearsals_[i].shelf = Shelf{policy_, Scaled(kFactors[i])};
}

void Advisor::SetBounds(const Bounds& bounds) {
  std::scoped_lock lock{mutex_};
  bounds_ = bounds;
  for (std::size_t i = 0; i < rehearsals_.size(); ++i) {
    Shelf& shelf = rehearsals_[i].shelf;
    shelf.SetBounds(Scaled(kFactors[i]));
    while (shelf.Over()) shelf.Evict();
  }
}

void Advisor::SetRate(const Bounds& own, std::uint64_t asked) {
  std::scoped_lock lock{mutex_};
  if (RateFor(own) == rate_) return;
  rate_ = RateFor(own);
  asked_before_ = asked;
  lookups_ = 0;
  skipped_ = 0;
  for (std::size_t i = 0; i < rehearsals_.size(); ++i)
    rehearsals_[i] = Rehearsal{.shelf = Shelf{policy_, Scaled(kFactors[i])}};
}

Advisor::Advices Advisor::Look(std::uint64_t asked, std::uint64_t hits) const {
  std::scoped_lock lock{mutex_};
  const double expected =
      static_cast<double>(asked - std::min(asked, asked_before_)) / static_cast<double>(rate_.load()) -
      static_cast<double>(skipped_.load());
  const double surplus = static_cast<double>(lookups_) - expected;
  const double real = asked == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(asked);
  const auto rehearsed = [&](const Rehearsal& one) {
    return std::clamp((static_cast<double>(one.hits) - surplus) / expected, 0.0, 1.0);
  };
  Advices advices;
  for (std::size_t i = 0; i < advices.size(); ++i) {
    advices[i] = {.factor = kFactors[i],
                  .entries_max = static_cast<std::uint64_t>(bounds_.entries_max * kFactors[i])};
    if (lookups_ < kLookupsMin || expected < 1) continue;
    const double gained = rehearsed(rehearsals_[i]) - rehearsed(rehearsals_[kOwnSize]);
    advices[i].hit_ratio = std::clamp(real + gained, 0.0, 1.0);
  }
  return advices;
}

}  // namespace gathering::cache
