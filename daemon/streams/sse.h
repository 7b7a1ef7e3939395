#pragma once
// Server-Sent Events (WHATWG HTML section 9.2): events of the log as they are committed, each with its
// sequence number as id, so that a client who comes back with Last-Event-ID goes on where it was.
//
// A client that does not read is disconnected, not buffered for: it comes back and gets the rest from the
// log.  Every `heartbeat` a comment keeps proxies and clients from giving up.  The stream ends when its token
// does.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/config/config.h"
#include "core/events/log.h"
#include "daemon/http/stream.h"
#include "daemon/loop/timers.h"
#include "daemon/streams/hub.h"

namespace gathering::streams {

// One event of a stream: its id, its type, and an events::Record.
[[nodiscard]] std::string ToSse(const events::Record& record);

// What a stream's client wants to hear of; what is not given fits everything.
class Wanted {
 public:
  // `types` are patterns (events::Fits).
  Wanted(const std::vector<std::string>& types, std::optional<std::int64_t> circle_id,
         std::optional<std::int64_t> source_agent_id);

  [[nodiscard]] bool Fits(const events::Event& event) const;
  [[nodiscard]] bool Fits(const events::Record& record) const;

 private:
  const std::vector<std::string> patterns_;
  const std::optional<std::int64_t> circle_id_;
  const std::optional<std::int64_t> source_agent_id_;
  std::uint64_t types_ = 0;  // a bit for each of ours that fits
};

class SseStream final : public http::Stream, public Listener, private loop::Timer {
 public:
  // Hears of events from now on, and keeps them until it is opened.  On the loop's thread.
  SseStream(const StreamParts& parts, Wanted wanted);
  ~SseStream() override;

  // Of events up to a position the client hears otherwise.
  void LeaveOut(std::int64_t up_to) { up_to_ = up_to; }

  // What came before, sent first.  With `more` the stream ends behind it, and the client comes back for the
  // rest.
  void SendFirst(const std::vector<events::Record>& records, bool more);

  // Something between two positions is not in the log any more.
  void SendGap(std::int64_t after, std::int64_t before);

  void OnOpen(http::Outlet& outlet) override;
  void OnInput(std::string_view) override {}  // a client has nothing to say
  void OnDrain() override { End(); }
  void OnClosed() override;

  void OnEvent(Parcel& parcel) override;
  void OnTurn() override;
  void OnRevoked() override { End(); }
  void OnLost() override { End(); }

 private:
  void OnDeadline() override;
  void SetNextDeadline();
  void End();
  void Leave();

  Hub& hub_;
  loop::Loop& loop_;
  const StreamsConfig& config_;
  const Clock::Steady ends_at_;
  const Wanted wanted_;
  http::Outlet* outlet_ = nullptr;  // null: not open yet, or closed
  bool joined_ = true;
  bool ending_ = false;
  bool fresh_ = false;       // something was sent in this turn
  std::string before_open_;  // what is to be sent first
  std::int64_t up_to_ = 0;
};

}  // namespace gathering::streams
