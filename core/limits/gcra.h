#pragma once
// The arithmetic of one rate on one bucket, without a clock and without memory of its own.
//
// kGcra, the default, is the generic cell rate algorithm (ITU-T I.371, annex A, the virtual scheduling
// form; a leaky bucket kept as one timestamp).  A bucket is its theoretical arrival time (TAT): how far that
// lies ahead of now is what has been spent.  A request moves it on by `interval`, its share of the period,
// and is admitted while it then lies at most `burst` intervals ahead.  So burst and rate are separate, one
// request comes back every interval, and the time to wait is exact.
//
// kFixedWindow counts in windows that begin with the first request after the last one's end, as the Python
// library `limits` does.  Around the end of a window it lets nearly twice the limit pass at once: with
// 5/minute one request at 0 s, four at 59 s and five more at 60 s are nine within a second.  GCRA admits five
// at once and then one every 12 s, wherever in the minute they fall.
//
// Numbers: nanoseconds in 64 bits.  An interval is the period by the count, rounded up, so that no rate is
// ever exceeded: up to 1,000,000 a second it is less than 0.1 % below the written one, exact where the count
// divides the period.  Times lie in [0, kTimeMax], intervals and burst x interval in [1, kSpanMax], and
// kTimeMax + 3 x kSpanMax fits; the functions here keep to that whatever they are given.
//
// A changed limit keeps what was spent, counted in requests: who has spent 5 of 5 in a minute has, under
// 10/minute, 5 left, and under 3/hour none.  Going from one algorithm to the other keeps it as well.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/limits/rate.h"

namespace gathering::limits {

enum class Algorithm : std::uint8_t { kGcra, kFixedWindow };

inline constexpr std::int64_t kSpanMax = std::int64_t{1} << 60;  // ns, 36 years
inline constexpr std::int64_t kTimeMax = std::int64_t{1} << 62;  // ns, 146 years since the clock's epoch
static_assert(kPeriodMax < std::chrono::nanoseconds{kSpanMax} / 2);

// One rate made ready for deciding.
struct Quota {
  Algorithm algorithm = Algorithm::kGcra;
  std::int64_t burst = 1;     // requests at once; for a fixed window those of a window
  std::int64_t interval = 1;  // ns
  std::int64_t period = 1;    // ns

  bool operator==(const Quota&) const = default;

  // ns from empty to full
  [[nodiscard]] std::int64_t span() const {
    return algorithm == Algorithm::kGcra ? burst * interval : period;
  }
};

// `burst` 0: the rate's count.  A fixed window has no burst besides its count.
[[nodiscard]] inline Quota ToQuota(const Rate& rate, Algorithm algorithm, std::int64_t burst = 0) {
  const std::int64_t period = std::chrono::nanoseconds{rate.period}.count();
  Quota quota{.algorithm = algorithm, .burst = rate.count, .period = period};
  quota.interval = (period + rate.count - 1) / rate.count;
  if (burst > 0 && algorithm == Algorithm::kGcra) quota.burst = std::min(burst, kSpanMax / quota.interval);
  return quota;
}

// One of `parts` equal parts of a quota, at least one request at a time: all of them together admit as much
// in the long run as the whole.  What does not divide is rounded down (`strict`) or up at once, and its time
// is shorter or longer accordingly.
[[nodiscard]] inline Quota Divided(const Quota& whole, std::int64_t parts, bool strict) {
  if (parts <= 1) return whole;
  Quota part = whole;
  part.burst = std::max<std::int64_t>(1, (strict ? whole.burst : whole.burst + parts - 1) / parts);
  const auto stretched = [&](__int128 span) {
    return static_cast<std::int64_t>(std::min<__int128>(span, kSpanMax / part.burst));
  };
  if (whole.algorithm == Algorithm::kGcra) {
    part.interval = stretched(static_cast<__int128>(whole.interval) * parts);
  } else {
    const __int128 admitted = static_cast<__int128>(part.burst) * parts;
    part.period =
        std::max<std::int64_t>(1, stretched((whole.period * admitted + whole.burst - 1) / whole.burst));
  }
  return part;
}

// What is remembered of a key and a rate.  A bucket whose time has come is full: it holds nothing that a
// new one would not.
class Bucket {
 public:
  [[nodiscard]] bool full(std::int64_t now) const { return at_ <= now; }

  // ns until it is full
  [[nodiscard]] std::int64_t Ahead(std::int64_t now) const { return std::max<std::int64_t>(0, at_ - now); }

  // What the shared store knows: how far its bucket is ahead of now, or when its window ends and what was
  // counted in it.  Under `part`, one of `parts` equal parts of its quota, the same distance ahead is an
  // equal part of what was spent, as the interval is longer in the same measure.
  void Adopt(const Quota& part, std::int64_t parts, std::int64_t now, std::int64_t ahead,
             std::int64_t count) {
    if (part.algorithm == Algorithm::kGcra) {
      at_ = now + std::clamp<std::int64_t>(ahead, 0, part.span());
      use_ = static_cast<std::uint64_t>(part.interval);
    } else {
      at_ = now + std::clamp<std::int64_t>(ahead, 0, part.period);
      const std::int64_t share = count / parts + (count % parts != 0 ? 1 : 0);
      use_ = kWindow | static_cast<std::uint64_t>(std::clamp<std::int64_t>(share, 0, part.burst));
    }
  }

  // Requests spent, of a part of one all.
  [[nodiscard]] std::int64_t Spent(std::int64_t now) const {
    if (full(now)) return 0;
    const std::int64_t unit = static_cast<std::int64_t>(use_ & ~kWindow);
    return (use_ & kWindow) != 0 ? unit : (at_ - now + unit - 1) / std::max<std::int64_t>(unit, 1);
  }

 private:
  friend class Trial;
  static constexpr std::uint64_t kWindow = std::uint64_t{1} << 63;

  std::int64_t at_ = 0;    // ns: the TAT, or the end of the window
  std::uint64_t use_ = 0;  // the interval that at_ counts in, or kWindow and the requests counted
};

struct Answer {
  bool allowed = false;
  std::int64_t limit = 0;                   // requests at once
  std::int64_t remaining = 0;               // requests that would be admitted now
  std::chrono::nanoseconds retry_after{0};  // exact; zero when allowed
  std::chrono::nanoseconds reset_after{0};  // until the bucket is full again
};

// A request of `cost` tried on a bucket.  Nothing changes before Spend, so that several rates can be asked
// first and then all pay or none.  A request that costs more than the burst costs the burst.
class Trial {
 public:
  Trial(const Quota& quota, const Bucket& bucket, std::int64_t now, std::int64_t cost)
      : quota_(quota),
        now_(std::clamp<std::int64_t>(now, 0, kTimeMax)),
        cost_(std::clamp<std::int64_t>(cost, 0, quota.burst)) {
    quota.algorithm == Algorithm::kGcra ? EnterGcra(bucket) : EnterWindow(bucket);
  }

  [[nodiscard]] bool allowed() const {
    return quota_.algorithm == Algorithm::kGcra ? at_ + cost_ * quota_.interval - now_ <= quota_.span()
                                                : count_ + cost_ <= quota_.burst;
  }

  // As things stand without this request; `allowed` and `retry_after` are about it.
  [[nodiscard]] Answer Refused() const {
    Answer answer = Standing();
    answer.retry_after = std::chrono::nanoseconds{allowed() ? 0
                                                  : quota_.algorithm == Algorithm::kGcra
                                                      ? at_ + cost_ * quota_.interval - quota_.span() - now_
                                                      : at_ - now_};
    answer.allowed = allowed();
    return answer;
  }

  // Pays.  It must be allowed.
  [[nodiscard]] Answer Spend(Bucket& bucket) {
    if (quota_.algorithm == Algorithm::kGcra) {
      at_ += cost_ * quota_.interval;
      bucket.use_ = static_cast<std::uint64_t>(quota_.interval);
    } else {
      count_ += cost_;
      if (at_ <= now_ && cost_ > 0) at_ = now_ + quota_.period;
      bucket.use_ = Bucket::kWindow | static_cast<std::uint64_t>(count_);
    }
    bucket.at_ = at_;
    Answer answer = Standing();
    answer.allowed = true;
    return answer;
  }

 private:
  void EnterGcra(const Bucket& bucket) {
    at_ = now_;
    if (bucket.full(now_)) return;
    const std::int64_t ahead = bucket.at_ - now_;
    __int128 spent = ahead;
    if ((bucket.use_ & Bucket::kWindow) != 0) {
      spent = static_cast<__int128>(bucket.use_ & ~Bucket::kWindow) * quota_.interval;
    } else if (static_cast<std::int64_t>(bucket.use_) != quota_.interval && bucket.use_ > 0) {
      spent = spent * quota_.interval / static_cast<std::int64_t>(bucket.use_);
    }
    at_ = now_ + static_cast<std::int64_t>(std::min<__int128>(spent, quota_.span()));
  }

  void EnterWindow(const Bucket& bucket) {
    at_ = now_;
    if (bucket.full(now_)) return;
    const bool was_window = (bucket.use_ & Bucket::kWindow) != 0;
    count_ = std::min(bucket.Spent(now_), quota_.burst);
    at_ = now_ + (was_window ? std::min(bucket.at_ - now_, quota_.period) : quota_.period);
  }

  [[nodiscard]] Answer Standing() const {
    Answer answer{.limit = quota_.burst, .reset_after = std::chrono::nanoseconds{at_ - now_}};
    answer.remaining = quota_.algorithm == Algorithm::kGcra ? (quota_.span() - (at_ - now_)) / quota_.interval
                                                            : quota_.burst - count_;
    return answer;
  }

  const Quota& quota_;
  const std::int64_t now_;
  const std::int64_t cost_;
  std::int64_t at_ = 0;
  std::int64_t count_ = 0;
};

// A limit made ready for deciding, the longest period first; a rate is known by its place.
class Quotas {
 public:
  Quotas() = default;
  // `burst` 0: the counts; else only for a limit of one rate.  Throws Error kInvalid.
  Quotas(const Limit& limit, Algorithm algorithm, std::int64_t burst = 0);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const Quota& operator[](std::size_t i) const { return quotas_[i]; }
  [[nodiscard]] Quotas Divided(std::int64_t parts, bool strict) const {
    Quotas divided = *this;
    if (parts <= 1) return divided;
    for (std::size_t i = 0; i < size_; ++i) divided.quotas_[i] = limits::Divided(quotas_[i], parts, strict);
    return divided;
  }

 private:
  std::array<Quota, kRatesMax> quotas_{};
  std::size_t size_ = 0;
};

}  // namespace gathering::limits
