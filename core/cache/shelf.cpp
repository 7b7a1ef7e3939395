#include "core/cache/shelf.h"

#include <algorithm>
#include <utility>

namespace gathering::cache {
namespace {

constexpr std::size_t kBucketsMin = 16;
constexpr std::size_t kRecordMin = 16;
constexpr std::uint64_t kEntryBytesMax = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint8_t kUsesMax = 3;
constexpr std::uint32_t kSmallShare = 10;  // S3-FIFO's small queue has a tenth of the room
constexpr std::uint8_t kUsesToStay = 2;

}  // namespace

Shelf::Shelf(Policy policy, const Bounds& bounds) : policy_(policy), bounds_(bounds), buckets_(kBucketsMin) {
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

void Shelf::Count(Node& node) const {
  if (policy_ == Policy::kSieve) {
    node.uses = 1;
  } else if (node.uses < kUsesMax) {
    ++node.uses;
  }
}

void Shelf::Use(std::span<const Slot> slots) {
  if (policy_ == Policy::kLru) return Record(slots);
  for (const Slot slot : slots) Count(nodes_[slot]);
}

void Shelf::Record(std::span<const Slot> slots) {
  if (record_.capacity() - record_.size() < slots.size()) ShortenRecord(slots.size());
  auto at = static_cast<std::uint32_t>(record_.size());
  record_.insert(record_.end(), slots.begin(), slots.end());
  std::uint32_t* const last_use = last_use_.data();
  for (const Slot slot : slots) last_use[slot] = at++;
}

// Only what counts stays; then there is room for twice as many uses again.  Without a branch, which nobody
// could predict.
void Shelf::ShortenRecord(std::size_t room) {
  Slot* const record = record_.data();
  std::uint32_t* const last_use = last_use_.data();
  std::uint32_t kept = 0;
  for (std::size_t at = oldest_; at < record_.size(); ++at) {
    const Slot slot = record[at];
    const bool counts = last_use[slot] == at;
    record[kept] = slot;
    last_use[slot] = counts ? kept : last_use[slot];
    kept += counts ? 1 : 0;
  }
  record_.resize(kept);
  oldest_ = 0;
  record_.reserve(std::max({kRecordMin, std::size_t{3} * kept, kept + room}));
}

Shelf::Slot Shelf::LruVictim() {
  while (!Counts(oldest_)) ++oldest_;
  return record_[oldest_];
}

bool Shelf::Full(std::uint64_t bytes) const {
  return entries_ >= bounds_.entries_max || bytes > std::min(bounds_.bytes_max, kEntryBytesMax) ||
         bytes_ > bounds_.bytes_max - bytes;
}

Shelf::Slot Shelf::Evict() {
  Slot slot = kNone;
  if (policy_ == Policy::kLru) slot = LruVictim();
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
  if (4 * (entries_ + std::size_t{1}) > 3 * buckets_.size()) GrowIndex();
  // What may find no memory comes before what changes.
  if (policy_ == Policy::kLru && record_.size() == record_.capacity()) ShortenRecord(1);
  Slot slot = free_;
  if (slot == kNone) {
    slot = static_cast<Slot>(nodes_.size());
    if (policy_ == Policy::kLru) last_use_.resize(nodes_.size() + 1, kNone);
    nodes_.emplace_back();
  } else {
    free_ = nodes_[slot].newer;
  }
  Node& node = nodes_[slot];
  node = {.hash = hash, .bytes = static_cast<std::uint32_t>(bytes)};
  Enter(hash, slot);
  if (policy_ == Policy::kS3Fifo) {
    const Slot ghost = ghosts_->Find(hash, [&](Slot other) { return ghosts_->HashOf(other) == hash; });
    node.probation = ghost == kNone;
    if (ghost != kNone) ghosts_->Remove(ghost);
  }
  Enqueue(slot);
  ++entries_;
  bytes_ += bytes;
  return slot;
}

void Shelf::Remove(Slot slot) {
  Node& node = nodes_[slot];
  if (hand_ == slot) hand_ = node.newer;
  Dequeue(slot);
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

void Shelf::Enqueue(Slot slot) {
  if (policy_ == Policy::kLru) return Record({&slot, 1});
  Push(QueueOf(nodes_[slot]), slot);
}

void Shelf::Dequeue(Slot slot) {
  if (policy_ == Policy::kLru) {
    last_use_[slot] = kNone;
  } else {
    Unlink(QueueOf(nodes_[slot]), slot);
  }
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

void Shelf::Enter(std::uint64_t hash, Slot slot) {
  std::size_t at = hash & mask();
  while (buckets_[at].slot != kNone) at = (at + 1) & mask();
  buckets_[at] = {.tag = TagOf(hash), .slot = slot};
}

// Who stands behind it moves up, as far as that brings nobody before the place of their hash (Knuth, TAOCP 3,
// 6.4, algorithm R).
void Shelf::Forget(Slot slot) {
  std::size_t gap = nodes_[slot].hash & mask();
  while (buckets_[gap].slot != slot) gap = (gap + 1) & mask();
  for (std::size_t at = (gap + 1) & mask(); buckets_[at].slot != kNone; at = (at + 1) & mask()) {
    const std::size_t home = nodes_[buckets_[at].slot].hash & mask();
    if (((at - home) & mask()) < ((at - gap) & mask())) continue;
    buckets_[gap] = buckets_[at];
    gap = at;
  }
  buckets_[gap] = {};
  nodes_[slot].newer = std::exchange(free_, slot);
}

void Shelf::GrowIndex() {
  std::vector<Bucket> grown(buckets_.size() * 2);
  std::swap(buckets_, grown);
  for (const Bucket& bucket : grown) {
    if (bucket.slot != kNone) Enter(nodes_[bucket.slot].hash, bucket.slot);
  }
}

}  // namespace gathering::cache
