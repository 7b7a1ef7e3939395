#pragma once
// What a cache's hit ratio would be at half, double and four times its size.
//
// Rehearses the cache at each of these sizes with a sample of its keys and without their values: one key in
// `rate`, by hash, in so much less room.  Sampling whole keys keeps what matters, how often each comes back
// (Waldspurger et al., SHARDS, FAST 2015; scaled-down simulation, Waldspurger et al., ATC 2017).  A key that
// is asked for very often is in the sample or it is not, which would shift the ratio: lookups that are too
// few or too many are taken for hits of such keys (the paper's SHARDS-adj).  With a few hundred keys in the
// sample the ratio is right within a few points.
//
// What it takes: at most kSampleMax keys at the cache's own size, so 7.5 times that in all, of
// Shelf::kOverheadBytes each; a lookup that is not in the sample pays a comparison.  Safe from any thread.
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "core/cache/shelf.h"

namespace gathering::cache {

struct Advice {
  double factor = 1;                               // of the size now
  std::uint64_t entries_max = 0;                   // that would be
  std::optional<double> hit_ratio = std::nullopt;  // none: too few lookups to tell
};

class Advisor {
 public:
  static constexpr std::array<double, 4> kFactors = {0.5, 1, 2, 4};
  using Advices = std::array<Advice, kFactors.size()>;

  Advisor(Policy policy, const Bounds& bounds);

  [[nodiscard]] bool Samples(std::uint64_t hash) const {
    return (hash & (rate_.load(std::memory_order_relaxed) - 1)) == 0;
  }

  // Of keys it samples: one was looked up, of so many bytes or about that; one is gone, whatever the size.
  void Use(std::uint64_t hash, std::uint64_t bytes);
  void Forget(std::uint64_t hash);

  void Clear();
  void SetBounds(const Bounds& bounds);

  // The cache's own bounds are others now, after so many lookups: if they want another sample, it begins anew
  // and tells of the lookups from here on.
  void SetRate(const Bounds& own, std::uint64_t asked);

  // `asked`: lookups of all keys so far, sampled or not; `hits` of them found something.  What other sizes
  // gain or lose is rehearsed, the ratio it is added to is the real one.
  [[nodiscard]] Advices Look(std::uint64_t asked, std::uint64_t hits) const;

 private:
  static constexpr std::uint32_t kSampleMax = 512;
  static constexpr std::uint64_t kRateMin = 16;      // so that small caches do not pay for each lookup
  static constexpr std::uint64_t kLookupsMin = 100;  // in the sample, before it says anything

  struct Rehearsal {
    Shelf shelf;
    std::uint64_t hits = 0;
  };

  [[nodiscard]] static std::uint64_t RateFor(const Bounds& bounds);
  [[nodiscard]] Bounds Scaled(double factor) const;

  const Policy policy_;
  std::atomic<std::uint64_t> rate_;        // a power of two; written under the lock
  std::atomic<std::uint64_t> skipped_{0};  // lookups while somebody else was here: they are not in the sample
  mutable std::mutex mutex_;               // guards what follows
  Bounds bounds_;
  std::uint64_t lookups_ = 0;
  std::uint64_t asked_before_ = 0;  // this sample began
  std::array<Rehearsal, kFactors.size()> rehearsals_;
};

}  // namespace gathering::cache
