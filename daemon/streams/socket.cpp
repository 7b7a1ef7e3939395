#include "daemon/streams/socket.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/schema/reader.h"

namespace gathering::streams {
namespace {

constexpr schema::JsonLimits kMessageLimits{.depth_max = 16, .nodes_max = 2'000, .text_bytes_max = 16'384};

}  // namespace

Socket::Socket(const StreamParts& parts)
    : Listener(parts.token),
      Timer(parts.loop.timers()),
      hub_(parts.hub),
      loop_(parts.loop),
      config_(parts.config),
      ends_at_(parts.ends_at),
      decoder_({}) {}

Socket::~Socket() {
  Leave();
}

void Socket::OnOpen(http::Outlet& outlet) {
  outlet_ = &outlet;
  hub_.Join(*this);
  joined_ = true;
  SetNextDeadline();
  Greet();
  outlet_->Send(std::exchange(out_, {}));
}

void Socket::OnInput(std::string_view bytes) {
  heard_ = true;
  decoder_.Append(bytes);
  while (!closing_) {
    const ws::Received received = decoder_.Next();
    if (received == ws::Received::kNothing) break;
    if (received == ws::Received::kText) {
      HearText(decoder_.payload());
    } else if (received == ws::Received::kBinary) {
      Close(ws::kUnsupportedData, "text only");
    } else if (received == ws::Received::kPing) {
      if (!TooMuch()) ws::AppendFrame(ws::Opcode::kPong, decoder_.payload(), out_);
    } else if (received == ws::Received::kClose) {
      const std::uint16_t code = decoder_.close_code();
      Close(code == ws::kNoStatus ? std::uint16_t{ws::kNormal} : code, {});
    } else if (received == ws::Received::kFailed) {
      log::Debug("a WebSocket's client broke the protocol", {{"detail", decoder_.detail()}});
      Close(decoder_.close_code(), decoder_.detail());
    }
  }
  if (outlet_ != nullptr && !out_.empty()) outlet_->Send(std::exchange(out_, {}));
}

void Socket::HearText(std::string_view text) {
  if (TooMuch()) return;
  try {
    const nlohmann::json message = schema::ParseJson(text, kMessageLimits);
    message.is_object() ? Hear(message) : HearNonsense();
  } catch (const Error&) {
    HearNonsense();
  }
}

bool Socket::TooMuch() {
  if (loop_.now() - second_ >= std::chrono::seconds{1}) {
    second_ = loop_.now();
    messages_ = 0;
  }
  if (++messages_ <= kMessagesPerSecondMax) return false;
  Close(ws::kPolicyViolation, "too many messages");
  return true;
}

void Socket::Say(std::string_view text) {
  if (!closing_) ws::AppendFrame(ws::Opcode::kText, text, out_);
}

void Socket::OnTurn() {
  if (!open() || out_.empty()) return;
  outlet_->Send(std::exchange(out_, {}));
  outlet_->Flush();
  if (open() && outlet_->unsent() > config_.buffer_bytes_max)
    Close(ws::kTryAgainLater, "the client does not read");
}

void Socket::OnDeadline() {
  if (loop_.now() >= ends_at_) return Close(ws::kPolicyViolation, "the token has expired");
  if (!std::exchange(heard_, false)) return Close(ws::kGoingAway, "no sign of life");
  std::string ping;
  ws::AppendFrame(ws::Opcode::kPing, {}, ping);
  outlet_->Send(ping);
  SetNextDeadline();
  outlet_->Flush();
}

void Socket::SetNextDeadline() {
  SetDeadline(std::min(loop_.now() + config_.heartbeat, ends_at_));
}

void Socket::Close(std::uint16_t code, std::string_view reason) {
  if (std::exchange(closing_, true)) return;
  Leave();
  ClearDeadline();
  if (outlet_ == nullptr) return;
  ws::AppendClose(code, reason, out_);
  outlet_->Send(std::exchange(out_, {}));
  outlet_->Finish();
  outlet_->Flush();
}

void Socket::OnClosed() {
  outlet_ = nullptr;
  ClearDeadline();
  Leave();
}

void Socket::Leave() {
  if (std::exchange(joined_, false)) hub_.Leave(*this);
}

}  // namespace gathering::streams
