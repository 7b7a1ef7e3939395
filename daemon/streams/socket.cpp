#include "daemon/streams/socket.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/schema/reader.h"

namespace gathering::streams {
namespace {

constexpr schema::JsonLimits kMessageLimits{.depth_max = 16, .nodes_max = 2'000, .text_bytes_max = 16'384};

}  // namespace

void Socket::OnOpen(http::Outlet& outlet) {
  Open(outlet);
  Join();
  KeepAlive();
  Greet();
  outlet.Send(std::exchange(out_, {}));
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
  if (outlet() != nullptr && !out_.empty()) outlet()->Send(std::exchange(out_, {}));
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
  if (loop().now() - second_ >= std::chrono::seconds{1}) {
    second_ = loop().now();
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
  outlet()->Send(std::exchange(out_, {}));
  outlet()->Flush();
  if (open() && TooLong(outlet()->unsent())) Close(ws::kTryAgainLater, "the client does not read");
}

void Socket::OnHeartbeat() {
  if (!std::exchange(heard_, false)) return Close(ws::kGoingAway, "no sign of life");
  std::string ping;
  ws::AppendFrame(ws::Opcode::kPing, {}, ping);
  outlet()->Send(ping);
  outlet()->Flush();
}

void Socket::Close(std::uint16_t code, std::string_view reason) {
  if (std::exchange(closing_, true)) return;
  if (outlet() != nullptr) {
    ws::AppendClose(code, reason, out_);
    outlet()->Send(std::exchange(out_, {}));
  }
  End();
}

}  // namespace gathering::streams
