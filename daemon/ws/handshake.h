#pragma once
// The opening handshake of a WebSocket, the server's side (RFC 6455 section 4.2).
#include <string>
#include <string_view>

#include "daemon/http/message.h"

namespace gathering::ws {

struct Handshake {
  int status = 101;         // or why not: 400, or 426 when this is no or another version's handshake
  std::string_view detail;  // of a refusal: a sentence that says what to do
  std::string accept;       // the value of Sec-WebSocket-Accept
};

// Looks at the request's fields alone; who asks, and from which page, is somebody else's question.
[[nodiscard]] Handshake Shake(const http::Request& request);

}  // namespace gathering::ws
