#include "tests/support/ws_client.h"

#include <stdexcept>

namespace gathering::test {

namespace {

Headers Upgrading(Headers headers) {
  headers.insert(headers.end(), {{"Upgrade", "websocket"},
                                 {"Connection", "Upgrade"},
                                 {"Sec-WebSocket-Version", "13"},
                                 {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}});
  return headers;
}

}  // namespace

std::uint16_t ServerFrame::close_code() const {
  if (payload.size() < 2) return 0;
  return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                    static_cast<unsigned char>(payload[1]));
}

WsClient::WsClient(const std::string& address, std::string_view target, const Headers& headers,
                   std::string_view behind)
    : StreamClient(address, target, Upgrading(headers), behind) {}

std::optional<ServerFrame> WsClient::Next(std::chrono::milliseconds patience) {
  const auto byte = [this](std::size_t i) { return static_cast<unsigned char>(buffer_[i]); };
  for (;;) {
    std::size_t size = 2;
    std::uint64_t length = 0;
    bool known = buffer_.size() >= size;
    if (known) {
      length = byte(1) & 0x7FU;
      const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
      known = buffer_.size() >= size + more;
      if (known && more > 0) length = 0;
      for (std::size_t i = 0; known && i < more; ++i) length = length << 8 | byte(size + i);
      size += more;
    }
    if (known && buffer_.size() >= size + length) {
      if ((byte(0) & 0x70U) != 0 || (byte(1) & 0x80U) != 0)
        throw std::runtime_error{"a server's frame is odd"};
      ServerFrame frame{.opcode = static_cast<std::uint8_t>(byte(0) & 0x0FU),
                        .payload = buffer_.substr(size, length)};
      buffer_.erase(0, size + length);
      return frame;
    }
    if (!Fill(patience)) return std::nullopt;
  }
}

nlohmann::json WsClient::Hear() {
  while (const auto frame = Next()) {
    if (frame->opcode == 1) return nlohmann::json::parse(frame->payload);
    if (frame->opcode == 8) break;
  }
  return nlohmann::json::value_t::discarded;
}

std::uint16_t WsClient::Closed() {
  while (const auto frame = Next()) {
    if (frame->opcode == 8) return frame->close_code();
  }
  return 0;
}

}  // namespace gathering::test
