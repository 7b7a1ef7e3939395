// /events: what happened, as a list and as a stream.
#include <algorithm>
#include <charconv>

#include "core/circles/circle.h"
#include "core/config/config.h"
#include "core/events/counts.h"
#include "core/events/log.h"
#include "daemon/api/stream_parts.h"
#include "daemon/api/table.h"
#include "daemon/streams/feed.h"
#include "daemon/streams/sse.h"

namespace gathering::http {
namespace {

constexpr std::int64_t kListMax = 1'000;
constexpr std::int64_t kCountedDays = 30;
constexpr std::string_view kLastEventId = "Last-Event-ID";

// What happened, and in which circle.
struct KindQuery {
  std::vector<std::string> type;
  std::optional<std::string> circle;

  static void Fields(auto& self, auto& visit) {
    visit("type", self.type, {.doc = "May come several times; * stands for anything: task.*", .max = 20});
    visit("circle", self.circle, {.doc = "The circle's name"});
  }
};

// Which events.
struct ChoiceQuery : KindQuery {
  std::optional<std::int64_t> agent;

  static void Fields(auto& self, auto& visit) {
    KindQuery::Fields(self, visit);
    visit("agent", self.agent, {.doc = "The agent that did it"});
  }
};

struct ListQuery : ChoiceQuery {
  std::optional<std::int64_t> before;
  std::int64_t limit = 100;

  static void Fields(auto& self, auto& visit) {
    ChoiceQuery::Fields(self, visit);
    visit("before", self.before, {.doc = "A sequence number: next_before of the page before", .min = 1});
    visit("limit", self.limit, {.min = 1, .max = kListMax});
  }
};

struct EventList {
  std::vector<events::Record> events;
  std::optional<std::int64_t> next_before;

  static void Fields(auto& self, auto& visit) {
    visit("events", self.events, {.doc = "The newest first", .required = true});
    visit("next_before", self.next_before, {.doc = "For the next page; null: this is the last"});
  }
};

struct CountsQuery : KindQuery {
  std::optional<Date> from;
  std::optional<Date> to;

  static void Fields(auto& self, auto& visit) {
    KindQuery::Fields(self, visit);
    visit("from", self.from, {.doc = "The first day; without it 30 days are counted"});
    visit("to", self.to, {.doc = "The last day; without it today's (UTC); at most 366 days behind from"});
  }
};

struct EventCounts {
  std::vector<events::DayCount> counts;

  static void Fields(auto& self, auto& visit) {
    visit("counts", self.counts,
          {.doc = "By day, then type; nothing for what did not happen", .required = true});
  }
};

struct StreamQuery : ChoiceQuery {
  std::optional<std::int64_t> last_event_id;
  TokenQuery token;

  static void Fields(auto& self, auto& visit) {
    ChoiceQuery::Fields(self, visit);
    visit("last_event_id", self.last_event_id,
          {.doc = "Go on behind this event; as the Last-Event-ID field, which wins", .min = 0});
    TokenQuery::Fields(self.token, visit);
  }
};

std::optional<std::int64_t> CircleId(Call& call, const KindQuery& query) {
  if (!query.circle) return std::nullopt;
  return circles::IdOf(call.db(), *query.circle);
}

events::RecordFilter FilterOf(Call& call, const ChoiceQuery& query) {
  return {.types = query.type, .circle_id = CircleId(call, query), .source_agent_id = query.agent};
}

EventList List(Call& call, Query<ListQuery> query) {
  EventList list;
  list.events = events::List(call.db(), FilterOf(call, query.value), query->before, query->limit + 1);
  if (static_cast<std::int64_t>(list.events.size()) > query->limit) {
    list.events.pop_back();
    list.next_before = list.events.back().sequence;
  }
  return list;
}

EventCounts Count(Call& call, Query<CountsQuery> query) {
  const events::CountFilter filter{.types = query->type, .circle_id = CircleId(call, query.value)};
  const Date to = query->to.value_or(ToDate(call.services().clock.WallNow()));
  const Date from = query->from.value_or(ToDate(DaysSinceEpoch(to) - kCountedDays + 1));
  return {events::ListCounts(call.db(), filter, from, to)};
}

// Where the client was, if it was here before.
std::optional<std::int64_t> LastEventId(const Call& call, const StreamQuery& query) {
  const auto field = call.request().Find(kLastEventId);
  if (!field || field->empty()) return query.last_event_id;
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(field->data(), field->data() + field->size(), id);
  if (error != std::errc{} || end != field->data() + field->size() || id < 0)
    throw Error{Code::kRejected, "Last-Event-ID is not a sequence number"};
  return id;
}

// What the client missed of what it wants.  The stream listens already, so nothing falls in between.
void CatchUp(Call& call, const events::RecordFilter& filter, std::int64_t last, streams::SseStream& stream) {
  const std::int64_t position = LogPosition(call);
  stream.LeaveOut(std::max(last, position));  // another instance may have read further than this one
  const std::int64_t most = call.services().feed.streams_config().catch_up_max;
  const auto missed = events::Between(call.db(), filter, {.after = last, .up_to = position}, most);
  stream.SendFirst(missed, static_cast<std::int64_t>(missed.size()) == most);
  const auto oldest = events::Oldest(call.db());
  if (oldest && *oldest > last + 1) stream.SendGap(last, *oldest);
}

Streaming Follow(Call& call, Query<StreamQuery> query) {
  const auto last = LastEventId(call, query.value);
  const events::RecordFilter filter = FilterOf(call, query.value);
  // A place in another log, or in what a restored copy has forgotten, says nothing about this one.
  const std::int64_t drawn = last ? events::Drawn(call.db()) : 0;
  auto stream = std::make_unique<streams::SseStream>(StreamPartsOf(call), filter);
  if (last > drawn) stream->SendGap(*last, drawn);
  if (last && *last <= drawn) CatchUp(call, filter, *last, *stream);
  return {.stream = std::move(stream),
          .content_type = "text/event-stream",
          .headers = {{"X-Accel-Buffering", "no"}}};
}

constexpr Route kRoutes[] = {
    {"events.list", Method::kGet, "/events", Authority::kUser, Tier::kRead, Statements{2}, Handle<&List>,
     "What happened, the newest first."},
    {"events.counts", Method::kGet, "/events/counts", Authority::kUser, Tier::kRead, Statements{2},
     Handle<&Count>, "How often what happened, by day."},
    {"events.stream", Method::kGet, "/events/stream", Authority::kUser, Tier::kRead, Statements{4},
     Handle<&Follow>, "What happens, as Server-Sent Events."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> EventRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
