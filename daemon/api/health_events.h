#pragma once
// GET /health/events: how the log of events is read, published and streamed, for operators.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/http/call.h"

namespace gathering::http {

struct LogReport {
  bool connected = false;
  std::optional<std::int64_t> position;
  std::int64_t newest = 0;
  std::int64_t events = 0;
  std::int64_t unknown = 0;
  std::int64_t polls = 0;
  std::int64_t notified = 0;
  std::int64_t announced = 0;
  std::int64_t connects = 0;
  std::int64_t failures = 0;

  static void Fields(auto& self, auto& visit) {
    visit("connected", self.connected);
    visit("position", self.position, {.doc = "Of the last event that was published here; null: none yet"});
    visit("newest", self.newest, {.doc = "The highest number seen; above position: waits for transactions"});
    visit("events", self.events, {.doc = "Read since the start; counts below likewise"});
    visit("unknown", self.unknown, {.doc = "Of types that a newer version writes"});
    visit("polls", self.polls);
    visit("notified", self.notified, {.doc = "Announcements by other instances"});
    visit("announced", self.announced, {.doc = "Announcements to other instances"});
    visit("connects", self.connects);
    visit("failures", self.failures);
  }
};

struct SubscriptionReport {
  std::string name;
  std::int64_t offered = 0;
  std::int64_t delivered = 0;
  std::int64_t dead = 0;
  std::int64_t dropped = 0;
  std::int64_t abandoned = 0;
  std::int64_t failures = 0;
  std::int64_t timeouts = 0;
  std::int64_t queued = 0;
  std::int64_t queued_max_seen = 0;
  std::int64_t queue_events_max = 0;
  std::int64_t running = 0;
  double lag_ms = 0;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("offered", self.offered);
    visit("delivered", self.delivered);
    visit("dead", self.dead, {.doc = "Given up after the last attempt"});
    visit("dropped", self.dropped, {.doc = "For lack of room"});
    visit("abandoned", self.abandoned, {.doc = "Waiting when the subscription ended"});
    visit("failures", self.failures, {.doc = "Calls that threw"});
    visit("timeouts", self.timeouts);
    visit("queued", self.queued);
    visit("queued_max_seen", self.queued_max_seen);
    visit("queue_events_max", self.queue_events_max);
    visit("running", self.running);
    visit("lag_ms", self.lag_ms, {.doc = "Age of the oldest that waits"});
  }
};

struct BusReport {
  std::int64_t published = 0;
  std::int64_t duplicates = 0;
  std::int64_t refused = 0;
  std::int64_t running = 0;
  std::int64_t calls_max = 0;
  std::int64_t history_events = 0;
  std::int64_t history_bytes = 0;
  std::vector<SubscriptionReport> subscriptions;

  static void Fields(auto& self, auto& visit) {
    visit("published", self.published);
    visit("duplicates", self.duplicates);
    visit("refused", self.refused, {.doc = "Because the bus was closed"});
    visit("running", self.running, {.doc = "Handlers on workers"});
    visit("calls_max", self.calls_max);
    visit("history_events", self.history_events);
    visit("history_bytes", self.history_bytes);
    visit("subscriptions", self.subscriptions);
  }
};

struct ConsumerReport {
  std::string name;
  std::int64_t position = 0;
  std::int64_t taken = 0;
  std::int64_t failures = 0;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("position", self.position, {.doc = "Of the last event it took, as this instance saw it last"});
    visit("taken", self.taken, {.doc = "Events, by this instance"});
    visit("failures", self.failures, {.doc = "Attempts; what failed is tried again"});
  }
};

struct StreamsReport {
  std::int64_t open = 0;
  std::int64_t delivered = 0;
  std::int64_t overruns = 0;

  static void Fields(auto& self, auto& visit) {
    visit("open", self.open, {.doc = "Streams of this instance"});
    visit("delivered", self.delivered, {.doc = "Events given to loops"});
    visit("overruns", self.overruns, {.doc = "How often a loop did not keep up and had its streams closed"});
  }
};

struct EventsReport {
  LogReport log;
  BusReport bus;
  std::vector<ConsumerReport> consumers;
  StreamsReport streams;

  static void Fields(auto& self, auto& visit) {
    visit("log", self.log);
    visit("bus", self.bus);
    visit("consumers", self.consumers, {.doc = "Durable ones: each takes every event once in effect"});
    visit("streams", self.streams);
  }
};

[[nodiscard]] EventsReport ReportEvents(Call& call);

}  // namespace gathering::http
