#include "core/cache/shelf.h"

#include <algorithm>
#include <utility>

namespace gathering::cache {
namespace {

constexpr std::size_t kBucketsMin = 16;
constexpr std::uint64_t kEntryBytesMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint8_t kUsesMax = 3;
constexpr std::uint32_t kSmallShare = 10;  // S3-FIFO's small queue has a tenth of the room
constexpr std::uint8_t kUsesToStay = 2;

}  // namespace

Shelf::Shelf(Policy policy, const Bounds& bounds)
    : policy_(policy), bounds_(bounds), buckets_(kBucketsMin, kNone) {
  SetBounds(bounds);
}

Shelf::~Shelf() = default;
Shelf::Shelf(Shelf&&) noexcept = default;
Shelf& Shelf::operator=(Shelf&&) noexcept = default;

void Shelf::SetBounds(const Bounds& bounds) {
  bounds_ = bounds;
  bounds_.entries_max = std::max<std::uint32_t>(1, bounds.entries_max);
  if (policy_ == Policy::kS3Fifo)
    ghosts_ = std::make_unique<Shelf>(Policy::kLru,
                                      Bounds{bounds_.entries_max - bounds_.entries_max / kSmallShare});
}

Shelf::Slot Shelf::First(std::uint64_t hash) const {
  Slot slot = buckets_[BucketOf(hash)];
  while (slot != kNone && nodes_[slot].hash != hash) slot = nodes_[slot].chain;
  return slot;
}

Shelf::Slot Shelf::Next(Slot slot) const {
  const std::uint64_t hash = nodes_[slot].hash;
  do {
    slot = nodes_[slot].chain;
  } while (slot != kNone && nodes_[slot].hash != hash);
  return slot;
}

void Shelf::Touch(Slot slot) {
  Node& node = nodes_[slot];
  if (policy_ == Policy::kLru) {
    if (main_.head == slot) return;
    Unlink(main_, slot);
    Push(main_, slot);
  } else if (policy_ == Policy::kSieve) {
    node.uses = 1;
  } else if (node.uses < kUsesMax) {
    ++node.uses;
  }
}

bool Shelf::Full(std::uint64_t bytes) const {
  return entries_ >= bounds_.entries_max || bytes > std::min(bounds_.bytes_max, kEntryBytesMax) ||
         bytes_ > bounds_.bytes_max - bytes;
}

Shelf::Slot Shelf::Evict() {
  Slot slot = main_.tail;
  if (policy_ == Policy::kSieve) slot = SieveVictim();
  if (policy_ == Policy::kS3Fifo) slot = S3FifoVictim();
  Remove(slot);
  return slot;
}

Shelf::Slot Shelf::SieveVictim() {
  Slot slot = hand_ == kNone ? main_.tail : hand_;
  while (nodes_[slot].uses != 0) {
    nodes_[slot].uses = 0;
    slot = nodes_[slot].newer == kNone ? main_.tail : nodes_[slot].newer;
  }
  hand_ = slot;  // Remove moves it on
  return slot;
}

bool Shelf::SmallIsOver() const {
  return small_.entries > 0 &&
         (main_.entries == 0 ||
          small_.entries >= std::max<std::uint32_t>(1, bounds_.entries_max / kSmallShare) ||
          small_.bytes >= bounds_.bytes_max / kSmallShare);
}

Shelf::Slot Shelf::S3FifoVictim() {
  for (;;) {
    if (SmallIsOver()) {
      const Slot slot = small_.tail;
      Node& node = nodes_[slot];
      if (node.uses < kUsesToStay) {
        while (ghosts_->Full(0)) ghosts_->Evict();
        ghosts_->Add(node.hash, 0);
        return slot;
      }
      Unlink(small_, slot);
      node.probation = false;
      node.uses = 0;
      Push(main_, slot);
    } else {
      const Slot slot = main_.tail;
      Node& node = nodes_[slot];
      if (node.uses == 0) return slot;
      --node.uses;
      Unlink(main_, slot);
      Push(main_, slot);
    }
  }
}

Shelf::Slot Shelf::Add(std::uint64_t hash, std::uint64_t bytes) {
  if (entries_ >= buckets_.size()) GrowIndex();
  Slot slot = free_;
  if (slot == kNone) {
    slot = static_cast<Slot>(nodes_.size());
    nodes_.emplace_back();
  } else {
    free_ = nodes_[slot].chain;
  }
  Node& node = nodes_[slot];
  Slot& bucket = buckets_[BucketOf(hash)];
  node = {.hash = hash, .bytes = static_cast<std::uint32_t>(bytes), .chain = std::exchange(bucket, slot)};
  if (policy_ == Policy::kS3Fifo) {
    const Slot ghost = ghosts_->First(hash);
    node.probation = ghost == kNone;
    if (ghost != kNone) ghosts_->Remove(ghost);
  }
  Push(QueueOf(node), slot);
  ++entries_;
  bytes_ += bytes;
  return slot;
}

void Shelf::Remove(Slot slot) {
  Node& node = nodes_[slot];
  if (hand_ == slot) hand_ = node.newer;
  Unlink(QueueOf(node), slot);
  --entries_;
  bytes_ -= node.bytes;
  Forget(slot);
}

void Shelf::Reweigh(Slot slot, std::uint64_t bytes) {
  Node& node = nodes_[slot];
  Queue& queue = QueueOf(node);
  queue.bytes += bytes - node.bytes;
  bytes_ += bytes - node.bytes;
  node.bytes = static_cast<std::uint32_t>(bytes);
}

void Shelf::Push(Queue& queue, Slot slot) {
  Node& node = nodes_[slot];
  node.newer = kNone;
  node.older = queue.head;
  if (queue.head != kNone) nodes_[queue.head].newer = slot;
  if (queue.tail == kNone) queue.tail = slot;
  queue.head = slot;
  ++queue.entries;
  queue.bytes += node.bytes;
}

void Shelf::Unlink(Queue& queue, Slot slot) {
  const Node& node = nodes_[slot];
  (node.newer == kNone ? queue.head : nodes_[node.newer].older) = node.older;
  (node.older == kNone ? queue.tail : nodes_[node.older].newer) = node.newer;
  --queue.entries;
  queue.bytes -= node.bytes;
}

void Shelf::Forget(Slot slot) {
  Slot* link = &buckets_[BucketOf(nodes_[slot].hash)];
  while (*link != slot) link = &nodes_[*link].chain;
  *link = nodes_[slot].chain;
  nodes_[slot].chain = std::exchange(free_, slot);
}

void Shelf::GrowIndex() {
  std::vector<Slot> grown(buckets_.size() * 2, kNone);
  std::swap(buckets_, grown);
  for (const Slot first : grown) {
    for (Slot slot = first; slot != kNone;) {
      Slot& bucket = buckets_[BucketOf(nodes_[slot].hash)];
      const Slot next = std::exchange(nodes_[slot].chain, bucket);
      bucket = std::exchange(slot, next);
    }
  }
}

}  // namespace gathering::cache
