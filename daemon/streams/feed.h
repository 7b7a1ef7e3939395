#pragma once
// The events of the running system: what any instance commits is read from the log, published on this
// instance's bus, and given to its streams.
#include <atomic>
#include <cstdint>
#include <optional>

#include "core/base/guarded.h"
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

  // What of a new configuration holds at once: the history's bounds, how long the log's events are kept,
  // and how streams are that are opened from now on.
  void Reload(const Config& config);

  // How a stream is that is opened now.
  [[nodiscard]] StreamsConfig streams_config() const {
    return streams_.With([](const auto& streams) { return streams; });
  }

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
  // Of the bus' history.
  [[nodiscard]] cache::Snapshot Look() const override;
  [[nodiscard]] cache::Bounds OwnBounds() const override;

  events::Crew crew_;
  events::Bus bus_;
  Hub hub_;
  Dashboards dashboards_;
  std::atomic<std::uint64_t> sockets_ = 0;
  Guarded<StreamsConfig> streams_;
  events::LogReader reader_;
};

}  // namespace gathering::streams
