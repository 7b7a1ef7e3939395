#pragma once
// Frames of the WebSocket protocol (RFC 6455 section 5), the server's side, without extensions.
//
// The decoder takes a client's bytes however they were cut and gives whole messages and control frames, with
// the same result whatever the cuts.  What the standard forbids it refuses as soon as it can be known: a
// frame too big by its header, text that is not UTF-8 by the first byte that cannot go on.  Sockets are not
// its business.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gathering::ws {

enum class Opcode : std::uint8_t {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xA
};

// Why a connection is closed (RFC 6455 section 7.4.1 and IANA's registry).
enum CloseCode : std::uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kNoStatus = 1005,  // never sent
  kInvalidText = 1007,
  kPolicyViolation = 1008,
  kTooBig = 1009,
  kInternalError = 1011,
  kTryAgainLater = 1013,
};

// Whether text is UTF-8, piece by piece.
class Utf8Check {
 public:
  [[nodiscard]] bool Feed(std::string_view bytes);               // false: it cannot become UTF-8 any more
  [[nodiscard]] bool complete() const { return missing_ == 0; }  // no character is cut
  void Reset() { *this = {}; }

 private:
  std::uint8_t missing_ = 0;  // bytes of the character begun
  std::uint8_t low_ = 0x80;   // the next one is from here
  std::uint8_t high_ = 0xBF;  // to here
};

struct DecoderLimits {
  std::uint32_t message_bytes_max = 65'536;
  std::uint32_t fragments_max = 1'024;  // of one message
};

enum class Received : std::uint8_t { kNothing, kText, kBinary, kPing, kPong, kClose, kFailed };

class Decoder {
 public:
  explicit Decoder(DecoderLimits limits) : limits_(limits) {}

  // Holds at most the message begun, a control frame, and what of `bytes` Next has not looked at.
  void Append(std::string_view bytes);

  // The next whole message or control frame; kNothing: more bytes are needed, or the end was reached with
  // kClose or kFailed.
  [[nodiscard]] Received Next();

  // What Next spoke of, until the next call.  Of kClose the reason.
  [[nodiscard]] std::string_view payload() const { return payload_; }

  // After kClose what the client said, kNoStatus for nothing; after kFailed what it is to be told.
  [[nodiscard]] std::uint16_t close_code() const { return close_code_; }
  [[nodiscard]] std::string_view detail() const { return detail_; }  // after kFailed, for the log

 private:
  enum class Step : std::uint8_t { kGoOn, kWait, kFailed };

  [[nodiscard]] Step TakeHeader();
  [[nodiscard]] Step CheckHeader(bool reserved, bool masked);
  [[nodiscard]] Step TakePayload();
  void Unmask(char* bytes, std::size_t size);
  [[nodiscard]] Received FinishFrame();
  [[nodiscard]] Received FinishClose();
  Step Fail(std::uint16_t code, std::string_view detail);
  [[nodiscard]] bool IsControl() const { return (static_cast<std::uint8_t>(opcode_) & 0x8) != 0; }

  const DecoderLimits limits_;
  std::string in_;
  std::size_t at_ = 0;  // in in_

  // The frame.
  bool in_payload_ = false;
  bool final_ = false;
  Opcode opcode_ = Opcode::kText;
  std::uint64_t left_ = 0;
  std::array<char, 4> mask_{};
  std::size_t mask_at_ = 0;
  std::string control_;

  // The message its data belongs to.
  bool in_message_ = false;
  bool is_text_ = false;
  std::uint32_t fragments_ = 0;
  std::string message_;
  Utf8Check utf8_;
  bool taken_ = false;  // it was given out; forgotten with the next call

  bool over_ = false;
  std::string_view payload_;
  std::uint16_t close_code_ = kNoStatus;
  std::string_view detail_;
};

// A whole frame, unmasked, as servers send them.
void AppendFrame(Opcode opcode, std::string_view payload, std::string& out);

// The reason is cut where it does not fit, between characters.
void AppendClose(std::uint16_t code, std::string_view reason, std::string& out);

}  // namespace gathering::ws
