#include <chrono>

#include "core/events/consumers.h"
#include "daemon/api/metrics_families.h"
#include "daemon/streams/feed.h"

namespace gathering::http {
namespace {

using events::ConsumerStats;
using events::LogReaderStats;
using events::SubscriptionCounts;
using events::SubscriptionStats;
using metrics::Exposition;
using metrics::Kind;

constexpr Column<LogReaderStats, std::uint64_t> kLogCounters[] = {
    {{Kind::kCounter, "gathering_event_log_events_total", "Events read"}, &LogReaderStats::events},
    {{Kind::kCounter, "gathering_event_log_unknown_total", "Events of types that a newer version writes"},
     &LogReaderStats::unknown},
    {{Kind::kCounter, "gathering_event_log_polls_total", "Looks into the log"}, &LogReaderStats::polls},
    {{Kind::kCounter, "gathering_event_log_notified_total", "Announcements by other daemons"},
     &LogReaderStats::notified},
    {{Kind::kCounter, "gathering_event_log_announced_total", "Announcements to other daemons"},
     &LogReaderStats::announced},
    {{Kind::kCounter, "gathering_event_log_connects_total", "Connections made"}, &LogReaderStats::connects},
    {{Kind::kCounter, "gathering_event_log_failures_total", "Looks and connections that failed"},
     &LogReaderStats::failures},
};

constexpr Column<events::BusStats, std::uint64_t> kBusCounters[] = {
    {{Kind::kCounter, "gathering_event_bus_published_total", "Events published"},
     &events::BusStats::published},
    {{Kind::kCounter, "gathering_event_bus_duplicates_total",
      "Events not published because they were a moment ago"},
     &events::BusStats::duplicates},
    {{Kind::kCounter, "gathering_event_bus_refused_total", "Events not published because the bus was closed"},
     &events::BusStats::refused},
};

constexpr Column<events::BusStats, std::uint32_t> kBusGauges[] = {
    {{Kind::kGauge, "gathering_event_bus_calls_running", "Handlers that run on workers"},
     &events::BusStats::running},
    {{Kind::kGauge, "gathering_event_bus_max_calls_running", "Handlers that may run on workers"},
     &events::BusStats::calls_max},
    {{Kind::kGauge, "gathering_event_bus_publishers_waiting", "Publishers that wait for room"},
     &events::BusStats::publishers_waiting},
};

constexpr Column<SubscriptionCounts, std::uint64_t> kSubscriptionCounters[] = {
    {{Kind::kCounter, "gathering_event_subscription_offered_total", "Events a subscription was to have"},
     &SubscriptionCounts::offered},
    {{Kind::kCounter, "gathering_event_subscription_delivered_total", "Events handled without an error"},
     &SubscriptionCounts::delivered},
    {{Kind::kCounter, "gathering_event_subscription_dead_total", "Events given up after the last attempt"},
     &SubscriptionCounts::dead},
    {{Kind::kCounter, "gathering_event_subscription_dropped_total", "Events dropped for lack of room"},
     &SubscriptionCounts::dropped},
    {{Kind::kCounter, "gathering_event_subscription_abandoned_total",
      "Events that waited when the subscription ended"},
     &SubscriptionCounts::abandoned},
    {{Kind::kCounter, "gathering_event_subscription_calls_total", "Calls of the handler"},
     &SubscriptionCounts::calls},
    {{Kind::kCounter, "gathering_event_subscription_failures_total", "Calls that threw"},
     &SubscriptionCounts::failures},
    {{Kind::kCounter, "gathering_event_subscription_timeouts_total", "Calls that took longer than allowed"},
     &SubscriptionCounts::timeouts},
};

constexpr Column<SubscriptionStats, std::uint32_t> kSubscriptionGauges[] = {
    {{Kind::kGauge, "gathering_event_subscription_queued", "Events that wait or are being handled"},
     &SubscriptionStats::queued},
    {{Kind::kGauge, "gathering_event_subscription_max_queued", "Events that may wait"},
     &SubscriptionStats::queue_events_max},
    {{Kind::kGauge, "gathering_event_subscription_calls_running", "Calls that run"},
     &SubscriptionStats::running},
};

constexpr Column<ConsumerStats, std::uint64_t> kConsumerCounters[] = {
    {{Kind::kCounter, "gathering_event_consumer_taken_total", "Events taken by this daemon"},
     &ConsumerStats::taken},
    {{Kind::kCounter, "gathering_event_consumer_failures_total", "Attempts that failed and are made again"},
     &ConsumerStats::failures},
};

constexpr Column<ConsumerStats, std::int64_t> kConsumerPositions[] = {
    {{Kind::kGauge, "gathering_event_consumer_position",
      "Number of the last event the consumer took, as this daemon saw it last"},
     &ConsumerStats::position},
};

void WriteLog(const LogReaderStats& log, Exposition& out) {
  WriteOne(out, {Kind::kGauge, "gathering_event_log_connected", "Whether the log can be read"},
           log.connected);
  out.Begin({Kind::kGauge, "gathering_event_log_position", "Number of the last event published here"});
  if (log.position) out.Sample({}, *log.position);
  WriteOne(out,
           {Kind::kGauge, "gathering_event_log_newest_position",
            "Highest number seen; above the position: waits for transactions"},
           log.newest);
  WriteColumns(out, kLogCounters, log);
}

void WriteSubscriptions(const std::vector<SubscriptionStats>& subscriptions, Exposition& out) {
  const auto label = [](const SubscriptionStats& one) { return metrics::Label{"subscription", one.name}; };
  WriteColumns(out, kSubscriptionCounters, subscriptions, label);
  WriteColumns(out, kSubscriptionGauges, subscriptions, label);
  out.Begin({Kind::kGauge, "gathering_event_subscription_lag_seconds", "Age of the oldest event that waits"});
  for (const SubscriptionStats& one : subscriptions)
    out.Sample({label(one)}, std::chrono::duration<double>(one.lag).count());
}

void WriteStreams(const streams::HubStats& hub, Exposition& out) {
  WriteOne(out, {Kind::kGauge, "gathering_event_streams", "Streams and WebSockets that are open"},
           hub.listeners);
  WriteOne(out, {Kind::kCounter, "gathering_event_streams_delivered_total", "Events given to loops"},
           hub.delivered);
  WriteOne(out,
           {Kind::kCounter, "gathering_event_streams_overruns_total",
            "Times a loop did not keep up and had its streams closed"},
           hub.overruns);
}

}  // namespace

void WriteEventMetrics(const Services& services, Exposition& out) {
  const streams::FeedStats stats = services.feed.Stats();
  WriteLog(stats.log, out);
  WriteColumns(out, kBusCounters, stats.bus);
  WriteColumns(out, kBusGauges, stats.bus);
  WriteSubscriptions(stats.bus.subscriptions, out);
  const std::vector<ConsumerStats> consumers = services.consumers.Stats();
  const auto label = [](const ConsumerStats& one) { return metrics::Label{"consumer", one.name}; };
  WriteColumns(out, kConsumerPositions, consumers, label);
  WriteColumns(out, kConsumerCounters, consumers, label);
  WriteStreams(stats.hub, out);
}

}  // namespace gathering::http
