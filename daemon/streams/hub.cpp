#include "daemon/streams/hub.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/log.h"
#include "core/schema/writer.h"
#include "daemon/streams/sse.h"
#include "daemon/streams/topic_socket.h"

namespace gathering::streams {

namespace {

struct TopicFrame {
  std::string_view type;
  const schema::Json<>& data;
  OffsetTimestamp timestamp;

  static void Fields(auto& self, auto& visit) {
    visit("type", self.type);
    visit("data", self.data);
    visit("timestamp", self.timestamp);
  }
};

struct DashboardFrame {
  std::string_view type;
  const events::Event& event;
  Uuid event_id;
  OffsetTimestamp timestamp;

  static void Fields(auto& self, auto& visit) {
    visit("type", self.type);
    visit("data", self.event.data);
    visit("source_agent_id", self.event.source_agent_id);
    visit("circle_id", self.event.circle_id);
    visit("project_id", self.event.project_id);
    visit("event_id", self.event_id);
    visit("timestamp", self.timestamp);
  }
};

// The token, as a listener has it; empty, as no listener has it, when the event does not say.
std::string RevokedBy(const events::Event& event) {
  const auto data = nlohmann::json::parse(event.data.text, nullptr, false);
  return data.is_object() ? data.value("sha256", std::string{}) : std::string{};
}

}  // namespace

const std::string& Parcel::for_sse() {
  if (sse_.empty()) sse_ = ToSse(events::ToRecord(event_));
  return sse_;
}

const std::string& Parcel::for_topics() {
  if (for_topics_.empty()) {
    schema::WriteJson(
        TopicFrame{schema::ToText(event_.type), event_.data, OffsetTimestamp{event_.time.micros}},
        for_topics_);
  }
  return for_topics_;
}

const std::string& Parcel::for_dashboard() {
  if (for_dashboard_.empty()) {
    schema::WriteJson(
        DashboardFrame{schema::ToText(event_.type), event_, event_.id, OffsetTimestamp{event_.time.micros}},
        for_dashboard_);
  }
  return for_dashboard_;
}

const std::vector<std::string>& Parcel::topics() {
  if (topics_.empty()) topics_ = TopicsOf(event_);
  return topics_;
}

thread_local Hub::Lane* Hub::here_ = nullptr;

Hub::Hub(events::Bus& bus)
    : subscription_(
          bus.Subscribe({.name = "streams", .order = events::Order::kAll, .runs = events::Runs::kInPublisher},
                        [this](const events::Batch& batch) { OnEvents(batch); })) {}

Hub::~Hub() = default;

void Hub::Attach(loop::Loop& loop) {
  auto lane = std::make_shared<Lane>(*this, loop.inbox());
  here_ = lane.get();
  lanes_.With([&](auto& lanes) { lanes.push_back(lane); });
  loop.AtExit([this, lane] {
    here_ = nullptr;
    lanes_.With([&](auto& lanes) { std::erase(lanes, lane); });
  });
}

void Hub::Join(Listener& listener) {
  here_->listeners.push_back(&listener);
  listeners_.fetch_add(1, std::memory_order_relaxed);
}

void Hub::Leave(Listener& listener) {
  auto& listeners = here_->listeners;
  const auto place = std::ranges::find(listeners, &listener);
  if (here_->giving_out) {
    *place = nullptr;
  } else {
    *place = listeners.back();
    listeners.pop_back();
  }
  listeners_.fetch_sub(1, std::memory_order_relaxed);
}

std::int64_t Hub::position() const {
  return here_->position;
}

HubStats Hub::Stats() const {
  return {.listeners = listeners_.load(std::memory_order_relaxed),
          .delivered = delivered_.load(std::memory_order_relaxed),
          .overruns = overruns_.load(std::memory_order_relaxed)};
}

void Hub::OnEvents(const events::Batch& batch) {
  // A loop may end meanwhile; then nobody looks into its inbox any more.
  const auto lanes = lanes_.With([](const auto& all) { return all; });
  for (const std::shared_ptr<Lane>& lane : lanes) {
    const bool post = lane->pending.With([&](Pending& pending) {
      pending.events.insert(pending.events.end(), batch.events.begin(), batch.events.end());
      if (pending.events.size() > kPendingMax) {
        pending.events.clear();
        pending.overrun = true;
      }
      return !std::exchange(pending.posted, true);
    });
    if (post) lane->inbox->Push(*lane);
  }
  delivered_.fetch_add(batch.events.size() * lanes.size(), std::memory_order_relaxed);
}

void Hub::GiveOut(Lane& lane) {
  Pending pending = lane.pending.With([](Pending& all) { return std::exchange(all, {}); });
  lane.giving_out = true;
  // By index: they leave and join meanwhile.
  const auto each = [&lane](auto&& what) {
    for (std::size_t i = 0; i < lane.listeners.size(); ++i) {
      if (Listener* const listener = lane.listeners[i]) what(*listener);
    }
  };
  if (pending.overrun) {
    overruns_.fetch_add(1, std::memory_order_relaxed);
    log::Warn("a loop did not keep up with events; its streams are closed", {{"pending_max", kPendingMax}});
    each([](Listener& listener) { listener.OnLost(); });
  }
  for (const events::EventPointer& event : pending.events) {
    if (events::IsPublic(event->type)) {
      Parcel parcel{*event};
      each([&](Listener& listener) { listener.OnEvent(parcel); });
    } else {
      const std::string revoked = RevokedBy(*event);
      each([&](Listener& listener) {
        if (listener.token_sha256_ == revoked) listener.OnRevoked();
      });
    }
    lane.position = std::max(lane.position, event->sequence);
  }
  each([](Listener& listener) { listener.OnTurn(); });
  lane.giving_out = false;
  std::erase(lane.listeners, nullptr);
}

}  // namespace gathering::streams
