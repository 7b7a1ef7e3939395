#pragma once
// Server-Sent Events (WHATWG HTML section 9.2): events of the log as they are committed, each with its
// sequence number as id, so that a client who comes back with Last-Event-ID goes on where it was.
//
// A client that does not read is disconnected, not buffered for: it comes back and gets the rest from the
// log.  Every `heartbeat` a comment keeps proxies and clients from giving up.  The stream ends when its token
// does.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/events/log.h"
#include "daemon/streams/event_stream.h"

namespace gathering::streams {

// One event of a stream: its id, its type (a line end in it as a space), and an events::Record.
[[nodiscard]] std::string ToSse(const events::Record& record);

// The events a filter fits, told in a moment.
class Wanted {
 public:
  explicit Wanted(const events::RecordFilter& filter);

  [[nodiscard]] bool Fits(const events::Event& event) const;

 private:
  std::uint64_t types_ = 0;  // a bit for each of ours that fits
  const std::optional<std::int64_t> circle_id_;
  const std::optional<std::int64_t> source_agent_id_;
};

class SseStream final : public EventStream {
 public:
  // Hears of events from now on, and keeps them until it is opened.  On the loop's thread.
  SseStream(const StreamParts& parts, const events::RecordFilter& filter);

  // Of events up to a position the client hears otherwise.
  void LeaveOut(std::int64_t up_to) { up_to_ = up_to; }

  // What came before of what it wants, sent first.  With `more` the stream ends behind it, and the client
  // comes back for the rest.
  void SendFirst(const std::vector<events::Record>& records, bool more);

  // Something between two positions is not in the log any more.
  void SendGap(std::int64_t after, std::int64_t before);

  void OnOpen(http::Outlet& outlet) override;
  void OnInput(std::string_view) override {}  // a client has nothing to say
  void OnDrain() override { Finish(); }

  void OnEvent(Parcel& parcel) override;
  void OnTurn() override;
  void OnRevoked() override { Finish(); }
  void OnLost() override { Finish(); }

 private:
  void OnHeartbeat() override;
  void OnExpired() override { Finish(); }
  void Finish();

  const Wanted wanted_;
  bool ending_ = false;
  bool fresh_ = false;       // something was sent in this turn
  std::string before_open_;  // what is to be sent first
  std::int64_t up_to_ = 0;
};

}  // namespace gathering::streams
