#include "core/events/deduplicator.h"

#include <algorithm>
#include <bit>

namespace gathering::events {

Deduplicator::Deduplicator(DeduplicatorOptions options)
    : options_(options),
      secret_(RandomKey()),
      entries_(std::max<std::uint32_t>(1, options.entries_max)),
      heads_(std::bit_ceil(entries_.size()), kNone) {}

bool Deduplicator::Admit(std::string_view key, Clock::Steady now) {
  const Hash128 hash = SipHash{secret_}.Finish(key);
  std::scoped_lock lock{mutex_};
  Prune(now);
  if (Find(hash, key) != nullptr) {
    ++stats_.suppressed;
    return false;
  }
  if (used_ == entries_.size()) {
    if (entries_[oldest_].linked) ++stats_.forgotten;
    DropOldest();
  }
  const auto place = static_cast<std::uint32_t>((oldest_ + used_++) % entries_.size());
  Entry& entry = entries_[place];
  entry.key.assign(key);
  entry.hash = hash;
  entry.admitted_at = now;
  entry.next = HeadOf(hash);
  entry.linked = true;
  HeadOf(hash) = place;
  ++stats_.admitted;
  ++stats_.entries;
  return true;
}

void Deduplicator::Forget(std::string_view key) {
  const Hash128 hash = SipHash{secret_}.Finish(key);
  std::scoped_lock lock{mutex_};
  if (std::uint32_t* const link = Find(hash, key)) Unlink(*link);
}

DeduplicatorStats Deduplicator::Stats() const {
  std::scoped_lock lock{mutex_};
  DeduplicatorStats stats = stats_;
  stats.entries_max = static_cast<std::uint32_t>(entries_.size());
  return stats;
}

// The link that leads to the key.
std::uint32_t* Deduplicator::Find(const Hash128& hash, std::string_view key) {
  std::uint32_t* link = &HeadOf(hash);
  while (*link != kNone) {
    Entry& entry = entries_[*link];
    if (entry.hash == hash && entry.key == key) return link;
    link = &entry.next;
  }
  return nullptr;
}

void Deduplicator::Unlink(std::uint32_t& link) {
  Entry& entry = entries_[link];
  link = entry.next;
  entry.linked = false;
  --stats_.entries;
}

void Deduplicator::DropOldest() {
  Entry& entry = entries_[oldest_];
  if (entry.linked) {
    std::uint32_t* link = &HeadOf(entry.hash);
    while (*link != oldest_) link = &entries_[*link].next;
    Unlink(*link);
  }
  oldest_ = static_cast<std::uint32_t>((oldest_ + 1) % entries_.size());
  --used_;
}

void Deduplicator::Prune(Clock::Steady now) {
  while (used_ > 0) {
    const Entry& entry = entries_[oldest_];
    if (entry.linked && now - entry.admitted_at < options_.window) return;
    DropOldest();
  }
}

}  // namespace gathering::events
