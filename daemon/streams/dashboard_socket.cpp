#include "daemon/streams/dashboard_socket.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace gathering::streams {

using nlohmann::json;

Dashboards::Place Dashboards::Add(std::shared_ptr<Entry> entry) {
  return state_.With([&](State& state) {
    ++state.connections;
    return state.entries.insert(state.entries.end(), std::move(entry));
  });
}

void Dashboards::Remove(Place place) {
  state_.With([&](State& state) {
    state.sent += (*place)->sent;
    state.entries.erase(place);
  });
}

void Dashboards::NoteBroadcast(std::int64_t sequence) {
  state_.With([&](State& state) {
    if (sequence <= state.newest) return;
    state.newest = sequence;
    ++state.broadcasts;
  });
}

DashboardStats Dashboards::Stats() const {
  DashboardStats stats;
  state_.With([&](const State& state) {
    stats.active_connections = static_cast<std::int64_t>(state.entries.size());
    stats.total_connections = state.connections;
    stats.total_messages_sent = state.sent;
    stats.total_broadcasts = state.broadcasts;
    for (const auto& entry : state.entries) {
      stats.total_messages_sent += entry->sent;
      stats.clients.push_back({.client_id = entry->client_id,
                               .connected_at = entry->connected_at,
                               .messages_sent = entry->sent,
                               .messages_received = entry->received});
    }
  });
  return stats;
}

DashboardSocket::DashboardSocket(const StreamParts& parts, Dashboards& dashboards, std::string client_id,
                                 Timestamp now)
    : Socket(parts),
      dashboards_(dashboards),
      entry_(std::make_shared<Dashboards::Entry>(std::move(client_id), OffsetTimestamp{now.micros})),
      place_(dashboards.Add(entry_)) {}

DashboardSocket::~DashboardSocket() {
  dashboards_.Remove(place_);
}

void DashboardSocket::OnEvent(Parcel& parcel) {
  if (!open()) return;
  dashboards_.NoteBroadcast(parcel.event().sequence);
  Send(parcel.for_dashboard());
}

void DashboardSocket::Greet() {
  const json greeting = {
      {"type", "connection.established"},
      {"data", {{"client_id", entry_->client_id}, {"message", "Connected to the gathering dashboard"}}}};
  Send(greeting.dump());
}

void DashboardSocket::Hear(const json& message) {
  entry_->received.fetch_add(1, std::memory_order_relaxed);
  if (message.value("type", json()) != "ping") return;
  Send(json{{"type", "pong"}, {"timestamp", message.value("timestamp", json())}}.dump());
}

void DashboardSocket::HearNonsense() {
  entry_->received.fetch_add(1, std::memory_order_relaxed);
  Send(R"({"type":"error","data":{"message":"a message is a JSON object with a type"}})");
}

void DashboardSocket::Send(std::string_view text) {
  Say(text);
  entry_->sent.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace gathering::streams
