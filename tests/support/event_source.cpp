#include "tests/support/event_source.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <stdexcept>

namespace gathering::test {

EventSource::EventSource(const std::string& address, std::string_view target, const Headers& headers)
    : raw_(address) {
  std::string request =
      "GET " + std::string{target} + " HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n";
  for (const auto& [name, value] : headers) request.append(name).append(": ").append(value).append("\r\n");
  raw_.Send(request + "\r\n");
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill(std::chrono::seconds{20})) throw std::runtime_error{"no answer: " + buffer_};
  }
  head_ = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  constexpr std::size_t kStatusAt = std::string_view{"HTTP/1.1 "}.size();
  std::from_chars(head_.data() + kStatusAt, head_.data() + kStatusAt + 3, status_);
}

bool EventSource::Fill(std::chrono::milliseconds patience) {
  pollfd watched{.fd = raw_.descriptor(), .events = POLLIN, .revents = 0};
  if (poll(&watched, 1, static_cast<int>(patience.count())) <= 0) return false;
  std::array<char, 65'536> bytes;
  const ssize_t count = recv(raw_.descriptor(), bytes.data(), bytes.size(), 0);
  ended_ = count <= 0;
  if (!ended_) buffer_.append(bytes.data(), static_cast<std::size_t>(count));
  return !ended_;
}

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
  while (Next()) {
  }
  return ended_;
}

}  // namespace gathering::test
