#pragma once
// What streams of events have in common, however they write them: they hear of events while they have joined,
// give a sign of life every `heartbeat`, end with their token, and let go of everything when the connection
// is gone.
#include <string_view>

#include "core/base/clock.h"
#include "core/config/config.h"
#include "daemon/http/stream.h"
#include "daemon/loop/timers.h"
#include "daemon/streams/hub.h"

namespace gathering::streams {

class EventStream : public http::Stream, public Listener, private loop::Timer {
 public:
  void OnClosed() final;

 protected:
  explicit EventStream(const StreamParts& parts);
  ~EventStream() override;

  virtual void OnHeartbeat() = 0;
  virtual void OnExpired() = 0;  // the token's time is over

  void Join();   // hears of events from now on
  void Leave();  // or not any more

  void Open(http::Outlet& outlet) { outlet_ = &outlet; }
  void KeepAlive();  // the first sign of life comes a heartbeat from now
  void End();        // leaves; what is unsent still goes out, as far as the client takes it

  // Null: not open yet, or closed.
  [[nodiscard]] http::Outlet* outlet() const { return outlet_; }
  [[nodiscard]] loop::Loop& loop() const { return loop_; }
  [[nodiscard]] bool TooLong(std::size_t unsent) const { return unsent > config_.buffer_bytes_max; }

 private:
  void OnDeadline() final;

  Hub& hub_;
  loop::Loop& loop_;
  const StreamsConfig config_;
  const Clock::Steady ends_at_;
  http::Outlet* outlet_ = nullptr;
  bool joined_ = false;
};

}  // namespace gathering::streams
