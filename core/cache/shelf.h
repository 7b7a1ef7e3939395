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
// Finding an entry reads the index and, but for its use, nothing else here: a bucket holds half of the hash,
// so that hardly anybody else's entry is looked at.  Under LRU uses are noted and the order is made up before
// anybody asks for it, many at a time, so that a use does not wait for the memory of its neighbours.
//
// An entry costs kOverheadBytes here beyond what the owner keeps.
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
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

  // It was used.
  void Touch(Slot slot) {
    if (policy_ != Policy::kLru) return Count(nodes_[slot]);
    if (used_count_ > 0 && used_[used_count_ - 1] == slot) return;
    used_[used_count_++] = slot;
    if (used_count_ == used_.size()) MakeUpOrder();
  }

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
  void Push(Queue& queue, Slot slot);
  void Unlink(Queue& queue, Slot slot);
  void Forget(Slot slot);  // takes it out of the index and frees the slot
  void Count(Node& node) const;
  void MakeUpOrder();
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
  Queue main_;
  Queue small_;                    // S3-FIFO's
  Slot hand_ = kNone;              // SIEVE's: the next to look at
  std::unique_ptr<Shelf> ghosts_;  // S3-FIFO's: hashes of those who left the small queue
  std::uint32_t entries_ = 0;
  std::uint64_t bytes_ = 0;
  std::array<Slot, 32> used_{};  // since the order was made up, the last one last
  std::uint32_t used_count_ = 0;

 public:
  // There are at most 8/3 buckets for each.
  static constexpr std::size_t kOverheadBytes = sizeof(Node) + 8 * sizeof(Bucket) / 3;
};

}  // namespace gathering::cache

template <>
struct gathering::schema::Names<gathering::cache::Policy> {
  static constexpr std::string_view kTexts[] = {"lru", "sieve", "s3fifo"};
};
