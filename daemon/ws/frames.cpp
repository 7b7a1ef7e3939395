#include "daemon/ws/frames.h"

#include <algorithm>
#include <cstring>

#include "core/base/utf8.h"

namespace gathering::ws {
namespace {

constexpr std::size_t kControlBytesMax = 125;  // RFC 6455 section 5.5
constexpr std::size_t kShortMax = 125;         // lengths that need no further bytes
constexpr std::uint64_t kMediumMax = 0xFFFF;
constexpr std::uint8_t kMedium = 126;
constexpr std::uint8_t kLong = 127;
constexpr std::size_t kUtf8BytesMax = 4;   // of one character
constexpr std::size_t kKeptBytes = 4'096;  // of a buffer that is empty

std::uint8_t Byte(char c) {
  return static_cast<std::uint8_t>(c);
}

// Big-endian.
std::uint64_t ReadNumber(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char c : bytes) number = number << 8 | Byte(c);
  return number;
}

void AppendNumber(std::uint64_t number, int bytes, std::string& out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

bool MayBeSent(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

// The bytes at the front that are ASCII, in steps of eight.
std::size_t AsciiWords(std::string_view bytes) {
  constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;
  std::size_t size = 0;
  for (std::uint64_t word = 0; size + sizeof word <= bytes.size(); size += sizeof word) {
    std::memcpy(&word, bytes.data() + size, sizeof word);
    if ((word & kHighBits) != 0) break;
  }
  return size;
}

void Forget(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kKeptBytes) buffer.shrink_to_fit();
}

}  // namespace

// Whole characters as long as there are any; what a cut leaves of one after table 3-7 of the Unicode
// standard, which says which bytes may follow which.
bool Utf8Check::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (missing_ == 0) {
      bytes.remove_prefix(AsciiWords(bytes));
      std::size_t length = 1;
      while (bytes.size() >= kUtf8BytesMax && Byte(bytes.front()) >= 0x80 && length > 0) {
        length = Utf8Length(bytes);
        bytes.remove_prefix(length);
      }
      if (length == 0) return false;
      if (bytes.empty()) break;
    }
    const std::uint8_t c = Byte(bytes.front());
    bytes.remove_prefix(1);
    if (missing_ > 0) {
      if (c < low_ || c > high_) return false;
      --missing_;
      low_ = 0x80;
      high_ = 0xBF;
    } else if (c >= 0x80) {
      if (c < 0xC2 || c > 0xF4) return false;
      missing_ = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
      if (c == 0xE0) low_ = 0xA0;
      if (c == 0xED) high_ = 0x9F;
      if (c == 0xF0) low_ = 0x90;
      if (c == 0xF4) high_ = 0x8F;
    }
  }
  return true;
}

void Decoder::Append(std::string_view bytes) {
  if (over_) return;
  in_.erase(0, at_);
  at_ = 0;
  in_.append(bytes);
}

Received Decoder::Next() {
  if (taken_) Forget(message_);
  taken_ = false;
  payload_ = {};
  while (!over_) {
    const Step step = in_payload_ ? TakePayload() : TakeHeader();
    if (step == Step::kFailed) return Received::kFailed;
    if (step == Step::kWait) break;
    if (!in_payload_ || left_ > 0) continue;
    in_payload_ = false;
    const Received received = FinishFrame();
    if (received != Received::kNothing) return received;
  }
  if (at_ == in_.size()) {
    Forget(in_);
    at_ = 0;
  }
  return Received::kNothing;
}

Decoder::Step Decoder::TakeHeader() {
  const std::string_view rest = std::string_view{in_}.substr(at_);
  if (rest.size() < 2) return Step::kWait;
  final_ = (Byte(rest[0]) & 0x80) != 0;
  opcode_ = static_cast<Opcode>(Byte(rest[0]) & 0x0F);
  left_ = Byte(rest[1]) & 0x7F;
  // What two bytes tell is judged before the others come.
  if (CheckHeader((Byte(rest[0]) & 0x70) != 0, (Byte(rest[1]) & 0x80) != 0) == Step::kFailed)
    return Step::kFailed;
  const std::size_t extended = left_ == kMedium ? 2 : left_ == kLong ? 8 : 0;
  std::size_t size = 2 + extended;
  if (rest.size() < size) return Step::kWait;
  if (extended > 0) {
    const bool is_long = left_ == kLong;
    left_ = ReadNumber(rest.substr(2, extended));
    if (left_ <= (is_long ? kMediumMax : kShortMax))
      return Fail(kProtocolError, "a length in too many bytes");
    if (left_ >> 63 != 0) return Fail(kProtocolError, "a length of more than 63 bits");
  }
  if (!IsControl() && message_.size() + left_ > limits_.message_bytes_max)
    return Fail(kTooBig, "a message too big");
  if (rest.size() < size + mask_.size()) return Step::kWait;
  std::copy_n(rest.data() + size, mask_.size(), mask_.data());
  size += mask_.size();
  mask_at_ = 0;
  at_ += size;
  in_payload_ = true;
  if (IsControl()) {
    control_.clear();
  } else {
    if (opcode_ != Opcode::kContinuation) is_text_ = opcode_ == Opcode::kText;
    in_message_ = true;
    ++fragments_;
  }
  return Step::kGoOn;
}

Decoder::Step Decoder::CheckHeader(bool reserved, bool masked) {
  if (reserved) return Fail(kProtocolError, "a reserved bit is set");
  if (!masked) return Fail(kProtocolError, "a frame that is not masked");
  switch (opcode_) {
    case Opcode::kText:
    case Opcode::kBinary:
      if (in_message_) return Fail(kProtocolError, "a message within another");
      return Step::kGoOn;
    case Opcode::kContinuation:
      if (!in_message_) return Fail(kProtocolError, "a continuation of nothing");
      if (fragments_ >= limits_.fragments_max) return Fail(kTooBig, "a message in too many pieces");
      return Step::kGoOn;
    case Opcode::kClose:
    case Opcode::kPing:
    case Opcode::kPong:
      if (!final_) return Fail(kProtocolError, "a control frame in pieces");
      if (left_ > kControlBytesMax) return Fail(kProtocolError, "a control frame too long");
      return Step::kGoOn;
  }
  return Fail(kProtocolError, "a reserved opcode");
}

Decoder::Step Decoder::TakePayload() {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in_.size() - at_));
  if (size == 0 && left_ > 0) return Step::kWait;
  std::string& to = IsControl() ? control_ : message_;
  const std::size_t before = to.size();
  to.append(in_, at_, size);
  char* const bytes = to.data() + before;
  Unmask(bytes, size);
  at_ += size;
  left_ -= size;
  if (!IsControl() && is_text_ && !utf8_.Feed({bytes, size}))
    return Fail(kInvalidText, "text that is not UTF-8");
  return left_ > 0 ? Step::kWait : Step::kGoOn;
}

// Eight bytes at a time.
void Decoder::Unmask(char* bytes, std::size_t size) {
  std::array<char, 8> turned{};
  for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = mask_[(mask_at_ + i) % mask_.size()];
  std::uint64_t mask = 0;
  std::memcpy(&mask, turned.data(), sizeof mask);
  std::size_t i = 0;
  for (; i + sizeof mask <= size; i += sizeof mask) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes + i, sizeof word);
    word ^= mask;
    std::memcpy(bytes + i, &word, sizeof word);
  }
  for (; i < size; ++i) bytes[i] = static_cast<char>(bytes[i] ^ turned[i % turned.size()]);
  mask_at_ = (mask_at_ + size) % mask_.size();
}

Received Decoder::FinishFrame() {
  payload_ = control_;
  switch (opcode_) {
    case Opcode::kPing:
      return Received::kPing;
    case Opcode::kPong:
      return Received::kPong;
    case Opcode::kClose:
      return FinishClose();
    case Opcode::kText:
    case Opcode::kBinary:
    case Opcode::kContinuation:
      break;
  }
  payload_ = {};
  if (!final_) return Received::kNothing;
  if (is_text_ && !utf8_.complete()) {
    (void)Fail(kInvalidText, "text that ends within a character");
    return Received::kFailed;
  }
  in_message_ = false;
  fragments_ = 0;
  utf8_.Reset();
  taken_ = true;
  payload_ = message_;
  return is_text_ ? Received::kText : Received::kBinary;
}

Received Decoder::FinishClose() {
  std::string_view detail;
  std::uint16_t code = kProtocolError;
  if (control_.size() == 1) {
    detail = "a close code of one byte";
  } else if (!control_.empty()) {
    close_code_ = static_cast<std::uint16_t>(ReadNumber(payload_.substr(0, 2)));
    payload_.remove_prefix(2);
    Utf8Check reason;
    if (!MayBeSent(close_code_)) {
      detail = "a close code nobody may send";
    } else if (!reason.Feed(payload_) || !reason.complete()) {
      detail = "a reason that is not UTF-8";
      code = kInvalidText;
    }
  }
  if (!detail.empty()) {
    (void)Fail(code, detail);
    return Received::kFailed;
  }
  over_ = true;
  std::string{}.swap(in_);
  at_ = 0;
  std::string{}.swap(message_);
  return Received::kClose;
}

Decoder::Step Decoder::Fail(std::uint16_t code, std::string_view detail) {
  over_ = true;
  close_code_ = code;
  detail_ = detail;
  payload_ = {};
  std::string{}.swap(in_);
  at_ = 0;
  std::string{}.swap(message_);
  return Step::kFailed;
}

void AppendFrame(Opcode opcode, std::string_view payload, std::string& out) {
  constexpr std::uint8_t kFinal = 0x80;
  out.push_back(static_cast<char>(kFinal | static_cast<std::uint8_t>(opcode)));
  if (payload.size() <= kShortMax) {
    out.push_back(static_cast<char>(payload.size()));
  } else if (payload.size() <= kMediumMax) {
    out.push_back(static_cast<char>(kMedium));
    AppendNumber(payload.size(), 2, out);
  } else {
    out.push_back(static_cast<char>(kLong));
    AppendNumber(payload.size(), 8, out);
  }
  out.append(payload);
}

void AppendClose(std::uint16_t code, std::string_view reason, std::string& out) {
  std::size_t size = std::min(reason.size(), kControlBytesMax - 2);
  while (size > 0 && size < reason.size() && (Byte(reason[size]) & 0xC0) == 0x80) --size;
  std::string payload;
  AppendNumber(code, 2, payload);
  AppendFrame(Opcode::kClose, payload.append(reason.substr(0, size)), out);
}

}  // namespace gathering::ws
