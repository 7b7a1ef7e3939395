#pragma once
// The events of the running system: what any instance commits is read from the log, published on this
// instance's bus, and given to its streams.
#include <atomic>
#include <cstdint>
#include <optional>

#include "core/cache/statistics.h"
#include "core/config/config.h"
#include "core/events/bus.h"
#include "core/events/crew.h"
#include "core/events/log_reader.h"
#include "daemon/streams/dashboard_socket.h"
#include "daemon/streams/hub.h"

namespace gathering::streams {

struct FeedStats {
  events::LogReaderStats log;
  events::BusStats bus;
  HubStats hub;
};

class Feed final : private cache::Observed {
 public:
  // `changes` hears of every change, on a thread of its own, until Stop.
  Feed(const Config& config, const Clock& clock, events::ChangeListener& changes);
  ~Feed();  // stops
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // The schema is current.  Returns when the log is being read, or after a moment: then it follows later.
  void Start();

  // For each loop, on its thread.
  void Attach(loop::Loop& loop) { hub_.Attach(loop); }

  // From any thread: something was committed here.
  void Wake() { reader_.Wake(); }

  [[nodiscard]] Hub& hub() { return hub_; }
  [[nodiscard]] Dashboards& dashboards() { return dashboards_; }

  // From any thread: counts the WebSockets of this process.
  [[nodiscard]] std::uint64_t NextSocket() { return ++sockets_; }

  // On a loop's thread: all events up to this have been given out here, or were before anybody listened.
  // None: the log is not being read yet.
  [[nodiscard]] std::optional<std::int64_t> Position() const;

  [[nodiscard]] FeedStats Stats() const;
  [[nodiscard]] cache::Observed& history() { return *this; }

 private:
  [[nodiscard]] cache::Snapshot Look() const override;  // of the bus' history

  events::Crew crew_;
  events::Bus bus_;
  Hub hub_;
  Dashboards dashboards_;
  std::atomic<std::uint64_t> sockets_ = 0;
  events::LogReader reader_;
};

}  // namespace gathering::streams
