#pragma once
// /ws: events by topic.
//
// A topic is "tasks" or "circles:NAME".  An event has the topic of its kind (agents, circles, tasks,
// conversations, memories, pipelines, system) and those of the circle and the agent it concerns; a
// subscription to "circles" has all of "circles:…".  Who subscribed to nothing hears everything.
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/base/timestamp.h"
#include "daemon/streams/socket.h"

namespace gathering::streams {

// The topics of an event.
[[nodiscard]] std::vector<std::string> TopicsOf(const events::Event& event);

class TopicSocket final : public Socket {
 public:
  static constexpr std::size_t kTopicsMax = 100;
  static constexpr std::size_t kTopicBytesMax = 200;

  TopicSocket(const StreamParts& parts, const Clock& clock, std::uint64_t number);

  void OnEvent(Parcel& parcel) override;

 private:
  void Greet() override;
  void Hear(const nlohmann::json& message) override;
  void HearNonsense() override { Complain("a message is a JSON object with an action"); }

  void ChangeTopics(const nlohmann::json& message, bool subscribe);
  void Complain(std::string_view what);
  void Answer(std::string_view type, const nlohmann::json& data);

  const Clock& clock_;
  const std::string id_;
  const Timestamp connected_at_;
  std::set<std::string, std::less<>> topics_;
};

}  // namespace gathering::streams
