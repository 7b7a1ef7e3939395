#include "daemon/api/health_events.h"

#include "core/events/consumers.h"
#include "daemon/api/number.h"
#include "daemon/streams/feed.h"

namespace gathering::http {
namespace {

SubscriptionReport Report(const events::SubscriptionStats& stats) {
  return {.name = stats.name,
          .offered = Number(stats.offered),
          .delivered = Number(stats.delivered),
          .dead = Number(stats.dead),
          .dropped = Number(stats.dropped),
          .abandoned = Number(stats.abandoned),
          .failures = Number(stats.failures),
          .timeouts = Number(stats.timeouts),
          .queued = Number(stats.queued),
          .queued_max_seen = Number(stats.queued_max_seen),
          .queue_events_max = Number(stats.queue_events_max),
          .running = Number(stats.running),
          .lag_ms = static_cast<double>(stats.lag.count()) / kMicrosPerMilli};
}

}  // namespace

EventsReport ReportEvents(Call& call) {
  const streams::FeedStats stats = call.services().feed.Stats();
  EventsReport report{.log = {.connected = stats.log.connected,
                              .position = stats.log.position,
                              .newest = stats.log.newest,
                              .events = Number(stats.log.events),
                              .unknown = Number(stats.log.unknown),
                              .polls = Number(stats.log.polls),
                              .notified = Number(stats.log.notified),
                              .announced = Number(stats.log.announced),
                              .connects = Number(stats.log.connects),
                              .failures = Number(stats.log.failures)},
                      .bus = {.published = Number(stats.bus.published),
                              .duplicates = Number(stats.bus.duplicates),
                              .refused = Number(stats.bus.refused),
                              .running = Number(stats.bus.running),
                              .calls_max = Number(stats.bus.calls_max),
                              .history_events = Number(stats.bus.history.events),
                              .history_bytes = Number(stats.bus.history.bytes),
                              .subscriptions = {}},
                      .consumers = {},
                      .streams = {.open = Number(stats.hub.listeners),
                                  .delivered = Number(stats.hub.delivered),
                                  .overruns = Number(stats.hub.overruns)}};
  for (const events::ConsumerStats& one : call.services().consumers.Stats()) {
    report.consumers.push_back({.name = one.name,
                                .position = one.position,
                                .taken = Number(one.taken),
                                .failures = Number(one.failures)});
  }
  for (const events::SubscriptionStats& one : stats.bus.subscriptions)
    report.bus.subscriptions.push_back(Report(one));
  return report;
}

}  // namespace gathering::http
