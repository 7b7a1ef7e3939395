#include "daemon/streams/topic_socket.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gathering::streams {
namespace {

using nlohmann::json;

std::string OffsetText(Timestamp moment) {
  return ToText(OffsetTimestamp{moment.micros});
}

// "task.conflict.detected" is of "tasks".
std::string FamilyOf(events::EventType type) {
  const std::string_view name = schema::ToText(type);
  const std::string_view kind = name.substr(0, name.find('.'));
  if (kind == "memory") return "memories";
  if (kind == "system") return "system";
  return std::string{kind} + "s";
}

}  // namespace

std::vector<std::string> TopicsOf(const events::Event& event) {
  std::vector<std::string> topics = {FamilyOf(event.type)};
  const json data = json::parse(event.data.text, nullptr, false);
  if (data.is_object() && data.contains("circle") && data.at("circle").is_string())
    topics.push_back("circles:" + data.at("circle").get<std::string>());
  if (event.source_agent_id) topics.push_back(fmt::format("agents:{}", *event.source_agent_id));
  return topics;
}

TopicSocket::TopicSocket(const StreamParts& parts, const Clock& clock, std::uint64_t number)
    : Socket(parts), clock_(clock), id_(fmt::format("ws-{}", number)), connected_at_(clock.WallNow()) {}

void TopicSocket::OnEvent(Parcel& parcel) {
  if (!open()) return;
  const bool fits = topics_.empty() || std::ranges::any_of(parcel.topics(), [this](const std::string& topic) {
                      return topics_.contains(topic) ||
                             topics_.contains(std::string_view{topic}.substr(0, topic.find(':')));
                    });
  if (fits) Say(parcel.for_topics());
}

void TopicSocket::Greet() {
  Answer("connected", {{"connection_id", id_}, {"message", "Connected to gathering"}});
}

void TopicSocket::Hear(const json& message) {
  const json action = message.value("action", json());
  if (action == "ping") {
    Answer("pong", json::object());
  } else if (action == "subscribe") {
    ChangeTopics(message, true);
  } else if (action == "unsubscribe") {
    ChangeTopics(message, false);
  } else if (action == "info") {
    Answer("info", {{"id", id_}, {"subscriptions", topics_}, {"connected_at", OffsetText(connected_at_)}});
  } else {
    const std::string what = action.is_string() ? action.get<std::string>()
                             : action.is_null() ? "None"
                                                : action.dump();
    Complain("Unknown action: " + what.substr(0, kTopicBytesMax));
  }
}

// All of them or none.
void TopicSocket::ChangeTopics(const json& message, bool subscribe) {
  const json topics = message.value("topics", json());
  const bool fit = topics.is_array() && std::ranges::all_of(topics, [](const json& topic) {
                     return topic.is_string() && !topic.get_ref<const std::string&>().empty() &&
                            topic.get_ref<const std::string&>().size() <= kTopicBytesMax;
                   });
  if (!fit) return Complain("topics must be a list of texts of 1 to 200 bytes");
  auto changed = topics_;
  for (const json& topic : topics) {
    if (subscribe) {
      changed.insert(topic.get<std::string>());
    } else {
      changed.erase(topic.get<std::string>());
    }
  }
  if (changed.size() > kTopicsMax) return Complain("a connection has at most 100 topics");
  topics_ = std::move(changed);
  Answer(subscribe ? "subscribed" : "unsubscribed", {{"topics", topics}});
}

void TopicSocket::Complain(std::string_view what) {
  Answer("error", {{"message", what}});
}

void TopicSocket::Answer(std::string_view type, const json& data) {
  const json frame = {{"type", type}, {"data", data}, {"timestamp", OffsetText(clock_.WallNow())}};
  Say(frame.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace gathering::streams
