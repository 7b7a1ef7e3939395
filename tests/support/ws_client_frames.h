#pragma once
// Frames as a client sends them: masked, and with whatever is wrong with them that a test wants.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace gathering::test {

struct ClientFrame {
  std::uint8_t opcode = 1;
  std::string_view payload = {};
  bool final = true;
  std::uint8_t reserved = 0;  // the three bits, 4 for RSV1
  bool masked = true;
  int length_bytes = -1;              // 0, 2 or 8 instead of the shortest
  std::uint64_t length = UINT64_MAX;  // to say instead of the payload's
};

inline std::string Frame(const ClientFrame& frame) {
  constexpr std::array<char, 4> kMask = {0x37, '\xFA', 0x21, 0x3D};
  const std::uint64_t length = frame.length != UINT64_MAX ? frame.length : frame.payload.size();
  int bytes = frame.length_bytes;
  if (bytes < 0) bytes = length <= 125 ? 0 : length <= 0xFFFF ? 2 : 8;
  std::string out;
  out.push_back(static_cast<char>((frame.final ? 0x80 : 0) | frame.reserved << 4 | frame.opcode));
  const std::uint64_t first = bytes == 0 ? length : bytes == 2 ? 126 : 127;
  out.push_back(static_cast<char>((frame.masked ? 0x80U : 0U) | first));
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(length >> shift));
  if (frame.masked) out.append(kMask.data(), kMask.size());
  for (std::size_t i = 0; i < frame.payload.size(); ++i)
    out.push_back(static_cast<char>(frame.payload[i] ^ (frame.masked ? kMask[i % kMask.size()] : 0)));
  return out;
}

inline std::string TextFrame(std::string_view payload) {
  return Frame({.payload = payload});
}

// The payload of a close frame.
inline std::string CloseWords(std::uint16_t code, std::string_view reason = {}) {
  std::string words{static_cast<char>(code >> 8), static_cast<char>(code)};
  return words.append(reason);
}

}  // namespace gathering::test
