#include "tests/support/ws_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <stdexcept>

namespace gathering::test {

std::uint16_t ServerFrame::close_code() const {
  if (payload.size() < 2) return 0;
  return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                    static_cast<unsigned char>(payload[1]));
}

WsClient::WsClient(const std::string& address, std::string_view target, const Headers& headers,
                   std::string_view behind)
    : raw_(address) {
  std::string request = "GET " + std::string{target} +
                        " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  for (const auto& [name, value] : headers) request.append(name).append(": ").append(value).append("\r\n");
  raw_.Send(request.append("\r\n").append(behind));
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill(std::chrono::seconds{20})) throw std::runtime_error{"no answer: " + buffer_};
  }
  head_ = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  constexpr std::size_t kStatusAt = std::string_view{"HTTP/1.1 "}.size();
  std::from_chars(head_.data() + kStatusAt, head_.data() + kStatusAt + 3, status_);
}

bool WsClient::Fill(std::chrono::milliseconds patience) {
  pollfd watched{.fd = raw_.descriptor(), .events = POLLIN, .revents = 0};
  if (poll(&watched, 1, static_cast<int>(patience.count())) <= 0) return false;
  std::array<char, 65'536> bytes;
  const ssize_t count = recv(raw_.descriptor(), bytes.data(), bytes.size(), 0);
  ended_ = count <= 0;
  if (!ended_) buffer_.append(bytes.data(), static_cast<std::size_t>(count));
  return !ended_;
}

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
