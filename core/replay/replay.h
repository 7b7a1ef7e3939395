#pragma once
// A replay: events from an input, filtered, at their pace, in their order, to an output.
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/replay/filter.h"
#include "core/replay/pace.h"
#include "core/replay/sink.h"
#include "core/replay/source.h"
#include "core/schema/fields.h"

namespace gathering::replay {

inline constexpr std::size_t kBatchEvents = 500;
// An event whose id is among so many before it is a duplicate.
inline constexpr std::size_t kIdsRemembered = 1'000'000;

// Everything that was read is one of the others, or was not delivered before the end.
struct Counts {
  std::int64_t read = 0;  // events, and lines that are none
  std::int64_t delivered = 0;
  std::int64_t filtered = 0;
  std::int64_t deduplicated = 0;
  std::int64_t failed = 0;

  static void Fields(auto& self, auto& visit) {
    visit("read", self.read);
    visit("delivered", self.delivered);
    visit("filtered", self.filtered);
    visit("deduplicated", self.deduplicated);
    visit("failed", self.failed);
  }
};

struct Progress {
  Counts counts;
  std::optional<Timestamp> latest;  // of the event read last
};

struct ReplayOptions {
  Filter filter = {};
  std::optional<std::int64_t> limit = {};  // events that fit the filter and are no duplicates
  PaceOptions pace = {};
  bool strict = false;                      // the first that is no event is the end
  const std::atomic<bool>* stop = nullptr;  // watched; ends it after what was read is delivered

  // Waits, until then or until `stop`.
  std::function<void(Clock::Steady)> rest = {};
  // After each batch, and now and then when nothing fits: everything up to this place is dealt with.
  std::function<void(const Place&)> on_place = {};
  std::function<void(const Complaint&)> on_complaint = {};
  std::function<void(const Progress&)> on_progress = {};  // often
};

enum class Ending : std::uint8_t {
  kDone,
  kStopped,  // by `stop`
  kStrict,   // at what is no event
  kClosed,   // nobody reads the output any more
};

// Calls Finish of the sink when it is done.  An exception of the source or the sink comes through; what
// `on_place` heard of last is where things are then.
[[nodiscard]] Ending Replay(Source& source, Sink& sink, const ReplayOptions& options, const Clock& clock);

}  // namespace gathering::replay
