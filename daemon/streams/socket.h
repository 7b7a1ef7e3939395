#pragma once
// A WebSocket that hears of events: frames, signs of life, the closing handshake, and when it is over.
// What is said on it is its descendants' business.
//
// A client that does not read is closed, and so is one that says too much; every `heartbeat` it is asked for
// a sign of life, and without one until the next it is gone.  The end of its token closes it (1008), and so
// does the daemon's (1001).
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/base/clock.h"
#include "daemon/streams/event_stream.h"
#include "daemon/ws/frames.h"

namespace gathering::streams {

class Socket : public EventStream {
 public:
  explicit Socket(const StreamParts& parts) : EventStream(parts), decoder_({}) {}

  void OnOpen(http::Outlet& outlet) final;
  void OnInput(std::string_view bytes) final;
  void OnDrain() final { Close(ws::kGoingAway, "the server stops"); }
  void OnTurn() final;
  void OnRevoked() final { Close(ws::kPolicyViolation, "the token was revoked"); }
  void OnLost() final { Close(ws::kTryAgainLater, "too many events"); }

 protected:
  virtual void Greet() = 0;
  virtual void Hear(const nlohmann::json& message) = 0;  // an object
  virtual void HearNonsense() = 0;                       // text that is no JSON object

  void Say(std::string_view text);  // a text message, sent when the call that this is in returns
  void Close(std::uint16_t code, std::string_view reason);
  [[nodiscard]] bool open() const { return outlet() != nullptr && !closing_; }

 private:
  static constexpr std::uint32_t kMessagesPerSecondMax = 100;

  void OnHeartbeat() final;
  void OnExpired() final { Close(ws::kPolicyViolation, "the token has expired"); }
  void HearText(std::string_view text);
  [[nodiscard]] bool TooMuch();

  ws::Decoder decoder_;
  std::string out_;  // frames not given to the outlet yet
  bool closing_ = false;
  bool heard_ = true;  // a sign of life since the last question
  Clock::Steady second_{};
  std::uint32_t messages_ = 0;  // in this second
};

}  // namespace gathering::streams
