#include "core/replay/log_source.h"

#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/db/params.h"
#include "core/db/queries.h"
#include "core/events/horizon.h"

namespace gathering::replay {
namespace {

constexpr std::int64_t kPage = 1'000;
constexpr std::chrono::seconds kSettleMax{30};
constexpr std::chrono::milliseconds kLookEvery{20};

struct ViewRow {
  std::int64_t oldest_running = 0;
  std::int64_t newest = 0;
  std::optional<std::int64_t> id_after;

  static void Fields(auto& self, auto& visit) {
    visit("oldest_running", self.oldest_running);
    visit("newest", self.newest);
    visit("id_after", self.id_after);
  }
};

}  // namespace

std::optional<std::int64_t> SettledEnd(db::Session& session, const Clock& clock,
                                       const std::atomic<bool>& stop) {
  constexpr std::int64_t kNoEvents = std::numeric_limits<std::int64_t>::max();
  const Clock::Steady give_up_at = clock.Now() + kSettleMax;
  events::Horizon horizon;
  while (!stop) {
    // Marked once: what is newer than the first look is not asked for.
    const std::int64_t marked = horizon.marked() < 0 ? -1 : kNoEvents;
    const auto view =
        session.Query(sql::kEventsFollow, db::ToParams(kNoEvents, std::int64_t{1}, marked)).As<ViewRow>(0);
    horizon.Note({view.oldest_running, view.newest, view.id_after});
    if (horizon.settled()) return horizon.settled();
    if (clock.Now() > give_up_at) {
      throw Error{Code::kTimeout,
                  "a transaction that may still write events runs for long already; end it, or try again "
                  "later"};
    }
    session.Pause(kLookEvery);
  }
  return std::nullopt;
}

LogSource::LogSource(db::Session& session, std::int64_t after, std::int64_t up_to)
    : session_(session), up_to_(up_to), place_{.sequence = after} {}

std::optional<std::variant<Item, Complaint>> LogSource::Next() {
  if (given_ == page_.size()) {
    const db::Rows rows = session_.Query(sql::kReplayPage, db::ToParams(place_.sequence, up_to_, kPage));
    page_.clear();
    given_ = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) page_.push_back(rows.As<events::Record>(i));
    if (page_.empty()) return std::nullopt;
  }
  events::Record& record = page_[given_++];
  place_.sequence = record.sequence;
  return Item{.record = std::move(record), .number = place_.sequence};
}

}  // namespace gathering::replay
