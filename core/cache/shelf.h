#pragma once
// Which entry of a bounded set leaves first: order, bounds and index of a cache's entries, without their keys
// and values.  Whoever owns it keeps those by slot, compares keys, and holds a lock: not thread-safe.
//
// Policies:
// - LRU: the entry unused for longest leaves.
// - SIEVE (Zhang et al., NSDI 2024): a hand goes from the oldest entry to the newest and takes the first
//   one unused since it came by; nothing moves on a hit.  Survives scans.
// - S3-FIFO (Yang et al., SOSP 2023): newcomers pass a queue of a tenth of the room and stay only if they are
//   used there, or come back soon after they left.  Survives scans.
//
// Finding an entry reads the index and nothing else here: a bucket holds half of the hash, so that hardly
// anybody else's entry is looked at.  Using one changes the order only, which neither Find nor the numbers
// look at.  Under LRU the order is a record of uses, of which each entry's last counts: a use writes two
// numbers and reads none, and who looks for the oldest passes over what does not count.  The record is at
// most three times as long as there are entries.
//
// An entry costs kOverheadBytes here beyond what the owner keeps.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/schema/fields.h"

namespace gathering::cache {

enum class Policy : std::uint8_t { kLru, kSieve, kS3Fifo };

struct Bounds {
  std::uint32_t entries_max = 1'024;  // at least 1
  std::uint64_t bytes_max = std::numeric_limits<std::uint64_t>::max();
};

class Shelf {
 public:
  using Slot = std::uint32_t;
  static constexpr Slot kNone = std::numeric_limits<Slot>::max();

  Shelf(Policy policy, const Bounds& bounds);
  ~Shelf();
  Shelf(Shelf&&) noexcept;
  Shelf& operator=(Shelf&&) noexcept;

  // The entry of this hash that `is` the one (bool(Slot)); kNone: there is none.  `is` may be asked about
  // others.
  template <class F>
  [[nodiscard]] Slot Find(std::uint64_t hash, F&& is) const {
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Bucket& bucket = buckets_[at];
      if (bucket.slot == kNone || (bucket.tag == TagOf(hash) && is(bucket.slot))) return bucket.slot;
    }
  }
  [[nodiscard]] std::uint64_t HashOf(Slot slot) const { return nodes_[slot].hash; }

  // They were used, the last one last.
  void Use(std::span<const Slot> slots);

  // Whether an entry of `bytes` more would be too much.  True even when nothing is left to evict, if it alone
  // is larger than all.
  [[nodiscard]] bool Full(std::uint64_t bytes) const;

  // Lets go of the entry whose turn it is; there is one.
  Slot Evict();

  // Not full.  The slot is a new one or one let go of before.
  Slot Add(std::uint64_t hash, std::uint64_t bytes);

  void Remove(Slot slot);
  void Reweigh(Slot slot, std::uint64_t bytes);  // may be too much then: see Over

  // Whether there is more than the bounds allow, because they or a weight changed.
  [[nodiscard]] bool Over() const { return entries_ > bounds_.entries_max || bytes_ > bounds_.bytes_max; }
  void SetBounds(const Bounds& bounds);
  [[nodiscard]] const Bounds& bounds() const { return bounds_; }

  [[nodiscard]] std::uint32_t entries() const { return entries_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t BytesOf(Slot slot) const { return nodes_[slot].bytes; }

 private:
  struct Node {
    std::uint64_t hash = 0;
    std::uint32_t bytes = 0;
    Slot newer = kNone;  // towards the head of its queue; of a free one: the next free one
    Slot older = kNone;
    std::uint8_t uses = 0;   // since it was looked at; SIEVE counts to 1, S3-FIFO to 3
    bool probation = false;  // in S3-FIFO's small queue
  };

  struct Bucket {
    std::uint32_t tag = 0;
    Slot slot = kNone;
  };

  struct Queue {
    Slot head = kNone;  // the newest
    Slot tail = kNone;
    std::uint32_t entries = 0;
    std::uint64_t bytes = 0;
  };

  Queue& QueueOf(const Node& node) { return node.probation ? small_ : main_; }
  [[nodiscard]] bool Counts(std::size_t at) const { return last_use_[record_[at]] == at; }
  void Record(std::span<const Slot> slots);
  void ShortenRecord(std::size_t room);
  Slot LruVictim();
  void Enqueue(Slot slot);
  void Dequeue(Slot slot);
  void Push(Queue& queue, Slot slot);
  void Unlink(Queue& queue, Slot slot);
  void Forget(Slot slot);  // takes it out of the index and frees the slot
  void Count(Node& node) const;
  Slot SieveVictim();
  Slot S3FifoVictim();
  [[nodiscard]] bool SmallIsOver() const;
  [[nodiscard]] std::size_t mask() const { return buckets_.size() - 1; }
  [[nodiscard]] static std::uint32_t TagOf(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32);
  }
  void Enter(std::uint64_t hash, Slot slot);
  void GrowIndex();

  Policy policy_;
  Bounds bounds_;
  std::vector<Node> nodes_;
  std::vector<Bucket> buckets_;  // a power of two, at most three quarters of them taken; linear probing
  Slot free_ = kNone;
  std::vector<Slot> record_;             // LRU's, the last use last
  std::vector<std::uint32_t> last_use_;  // LRU: its place in the record, by slot
  std::size_t oldest_ = 0;               // in the record: nothing before it counts
  Queue main_;
  Queue small_;                    // S3-FIFO's
  Slot hand_ = kNone;              // SIEVE's: the next to look at
  std::unique_ptr<Shelf> ghosts_;  // S3-FIFO's: hashes of those who left the small queue
  std::uint32_t entries_ = 0;
  std::uint64_t bytes_ = 0;

 public:
  // There are at most 8/3 buckets for each, and three uses in the record.
  static constexpr std::size_t kOverheadBytes = sizeof(Node) + 8 * sizeof(Bucket) / 3 + 4 * sizeof(Slot);
};

}  // namespace gathering::cache

template <>
struct gathering::schema::Names<gathering::cache::Policy> {
  static constexpr std::string_view kTexts[] = {"lru", "sieve", "s3fifo"};
};
