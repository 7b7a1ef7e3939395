#pragma once
// Which keys came already a moment ago.
//
// A key is admitted when it was not admitted within the window before; what is suppressed does not lengthen
// the window, so a key that never rests comes through once a window.  Two keys are the same when all their
// bytes are: the hash (SipHash, 128 bits, keyed at random, so that nobody can make chains long) only finds
// the place.  At most `entries_max` keys are remembered; beyond, the oldest is forgotten before its time and
// counted: a duplicate may then come through, an event is never lost.
//
// A key costs its bytes and about 80 more; the places are reused, so a steady state allocates nothing.
// Safe from any thread.
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/siphash.h"

namespace gathering::events {

struct DeduplicatorOptions {
  std::chrono::milliseconds window{1'000};
  std::uint32_t entries_max = 10'000;
};

struct DeduplicatorStats {
  std::uint64_t admitted = 0;
  std::uint64_t suppressed = 0;
  std::uint64_t forgotten = 0;  // before their time, to make room
  std::uint32_t entries = 0;
  std::uint32_t entries_max = 0;
};

class Deduplicator {
 public:
  explicit Deduplicator(DeduplicatorOptions options);
  Deduplicator(const Deduplicator&) = delete;
  Deduplicator& operator=(const Deduplicator&) = delete;

  // Whether this key may come through now; if so, it is remembered.  `now` may be as rough as
  // the clock's NowRoughly.
  [[nodiscard]] bool Admit(std::string_view key, Clock::Steady now);

  // What was admitted came to nothing: the next with this key may come through.
  void Forget(std::string_view key);

  [[nodiscard]] DeduplicatorStats Stats() const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  // In a ring, oldest first.  Forgotten ones stay there, unlinked, until they are the oldest.
  struct Entry {
    std::string key;
    Hash128 hash;
    Clock::Steady admitted_at{};
    std::uint32_t next = kNone;  // of those with the same head
    bool linked = false;
  };

  [[nodiscard]] std::uint32_t& HeadOf(const Hash128& hash) { return heads_[hash.low & (heads_.size() - 1)]; }
  [[nodiscard]] std::uint32_t* Find(const Hash128& hash, std::string_view key);
  void Unlink(std::uint32_t& link);
  void DropOldest();
  void Prune(Clock::Steady now);

  const DeduplicatorOptions options_;
  const SipKey secret_;
  mutable std::mutex mutex_;  // guards everything below
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> heads_;
  std::uint32_t oldest_ = 0;
  std::uint32_t used_ = 0;  // entries from the oldest on
  DeduplicatorStats stats_;
};

}  // namespace gathering::events
