#include "core/events/log.h"

#include <algorithm>
#include <utility>

#include "core/db/queries.h"

namespace gathering::events {
namespace {

// The same pattern in the words of LIKE.
std::string ToLike(std::string_view pattern) {
  std::string like;
  for (const char c : pattern) {
    if (c == '*') {
      like.push_back('%');
      continue;
    }
    if (c == '%' || c == '_' || c == '\\') like.push_back('\\');
    like.push_back(c);
  }
  return like;
}

}  // namespace

std::optional<Event> ToEvent(Record record) {
  const auto type = schema::FromText<EventType>(record.type);
  if (!type) return std::nullopt;
  return Event{.type = *type,
               .data = std::move(record.data),
               .source_agent_id = record.source_agent_id,
               .circle_id = record.circle_id,
               .project_id = record.project_id,
               .time = record.timestamp,
               .id = record.event_id,
               .sequence = record.sequence};
}

Record ToRecord(const Event& event) {
  return {.sequence = event.sequence,
          .event_id = event.id,
          .type = std::string{schema::ToText(event.type)},
          .data = event.data,
          .source_agent_id = event.source_agent_id,
          .circle_id = event.circle_id,
          .project_id = event.project_id,
          .timestamp = event.time};
}

std::vector<Record> List(db::Executor& db, const RecordFilter& filter, std::optional<std::int64_t> before,
                         std::int64_t limit) {
  return db.All<Record>(sql::kEventsList, before, ToLikes(filter.types), filter.circle_id,
                        filter.source_agent_id, limit);
}

std::vector<Record> Between(db::Executor& db, const RecordFilter& filter, const Span& span,
                            std::int64_t limit) {
  return db.All<Record>(sql::kEventsBetween, span.after, span.up_to, ToLikes(filter.types), filter.circle_id,
                        filter.source_agent_id, limit);
}

std::optional<std::int64_t> Oldest(db::Executor& db) {
  return db.One<std::optional<std::int64_t>>(sql::kEventsOldest);
}

std::int64_t Drawn(db::Executor& db) {
  return db.One<std::int64_t>(sql::kEventsDrawn);
}

bool Fits(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // the last one tried, and what it has swallowed so far
  std::size_t swallowed = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      swallowed = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++swallowed;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::optional<std::vector<std::string>> ToLikes(const std::vector<std::string>& patterns) {
  if (patterns.empty()) return std::nullopt;
  std::vector<std::string> likes;
  for (const std::string& pattern : patterns) likes.push_back(ToLike(pattern));
  return likes;
}

bool FitsAny(const std::vector<std::string>& patterns, std::string_view text) {
  return patterns.empty() ||
         std::ranges::any_of(patterns, [&](const std::string& pattern) { return Fits(pattern, text); });
}

}  // namespace gathering::events
