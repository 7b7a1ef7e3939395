#pragma once
// What the bus would have made of the events of the past with other settings: the same bus, in virtual time,
// the events coming at their recorded moments.  The same input gives the same result, whatever the machine.
//
// One subscriber asks for batches by circle; everything else is as a subscription is by default: up to eight
// calls at the same time, and a publisher that finds no room waits a second before its event is shed.
// Duplicates are told by type, source, circle, project and the text of the data with sorted names and no
// spaces.  An event that is older than one before it comes together with that.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/events/event.h"
#include "core/replay/sink.h"
#include "core/schema/fields.h"

namespace gathering::replay {

inline constexpr std::size_t kCombinationsMax = 100;
inline constexpr std::size_t kEventsInMemoryMax = 1'000'000;
inline constexpr std::chrono::milliseconds kHandlerTimeMax{10'000};  // no call may be taken for stuck

// The bus' own, unless something else is said.
struct WhatIf {
  std::chrono::milliseconds window{50};
  std::uint32_t batch = 100;
  std::chrono::milliseconds dedup{1'000};
  std::uint32_t queue = 1'000;

  auto operator<=>(const WhatIf&) const = default;
};

// "window=50ms,100ms;dedup=1s,5s;queue=1000": every combination, the last key changing fastest.  Throws
// Error kInvalid.
[[nodiscard]] std::vector<WhatIf> ParseWhatIf(std::string_view text);

struct WhatIfResult {
  std::int64_t window_ms = 0;
  std::int64_t batch = 0;
  std::int64_t dedup_ms = 0;
  std::int64_t queue = 0;
  std::int64_t published = 0;
  std::int64_t duplicates = 0;
  std::int64_t batches = 0;       // calls of the handler
  double batch_mean = 0;          // events in a call
  std::int64_t delay_p50_us = 0;  // from the event's moment to the end of its call
  std::int64_t delay_p99_us = 0;
  std::int64_t queue_peak = 0;
  std::int64_t shed = 0;

  static void Fields(auto& self, auto& visit) {
    visit("window_ms", self.window_ms);
    visit("batch", self.batch);
    visit("dedup_ms", self.dedup_ms);
    visit("queue", self.queue);
    visit("published", self.published);
    visit("duplicates", self.duplicates);
    visit("batches", self.batches);
    visit("batch_mean", self.batch_mean);
    visit("delay_p50_us", self.delay_p50_us);
    visit("delay_p99_us", self.delay_p99_us);
    visit("queue_peak", self.queue_peak);
    visit("shed", self.shed);
  }
};

// Keeps the events for RunWhatIf.  A type this version does not know is no event.  Throws Error kRejected
// beyond kEventsInMemoryMax.
class WhatIfSink final : public Sink {
 public:
  [[nodiscard]] Delivery Deliver(std::span<Item> items) override;
  [[nodiscard]] std::span<const events::Event> events() const { return events_; }

 private:
  std::vector<events::Event> events_;  // their data in the one form, their times never falling
};

// `events` as WhatIfSink keeps them.  None: `stop` came before the end.
[[nodiscard]] std::optional<WhatIfResult> RunWhatIf(std::span<const events::Event> events,
                                                    const WhatIf& settings,
                                                    std::chrono::microseconds handler_time,
                                                    const std::atomic<bool>& stop);

}  // namespace gathering::replay
