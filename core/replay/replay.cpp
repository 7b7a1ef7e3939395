#include "core/replay/replay.h"

#include <functional>
#include <unordered_set>
#include <utility>

#include "core/base/uuid.h"

namespace gathering::replay {
namespace {

constexpr std::int64_t kDealtWithMax = 10'000;  // before the place is told, though nothing fits

// The ids that came last.
class Ids {
 public:
  // False when it is among them.
  bool Add(const Uuid& id) {
    if (!known_.insert(id).second) return false;
    if (ring_.size() < kIdsRemembered) {
      ring_.push_back(id);
    } else {
      known_.erase(std::exchange(ring_[oldest_], id));
      oldest_ = (oldest_ + 1) % kIdsRemembered;
    }
    return true;
  }

 private:
  struct Hash {
    std::size_t operator()(const Uuid& id) const { return std::hash<std::uint64_t>{}(id.high ^ id.low); }
  };

  std::unordered_set<Uuid, Hash> known_;
  std::vector<Uuid> ring_;
  std::size_t oldest_ = 0;
};

class Run {
 public:
  Run(Source& source, Sink& sink, const ReplayOptions& options, const Clock& clock)
      : source_(source), sink_(sink), options_(options), clock_(clock), pace_(options.pace) {
    place_ = source.place();
    source.OnWait([this] { Flush(); });
  }
  ~Run() { source_.OnWait({}); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Ending Replay() {
    const Ending read = ReadAll();
    Flush();
    const Ending ending = early_.value_or(read);
    if (ending == Ending::kDone) sink_.Finish();
    return ending;
  }

 private:
  Ending ReadAll() {
    while (!early_) {
      if (Stopped()) return Ending::kStopped;
      if (options_.limit && taken_ >= *options_.limit) return Ending::kDone;
      auto next = source_.Next();
      if (!next) return Stopped() ? Ending::kStopped : Ending::kDone;
      if (const auto* complaint = std::get_if<Complaint>(&*next)) {
        ++progress_.counts.read;
        Fail(*complaint);
        if (options_.strict) return Ending::kStrict;
      } else if (!Take(std::get<Item>(*std::move(next)))) {
        return Ending::kStopped;
      }
      place_ = source_.place();
      if (batch_.size() >= kBatchEvents || ++dealt_with_ >= kDealtWithMax) Flush();
    }
    return *early_;
  }

  [[nodiscard]] bool Stopped() const { return options_.stop != nullptr && *options_.stop; }

  // False when it is not to be dealt with any more.
  bool Take(Item item) {
    const bool fits = options_.filter.Fits(item.record);
    if (fits && !Await(item.record.timestamp)) return false;
    ++progress_.counts.read;
    progress_.latest = item.record.timestamp;
    if (!fits) {
      ++progress_.counts.filtered;
    } else if (!ids_.Add(item.record.event_id)) {
      ++progress_.counts.deduplicated;
    } else {
      ++taken_;
      batch_.push_back(std::move(item));
    }
    return true;
  }

  // What was before goes out before the pause.
  bool Await(Timestamp time) {
    const Clock::Steady due = pace_.Due(time, clock_.Now());
    if (due <= clock_.Now()) return true;
    Flush();
    options_.rest(due);
    return !Stopped();
  }

  void Flush() {
    dealt_with_ = 0;
    if (!early_ && !batch_.empty()) Deliver();
    if (!early_ && options_.on_place) options_.on_place(place_);
    if (options_.on_progress) options_.on_progress(progress_);
  }

  void Deliver() {
    const Delivery delivery = sink_.Deliver(batch_);
    batch_.clear();
    progress_.counts.delivered += delivery.delivered;
    progress_.counts.deduplicated += delivery.deduplicated;
    for (const Complaint& complaint : delivery.failed) Fail(complaint);
    if (delivery.closed) early_ = Ending::kClosed;
    if (options_.strict && !delivery.failed.empty()) early_ = Ending::kStrict;
  }

  void Fail(const Complaint& complaint) {
    ++progress_.counts.failed;
    if (options_.on_complaint) options_.on_complaint(complaint);
  }

  Source& source_;
  Sink& sink_;
  const ReplayOptions& options_;
  const Clock& clock_;
  Pace pace_;
  Ids ids_;
  std::vector<Item> batch_;
  Place place_;  // behind what was dealt with, the batch included
  std::int64_t dealt_with_ = 0;
  std::int64_t taken_ = 0;
  std::optional<Ending> early_;  // the sink's doing: the place is not told any more
  Progress progress_;
};

}  // namespace

Ending Replay(Source& source, Sink& sink, const ReplayOptions& options, const Clock& clock) {
  return Run{source, sink, options, clock}.Replay();
}

}  // namespace gathering::replay
