#pragma once
// The log of events in PostgreSQL.  Who changes something writes its event in the same statement (the
// "told" parts of the nouns' SQL), so that both are there or neither; this is for those who read.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/timestamp.h"
#include "core/base/uuid.h"
#include "core/db/executor.h"
#include "core/events/event.h"
#include "core/schema/fields.h"

namespace gathering::events {

// How instances tell each other that there is more in the log.
inline constexpr std::string_view kListen = "LISTEN gathering_events";
inline constexpr std::string_view kAnnounce = "NOTIFY gathering_events";

// An event as it is written down: in the log, in answers, in streams and in files.  The type is a text,
// because a newer version may have written one that we do not know.
struct Record {
  std::int64_t sequence = 0;
  Uuid event_id;
  std::string type;
  schema::Json<> data;
  std::optional<std::int64_t> source_agent_id;
  std::optional<std::int64_t> circle_id;
  std::optional<std::int64_t> project_id;
  Timestamp timestamp;

  static void Fields(auto& self, auto& visit) {
    visit("sequence", self.sequence, {.doc = "Its place in the log; rises, with gaps", .required = true});
    visit("event_id", self.event_id, {.doc = "Its own among all events", .required = true});
    visit("type", self.type, {.doc = "For example task.completed", .required = true});
    visit("data", self.data, {.doc = "An object; what is in it depends on the type", .required = true});
    visit("source_agent_id", self.source_agent_id, {.doc = "The agent that did it"});
    visit("circle_id", self.circle_id, {.doc = "The circle's number, not its name; that is in data"});
    visit("project_id", self.project_id);
    visit("timestamp", self.timestamp, {.required = true});
  }
};

// None: the type is not one of ours.
[[nodiscard]] std::optional<Event> ToEvent(Record record);
[[nodiscard]] Record ToRecord(const Event& event);

// What is not given fits everything.
struct RecordFilter {
  std::vector<std::string> types = {};  // patterns: "task.*"
  std::optional<std::int64_t> circle_id = {};
  std::optional<std::int64_t> source_agent_id = {};
};

// The newest first, at most `limit`, those before a position.  May leave out events that commit while it
// reads: streams are for those who follow.
[[nodiscard]] std::vector<Record> List(db::Executor& db, const RecordFilter& filter,
                                       std::optional<std::int64_t> before, std::int64_t limit);

// What is between two positions in the log.
struct Span {
  std::int64_t after = 0;
  std::int64_t up_to = 0;  // itself included
};

// In their order, at most `limit`.
[[nodiscard]] std::vector<Record> Between(db::Executor& db, const RecordFilter& filter, const Span& span,
                                          std::int64_t limit);

// The lowest sequence number that is still kept; none: nothing is.
[[nodiscard]] std::optional<std::int64_t> Oldest(db::Executor& db);

// The last sequence number that was given to anybody, who may not have committed; 0: none was.
[[nodiscard]] std::int64_t Drawn(db::Executor& db);

// Whether a text has a form in which '*' stands for any characters, and nothing else is special.
[[nodiscard]] bool Fits(std::string_view pattern, std::string_view text);

// The patterns in the words of LIKE; none: of none everything has the form.
[[nodiscard]] std::optional<std::vector<std::string>> ToLikes(const std::vector<std::string>& patterns);

// The same of one of several patterns; of none everything has the form.
[[nodiscard]] bool FitsAny(const std::vector<std::string>& patterns, std::string_view text);

}  // namespace gathering::events
