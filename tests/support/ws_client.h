#pragma once
// A WebSocket's client that sends what it is told to, right or wrong, and takes a server's frames apart.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tests/support/stream_client.h"
#include "tests/support/ws_client_frames.h"

namespace gathering::test {

struct ServerFrame {
  std::uint8_t opcode = 0;
  std::string payload;

  [[nodiscard]] std::uint16_t close_code() const;  // of a close
};

class WsClient : public StreamClient {
 public:
  // Shakes hands; `behind` is sent in the same breath.  status() says how that went.
  WsClient(const std::string& address, std::string_view target, const Headers& headers = {},
           std::string_view behind = {});

  void Send(std::string_view bytes) { raw().Send(bytes); }
  void Say(const nlohmann::json& message) { raw().Send(TextFrame(message.dump())); }

  // None when the server closed or nothing came in time.
  std::optional<ServerFrame> Next(std::chrono::milliseconds patience = std::chrono::seconds{20});

  // The next text as JSON, pings being passed over; discarded when there is none.
  nlohmann::json Hear();

  // The code of the close that comes, everything before being passed over; 0 when none does.
  std::uint16_t Closed();

  // Whether the connection ends without another frame.
  bool Ends() { return !Next() && ended(); }
};

}  // namespace gathering::test
