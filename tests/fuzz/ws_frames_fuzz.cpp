// WebSocket frames: the same messages however the bytes were cut, and a message sent is the one received.
#include "daemon/ws/frames.h"

#include "core/base/utf8.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::Pieces;
using gathering::fuzz::Require;
using gathering::fuzz::RequireSame;
using gathering::ws::Decoder;
using gathering::ws::Received;

constexpr gathering::ws::DecoderLimits kLimits{.message_bytes_max = 512, .fragments_max = 8};

// What a decoder gave out, and how it ended.
class Reading {
 public:
  void Append(std::string_view bytes) {
    decoder_.Append(bytes);
    for (;;) {
      const Received received = decoder_.Next();
      if (received == Received::kNothing) return;
      Require(!over_, "nothing comes behind the end");
      over_ = received == Received::kClose || received == Received::kFailed;
      const std::string_view payload = decoder_.payload();
      Require(payload.size() <= kLimits.message_bytes_max, "a message is bounded");
      Require(received != Received::kText || gathering::IsUtf8(payload), "a text is UTF-8");
      Require((received == Received::kFailed) == !decoder_.detail().empty(), "a failure says why");
      seen_ += std::to_string(static_cast<int>(received));
      seen_.append(":").append(payload);
      if (over_) seen_ += " " + std::to_string(decoder_.close_code());
      seen_ += "\n";
    }
  }
  [[nodiscard]] const std::string& seen() const { return seen_; }

 private:
  Decoder decoder_{kLimits};
  bool over_ = false;
  std::string seen_;
};

// As a client sends what AppendFrame makes for a server: masked.
std::string Masked(std::string_view frame, std::size_t payload_bytes) {
  constexpr std::string_view kMask = "\x1\x7f\xa0\x55";
  const std::size_t head = frame.size() - payload_bytes;
  std::string masked{frame.substr(0, head)};
  masked[1] = static_cast<char>(masked[1] | '\x80');
  masked += kMask;
  for (std::size_t i = 0; i < payload_bytes; ++i)
    masked += static_cast<char>(frame[head + i] ^ kMask[i % kMask.size()]);
  return masked;
}

void SendAndReceive(std::string_view payload, std::uint8_t seed) {
  std::string frame;
  gathering::ws::AppendFrame(gathering::ws::Opcode::kBinary, payload, frame);
  Reading reading;
  const std::string sent = Masked(frame, payload.size());
  for (Pieces pieces{sent, seed}; !pieces.done();) reading.Append(pieces.Next());
  std::string expected = std::to_string(static_cast<int>(Received::kBinary));
  expected.append(":").append(payload).append("\n");
  if (payload.size() <= kLimits.message_bytes_max)
    RequireSame(reading.seen(), expected, "a message sent is received");
}

void SendAndReceiveClose(std::string_view reason, std::uint8_t seed) {
  if (!gathering::IsUtf8(reason)) return;
  std::string frame;
  gathering::ws::AppendClose(gathering::ws::kGoingAway, reason, frame);
  Require(frame.size() <= 127, "a close frame is a control frame");
  Reading reading;
  const std::string sent = Masked(frame, frame.size() - 2);
  for (Pieces pieces{sent, seed}; !pieces.done();) reading.Append(pieces.Next());
  Require(reading.seen().ends_with(" 1001\n"), "a close sent is received, and its reason is UTF-8");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gathering::fuzz::Input input{data, size};
  const std::uint8_t seed = input.Byte();
  const std::string_view bytes = input.Rest();

  Reading whole;
  whole.Append(bytes);
  Reading cut;
  for (Pieces pieces{bytes, seed}; !pieces.done();) cut.Append(pieces.Next());
  RequireSame(cut.seen(), whole.seen(), "pieces read like the whole");

  gathering::ws::Utf8Check check;
  bool possible = true;
  for (Pieces pieces{bytes, seed}; possible && !pieces.done();) possible = check.Feed(pieces.Next());
  Require((possible && check.complete()) == gathering::IsUtf8(bytes), "UTF-8 in pieces is UTF-8");

  SendAndReceive(bytes, seed);
  SendAndReceiveClose(bytes, seed);
  return 0;
}
