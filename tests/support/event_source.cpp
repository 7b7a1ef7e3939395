#include "tests/support/event_source.h"

#include <algorithm>

namespace gathering::test {

EventSource::EventSource(const std::string& address, std::string_view target, const Headers& headers)
    : StreamClient(address, target, headers) {}

std::optional<ServerEvent> EventSource::Next(std::chrono::milliseconds patience) {
  for (;;) {
    const std::size_t end = buffer_.find("\n\n");
    if (end == std::string::npos) {
      if (!Fill(patience)) return std::nullopt;
      continue;
    }
    ServerEvent event;
    std::string data;
    for (std::size_t at = 0; at < end;) {
      const std::size_t stop = std::min(buffer_.find('\n', at), end);
      const std::string line = buffer_.substr(at, stop - at);
      at = stop + 1;
      if (line.starts_with(":")) ++comments_;
      if (line.starts_with("id: ")) event.id = line.substr(4);
      if (line.starts_with("event: ")) event.type = line.substr(7);
      if (line.starts_with("data: ")) data = line.substr(6);
    }
    buffer_.erase(0, end + 2);
    if (data.empty()) continue;  // a comment, or how soon to come back
    event.data = nlohmann::json::parse(data);
    return event;
  }
}

bool EventSource::Ends() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (Next() && std::chrono::steady_clock::now() < deadline) {
  }
  return ended();
}

}  // namespace gathering::test
