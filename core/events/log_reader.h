#pragma once
// Follows the log: a thread with a connection of its own hands over every event that is committed, on this
// instance or another, once, in the log's order, and not before it is on disk.
//
// It looks when it is told that something was committed here (Wake), when another instance says so, and at
// least every `poll_max`; but not more often than every `poll_min`, so that what happens together is read
// together.  What it found after a Wake it announces to the others: one notification for many commits,
// instead of one in each of them, which would queue up at the server's lock for that.
//
// Who remembers answers hears of every change as soon as the reader sees it (core/events/changes.h): order
// and durability, which events wait for, do not matter to them.
//
// Begins with what comes after Start.  Once an hour it prepares the log's next days and drops the old ones.
// Lost connections are made again and nothing is left out.  Safe from any thread.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/base/fd.h"
#include "core/db/session.h"
#include "core/events/changes.h"
#include "core/events/event.h"
#include "core/events/horizon.h"
#include "core/events/log.h"

namespace gathering::events {

struct LogReaderOptions {
  std::string url = {};
  std::string application_name = "gathering events";
  std::chrono::milliseconds poll_min{10};
  std::chrono::milliseconds poll_max{1'000};
  std::int64_t read_max = 500;                         // events at a time
  std::optional<std::chrono::seconds> retention = {};  // none: the reader does not keep the log's days
};

struct LogReaderStats {
  bool connected = false;
  std::optional<std::int64_t> position;  // of what was handed over last; none: it has not begun
  std::int64_t newest = 0;               // the highest number seen
  std::uint64_t events = 0;
  std::uint64_t unknown = 0;  // of types this version does not know
  std::uint64_t polls = 0;
  std::uint64_t notified = 0;   // by others
  std::uint64_t announced = 0;  // to others
  std::uint64_t connects = 0;
  std::uint64_t failures = 0;
};

class LogReader {
 public:
  // Both are called on the reader's thread.  `deliver` may wait, which holds up what follows; neither may
  // throw.
  LogReader(LogReaderOptions options, const Clock& clock, std::function<void(Event)> deliver,
            ChangeListener* changes = nullptr);
  ~LogReader();  // stops
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  void Start();
  void Stop();  // idempotent

  // Until it has begun, at most `patience`: whether it has.  Transactions that write while it starts hold it
  // up.
  [[nodiscard]] bool AwaitBegin(std::chrono::milliseconds patience) const;

  // Something was committed here.
  void Wake();

  // From the next time it drops old days on; only of a reader that keeps them.
  void SetRetention(std::chrono::seconds retention) { retention_.store(retention); }

  [[nodiscard]] LogReaderStats Stats() const;

 private:
  // A statement's answer: what its snapshot saw, and events.
  struct Page {
    LogView view;
    std::vector<Record> records;
    bool full = false;  // there may be more
  };

  void Run(const std::stop_token& stop);
  void Connect(const std::stop_token& stop);
  void Disconnect();
  void Follow(const std::stop_token& stop);
  [[nodiscard]] bool Poll();  // whether to come back soon
  [[nodiscard]] Page Read();
  void Announce(const Page& page);
  void TellChanges(const Page& page, Clock::Steady as_of);
  void HearOthers();
  void Deliver(const Page& page, std::int64_t settled);
  void HearWakes();
  void KeepDays();
  void Rest(const std::stop_token& stop, std::chrono::milliseconds duration);

  const LogReaderOptions options_;
  const Clock& clock_;
  const std::function<void(Event)> deliver_;
  ChangeListener* const changes_;
  const Fd wake_;  // an eventfd
  std::atomic<bool> woken_ = false;
  std::atomic<std::chrono::seconds> retention_;

  // The thread's own.
  Horizon horizon_;
  std::optional<std::int64_t> position_;
  std::set<std::int64_t> told_;  // beyond it, the changes of which were told
  std::uint64_t announced_ = 0;  // by others, since the last look
  bool to_announce_ = false;
  std::int64_t announced_up_to_ = 0;
  Clock::Steady next_keeping_{};

  mutable std::mutex mutex_;  // guards what follows
  mutable std::condition_variable_any changed_;
  std::unique_ptr<db::Session> session_;  // changed by the thread under the lock, used by it without
  LogReaderStats stats_;
  std::jthread thread_;
};

}  // namespace gathering::events
