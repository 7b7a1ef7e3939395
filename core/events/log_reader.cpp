#include "core/events/log_reader.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/db/queries.h"
#include "core/events/log.h"

namespace gathering::events {
namespace {

constexpr std::chrono::hours kKeepingEvery{1};
constexpr std::chrono::milliseconds kRetryMin{100};
constexpr std::chrono::milliseconds kRetryMax{2'000};

constexpr std::string_view kTimeouts = "SET statement_timeout = '10s'; SET lock_timeout = '2s'";

struct ViewRow {
  std::int64_t oldest_running = 0;
  std::int64_t newest = 0;
  std::optional<std::int64_t> id_after;
  std::optional<std::int64_t> sequence;  // none: no event

  static constexpr std::size_t kColumns = 3;
  static void Fields(auto& self, auto& visit) {
    visit("oldest_running", self.oldest_running);
    visit("newest", self.newest);
    visit("id_after", self.id_after);
    visit("sequence", self.sequence);
  }
};

}  // namespace

LogReader::LogReader(LogReaderOptions options, const Clock& clock, std::function<void(Event)> deliver,
                     ChangeListener* changes)
    : options_(std::move(options)),
      clock_(clock),
      deliver_(std::move(deliver)),
      changes_(changes),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      retention_(options_.retention.value_or(std::chrono::seconds{0})) {
  if (!wake_.valid()) throw Error{Code::kUnavailable, "no descriptor is left for the events' reader"};
}

LogReader::~LogReader() {
  Stop();
}

void LogReader::Start() {
  thread_ = std::jthread{[this](const std::stop_token& stop) { Run(stop); }};
}

void LogReader::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  {
    std::scoped_lock lock{mutex_};
    if (session_) session_->Interrupt();
  }
  Wake();
  thread_.join();
}

void LogReader::Wake() {
  if (woken_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);  // fails only when it is readable already
}

bool LogReader::AwaitBegin(std::chrono::milliseconds patience) const {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, patience, [this] { return stats_.position.has_value(); });
}

LogReaderStats LogReader::Stats() const {
  std::scoped_lock lock{mutex_};
  return stats_;
}

void LogReader::Run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "event-log");
  std::chrono::milliseconds pause = kRetryMin;
  while (!stop.stop_requested()) {
    try {
      Connect(stop);
      pause = kRetryMin;
      Follow(stop);
    } catch (const Error& error) {
      Disconnect();
      if (stop.stop_requested()) return;
      log::Warn("the log of events cannot be read; trying again", {{"cause", error.reason()}});
      Rest(stop, pause);
      pause = std::min(2 * pause, kRetryMax);
    }
  }
}

void LogReader::Connect(const std::stop_token& stop) {
  auto made = std::make_unique<db::Session>(
      db::SessionOptions{.url = options_.url, .application_name = options_.application_name});
  {
    std::scoped_lock lock{mutex_};
    if (stop.stop_requested()) return;
    session_ = std::move(made);
    ++stats_.connects;
  }
  for (const std::string_view sql : {db::kSessionSettings, kTimeouts, kListen, kListenForChanges})
    session_->Execute(sql);
  const auto drawn = session_->Query(sql::kEventsDrawn).As<std::int64_t>(0);
  if (position_ && *position_ > drawn) {
    log::Warn("the log of events begins anew: another database, or an older copy",
              {{"position", *position_}, {"drawn", drawn}});
    position_.reset();
    announced_up_to_ = 0;
    horizon_ = {};
  }
  std::scoped_lock lock{mutex_};
  stats_.connected = true;
}

void LogReader::Disconnect() {
  if (changes_ != nullptr) changes_->OnLost();
  told_.clear();
  std::scoped_lock lock{mutex_};
  session_.reset();
  stats_.connected = false;
  ++stats_.failures;
}

void LogReader::Follow(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const bool soon = Poll();
    Rest(stop, options_.poll_min);
    HearOthers();
    if (!soon && announced_ == 0) session_->Pause(options_.poll_max, wake_.get());
    HearOthers();
    HearWakes();
    KeepDays();
    std::scoped_lock lock{mutex_};
    stats_.notified += std::exchange(announced_, 0);
  }
}

void LogReader::HearOthers() {
  session_->TakeNotifications([&](const db::Notification& heard) {
    if (heard.channel != kChangesChannel) {
      ++announced_;
    } else if (changes_ != nullptr) {
      changes_->OnChange(ToChange(heard.payload));
    }
  });
}

// In this order: whoever wakes us in between is heard, at worst twice.
void LogReader::HearWakes() {
  std::uint64_t drained = 0;
  (void)!read(wake_.get(), &drained, sizeof drained);  // fails when there is nothing
  if (woken_.exchange(false, std::memory_order_acq_rel)) to_announce_ = true;
}

void LogReader::KeepDays() {
  if (!options_.retention || clock_.Now() < next_keeping_) return;
  next_keeping_ = clock_.Now() + kKeepingEvery;
  try {
    session_->Query(sql::kEventsMaintain, db::ToParams(retention_.load().count()));
  } catch (const db::SqlError& error) {
    log::Warn("the log's old days are not dropped; trying again in an hour", {{"cause", error.cause}});
  }
}

bool LogReader::Poll() {
  for (;;) {
    const Clock::Steady as_of = clock_.Now();
    const Page page = Read();
    Announce(page);
    if (changes_ != nullptr) TellChanges(page, as_of);
    horizon_.Note(page.view);
    const std::optional<std::int64_t> settled = horizon_.settled();
    if (settled && !position_) position_ = *settled;
    if (settled) Deliver(page, *settled);
    const bool settling = !settled || page.view.newest > *settled;
    {
      std::scoped_lock lock{mutex_};
      ++stats_.polls;
      stats_.newest = page.view.newest;
      if (!stats_.position && position_) changed_.notify_all();
      stats_.position = position_;
    }
    // What was news just now is mostly complete a moment later.
    if (!page.view.id_after && (settling || !page.full)) return settling;
  }
}

LogReader::Page LogReader::Read() {
  const std::int64_t after = position_.value_or(std::numeric_limits<std::int64_t>::max());
  const db::Rows rows =
      session_->Query(sql::kEventsFollow, db::ToParams(after, options_.read_max, horizon_.marked()));
  const auto view = rows.As<ViewRow>(0);
  Page page{.view = {view.oldest_running, view.newest, view.id_after}, .records = {}};
  if (!view.sequence) return page;
  for (std::size_t i = 0; i < rows.size(); ++i) page.records.push_back(rows.As<Record>(i, ViewRow::kColumns));
  page.full = static_cast<std::int64_t>(page.records.size()) == options_.read_max;
  return page;
}

// As soon as it is seen: who comes then looks again until it is settled.  What we were woken for may have
// been seen, and delivered, in the round before.
void LogReader::Announce(const Page& page) {
  const std::int64_t seen = page.records.empty() ? position_.value_or(0) : page.records.back().sequence;
  if (!to_announce_ || seen <= announced_up_to_) return;
  announced_up_to_ = seen;
  to_announce_ = false;
  session_->Execute(kAnnounce);
  std::scoped_lock lock{mutex_};
  ++stats_.announced;
}

// An event that is not settled is read again and again, and told of once.
void LogReader::TellChanges(const Page& page, Clock::Steady as_of) {
  told_.erase(told_.begin(), told_.upper_bound(position_.value_or(0)));
  for (const Record& record : page.records) {
    if (!told_.insert(record.sequence).second) continue;
    if (const auto change = ChangeOf(record)) changes_->OnChange(*change);
  }
  HearOthers();
  // Beyond a full page there may be changes that were not seen.
  if (position_ && !page.full) changes_->OnCurrent(as_of);
}

// What is visible may not be on disk yet: our writers commit first and wait then.
void LogReader::Deliver(const Page& page, std::int64_t settled) {
  const auto end = std::ranges::upper_bound(page.records, settled, {}, &Record::sequence);
  if (end == page.records.begin()) return;
  session_->Query(sql::kCommitBarrier);
  std::uint64_t delivered = 0;
  std::uint64_t unknown = 0;
  for (auto record = page.records.begin(); record != end; ++record) {
    auto event = ToEvent(*record);
    ++(event ? delivered : unknown);
    if (event) deliver_(*std::move(event));
    position_ = record->sequence;
  }
  std::scoped_lock lock{mutex_};
  stats_.events += delivered;
  stats_.unknown += unknown;
}

void LogReader::Rest(const std::stop_token& stop, std::chrono::milliseconds duration) {
  std::unique_lock lock{mutex_};
  changed_.wait_for(lock, stop, duration, [] { return false; });
}

}  // namespace gathering::events
