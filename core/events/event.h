#pragma once
// What happened, as everybody hears of it.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/timestamp.h"
#include "core/base/uuid.h"
#include "core/schema/fields.h"

namespace gathering::events {

enum class EventType : std::uint8_t {
  kAgentCreated,
  kAgentUpdated,
  kAgentDeleted,
  kAgentStarted,
  kAgentTaskCompleted,
  kAgentToolExecuted,
  kMemoryCreated,
  kMemoryShared,
  kCircleCreated,
  kCircleStarted,
  kCircleStopped,
  kCircleDeleted,
  kCircleMemberAdded,
  kCircleMemberRemoved,
  kTaskCreated,
  kTaskAssigned,
  kTaskStarted,
  kTaskSubmitted,
  kTaskReleased,
  kTaskCompleted,
  kTaskFailed,
  kTaskConflictDetected,
  kConversationMessage,
  kPipelineStarted,
  kPipelineCompleted,
  kPipelineFailed,
  kSystemStarted,
  kSystemStopping,
  kTokenRevoked,  // of the daemons among themselves, not for streams
};

// In a set of types.
[[nodiscard]] constexpr std::uint64_t BitOf(EventType type) {
  static_assert(static_cast<unsigned>(EventType::kTokenRevoked) < 64);
  return std::uint64_t{1} << static_cast<unsigned>(type);
}

// Whether users may hear of it.
[[nodiscard]] constexpr bool IsPublic(EventType type) {
  return type != EventType::kTokenRevoked;
}

struct Event {
  EventType type = EventType::kSystemStarted;
  schema::Json<> data = {.text = "{}"};  // an object
  std::optional<std::int64_t> source_agent_id = {};
  std::optional<std::int64_t> circle_id = {};
  std::optional<std::int64_t> project_id = {};
  Timestamp time = {};
  Uuid id = {};               // of this event among all, wherever it is published again
  std::int64_t sequence = 0;  // its place in the log; 0: it is not in the log

  // What it takes in memory, about.
  [[nodiscard]] std::size_t Bytes() const { return sizeof(Event) + data.text.capacity(); }
};

using EventPointer = std::shared_ptr<const Event>;

// What makes two events the same for deduplication: type, source, circle, project, and what of the payload
// tells one such event from the next, in the publisher's words ("task=7,status=completed").  Different
// parts never give one key, whatever bytes they hold.
[[nodiscard]] std::string SamenessOf(const Event& event, std::string_view discriminator);

}  // namespace gathering::events

template <>
struct gathering::schema::Names<gathering::events::EventType> {
  static constexpr std::string_view kTexts[] = {
      "agent.created",        "agent.updated",          "agent.deleted",        "agent.started",
      "agent.task.completed", "agent.tool.executed",    "memory.created",       "memory.shared",
      "circle.created",       "circle.started",         "circle.stopped",       "circle.deleted",
      "circle.member.added",  "circle.member.removed",  "task.created",         "task.assigned",
      "task.started",         "task.submitted",         "task.released",        "task.completed",
      "task.failed",          "task.conflict.detected", "conversation.message", "pipeline.started",
      "pipeline.completed",   "pipeline.failed",        "system.started",       "system.stopping",
      "token.revoked"};
};
