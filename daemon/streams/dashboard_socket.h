#pragma once
// /ws/dashboard: every event, as it is.  Who is connected can be asked for (/ws/stats).
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "core/base/guarded.h"
#include "core/base/timestamp.h"
#include "daemon/streams/socket.h"

namespace gathering::streams {

struct DashboardClient {
  std::string client_id;
  OffsetTimestamp connected_at;
  std::int64_t messages_sent = 0;
  std::int64_t messages_received = 0;

  static void Fields(auto& self, auto& visit) {
    visit("client_id", self.client_id, {.required = true});
    visit("connected_at", self.connected_at, {.required = true});
    visit("messages_sent", self.messages_sent, {.required = true});
    visit("messages_received", self.messages_received, {.required = true});
  }
};

struct DashboardStats {
  std::int64_t active_connections = 0;
  std::int64_t total_connections = 0;
  std::int64_t total_messages_sent = 0;
  std::int64_t total_broadcasts = 0;
  std::vector<DashboardClient> clients;

  static void Fields(auto& self, auto& visit) {
    visit("active_connections", self.active_connections, {.doc = "Of this instance", .required = true});
    visit("total_connections", self.total_connections, {.doc = "Since its start", .required = true});
    visit("total_messages_sent", self.total_messages_sent, {.required = true});
    visit("total_broadcasts", self.total_broadcasts,
          {.doc = "Events sent to whoever was connected", .required = true});
    visit("clients", self.clients, {.required = true});
  }
};

// The dashboards of this instance.  Safe from any thread.
class Dashboards {
 public:
  // One of them, counted by its loop and read by anybody.
  struct Entry {
    std::string client_id;
    OffsetTimestamp connected_at;
    std::atomic<std::int64_t> sent = 0;
    std::atomic<std::int64_t> received = 0;
  };
  using Place = std::list<std::shared_ptr<Entry>>::iterator;

  [[nodiscard]] Place Add(std::shared_ptr<Entry> entry);
  void Remove(Place place);
  void NoteBroadcast(std::int64_t sequence);  // counted once, however many it reaches

  [[nodiscard]] DashboardStats Stats() const;

 private:
  struct State {
    std::list<std::shared_ptr<Entry>> entries;
    std::int64_t connections = 0;
    std::int64_t sent = 0;  // by those who left
    std::int64_t broadcasts = 0;
    std::int64_t newest = 0;  // of the events broadcast
  };
  Guarded<State> state_;
};

class DashboardSocket final : public Socket {
 public:
  DashboardSocket(const StreamParts& parts, Dashboards& dashboards, std::string client_id, Timestamp now);
  ~DashboardSocket() override;

  void OnEvent(Parcel& parcel) override;

 private:
  void Greet() override;
  void Hear(const nlohmann::json& message) override;
  void HearNonsense() override;
  void Send(std::string_view text);

  Dashboards& dashboards_;
  const std::shared_ptr<Dashboards::Entry> entry_;
  const Dashboards::Place place_;
};

}  // namespace gathering::streams
