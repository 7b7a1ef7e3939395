#include "core/replay/what_if.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/bench/histogram.h"
#include "core/config/value.h"
#include "core/events/bus.h"
#include "core/events/virtual_time.h"

namespace gathering::replay {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint32_t kCountMax = 1'000'000;  // of a batch or a queue
constexpr milliseconds kDurationMax{3'600'000};

[[noreturn]] void Refuse(const std::string& what) {
  throw Error{Code::kInvalid, what + "; give it as in 'window=50ms,100ms;dedup=1s;queue=1000'"};
}

// One key of the text and where its values go.
using Setter = void (*)(WhatIf&, std::string_view value);

template <milliseconds WhatIf::*Member>
void SetDuration(WhatIf& settings, std::string_view value) {
  const auto duration = config::ParseDuration(value);
  if (!duration || *duration > kDurationMax)
    Refuse(fmt::format("'{}' is no duration up to {}", value, config::ToText(kDurationMax)));
  settings.*Member = *duration;
}

template <std::uint32_t WhatIf::*Member>
void SetCount(WhatIf& settings, std::string_view value) {
  const auto number = config::ParseInteger(value);
  if (!number || *number < 1 || *number > kCountMax)
    Refuse(fmt::format("'{}' is not a number from 1 to {}", value, kCountMax));
  settings.*Member = static_cast<std::uint32_t>(*number);
}

constexpr std::pair<std::string_view, Setter> kKeys[] = {
    {"window", &SetDuration<&WhatIf::window>},
    {"batch", &SetCount<&WhatIf::batch>},
    {"dedup", &SetDuration<&WhatIf::dedup>},
    {"queue", &SetCount<&WhatIf::queue>},
};

Setter SetterOf(std::string_view key) {
  std::vector<std::string_view> names;
  for (const auto& [name, setter] : kKeys) {
    if (name == key) return setter;
    names.push_back(name);
  }
  throw Error{Code::kInvalid, fmt::format("there is no setting '{}'; there are {}{}", key,
                                          fmt::join(names, ", "), DidYouMean(key, names))};
}

// Each of `combinations` with each of the values.
std::vector<WhatIf> Crossed(const std::vector<WhatIf>& combinations, std::string_view part) {
  const std::size_t equals = part.find('=');
  if (equals == std::string_view::npos) Refuse(fmt::format("'{}' has no values", part));
  const Setter set = SetterOf(Trimmed(part.substr(0, equals)));
  const auto values = Split(part.substr(equals + 1), ',');
  if (values.empty()) Refuse(fmt::format("'{}' has no values", part));
  if (combinations.size() * values.size() > kCombinationsMax) {
    throw Error{Code::kInvalid,
                fmt::format("these are over {} combinations; give fewer values", kCombinationsMax)};
  }
  std::vector<WhatIf> crossed;
  for (const WhatIf& combination : combinations) {
    for (const std::string& value : values) {
      WhatIf settings = combination;
      set(settings, value);
      if (std::ranges::find(crossed, settings) == crossed.end()) crossed.push_back(settings);
    }
  }
  return crossed;
}

class Nobody final : public events::Ticket {
  void OnSettled(events::Published) override {}
};

// The bus with its one subscriber, and the past as its future.
class Simulation {
 public:
  Simulation(const WhatIf& settings, microseconds handler_time, Timestamp first)
      : handler_time_(handler_time),
        time_(BeginFor(first)),
        bus_({.batch_window = settings.window,
              .batch_events_max = settings.batch,
              .deduplication = {.window = settings.dedup},
              .seed = 1},
             time_, time_),
        subscription_(
            bus_.Subscribe({.name = "what-if", .collects = true, .queue_events_max = settings.queue},
                           [this](const events::Batch& batch) { Handle(batch); })) {}

  void Publish(const events::Event& event) {
    time_.RunUntil(time_.Now() + microseconds{event.time.micros - time_.WallNow().micros});
    while (!tickets_.empty() && tickets_.front().Settled()) tickets_.pop_front();
    bus_.Publish(event, {.delivery = events::Delivery::kBatched, .same_by = event.data.text},
                 tickets_.emplace_back());
  }

  void RunToTheEnd() {
    while (time_.Step()) {
    }
  }

  void Fill(WhatIfResult& result) const {
    const events::BusStats stats = bus_.Stats();
    const events::SubscriptionStats& one = stats.subscriptions.front();
    result.published = static_cast<std::int64_t>(stats.published);
    result.duplicates = static_cast<std::int64_t>(stats.duplicates);
    result.batches = static_cast<std::int64_t>(one.calls);
    result.batch_mean =
        one.calls > 0 ? static_cast<double>(one.delivered) / static_cast<double>(one.calls) : 0;
    result.delay_p50_us = std::chrono::duration_cast<microseconds>(delays_.At(0.5)).count();
    result.delay_p99_us = std::chrono::duration_cast<microseconds>(delays_.At(0.99)).count();
    result.queue_peak = one.queued_max_seen;
    result.shed = static_cast<std::int64_t>(one.dropped);
  }

 private:
  // Virtual time does not begin at zero.
  static Timestamp BeginFor(Timestamp first) {
    return {first.micros - events::VirtualTime{Timestamp{}}.WallNow().micros};
  }

  void Handle(const events::Batch& batch) {
    time_.Spend(handler_time_);
    const std::int64_t end = time_.WallNow().micros + handler_time_.count();
    for (const events::EventPointer& event : batch.events)
      delays_.Note(microseconds{end - event->time.micros});
  }

  const microseconds handler_time_;
  events::VirtualTime time_;
  bench::Histogram delays_;
  std::deque<Nobody> tickets_;
  events::Bus bus_;
  events::Subscription subscription_;
};

}  // namespace

std::vector<WhatIf> ParseWhatIf(std::string_view text) {
  std::vector<WhatIf> combinations = {{}};
  std::vector<std::string> given;
  for (const std::string& part : Split(text, ';')) {
    const std::string key{Trimmed(std::string_view{part}.substr(0, part.find('=')))};
    if (std::ranges::find(given, key) != given.end()) Refuse(fmt::format("'{}' is given twice", key));
    given.push_back(key);
    combinations = Crossed(combinations, part);
  }
  if (given.empty()) Refuse("there is no setting to try");
  return combinations;
}

Delivery WhatIfSink::Deliver(std::span<Item> items) {
  Delivery delivery;
  for (Item& item : items) {
    const std::string type = item.record.type;
    auto event = events::ToEvent(std::move(item.record));
    if (!event) {
      delivery.failed.push_back({item.number, fmt::format("the type '{}' is not known", type)});
      continue;
    }
    if (events_.size() >= kEventsInMemoryMax) {
      throw Error{Code::kRejected,
                  fmt::format("these are over {} events, which --what-if would hold in memory; use --limit",
                              kEventsInMemoryMax)};
    }
    const auto data = nlohmann::json::parse(event->data.text, nullptr, false);
    if (!data.is_discarded()) event->data.text = data.dump();
    if (!events_.empty()) event->time = std::max(event->time, events_.back().time);
    events_.push_back(*std::move(event));
    ++delivery.delivered;
  }
  return delivery;
}

std::optional<WhatIfResult> RunWhatIf(std::span<const events::Event> events, const WhatIf& settings,
                                      microseconds handler_time, const std::atomic<bool>& stop) {
  WhatIfResult result{.window_ms = settings.window.count(),
                      .batch = settings.batch,
                      .dedup_ms = settings.dedup.count(),
                      .queue = settings.queue};
  if (events.empty()) return result;
  Simulation simulation{settings, handler_time, events.front().time};
  for (auto event = events.begin(); event != events.end() && !stop; ++event) simulation.Publish(*event);
  simulation.RunToTheEnd();
  if (stop) return std::nullopt;
  simulation.Fill(result);
  return result;
}

}  // namespace gathering::replay
