#include "tests/support/stream_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <stdexcept>

namespace gathering::test {

StreamClient::StreamClient(const std::string& address, std::string_view target, const Headers& headers,
                           std::string_view behind)
    : raw_(address) {
  std::string request = "GET " + std::string{target} + " HTTP/1.1\r\nHost: test\r\n";
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

bool StreamClient::Fill(std::chrono::milliseconds patience) {
  pollfd watched{.fd = raw_.descriptor(), .events = POLLIN, .revents = 0};
  if (poll(&watched, 1, static_cast<int>(patience.count())) <= 0) return false;
  std::array<char, 65'536> bytes;
  const ssize_t count = recv(raw_.descriptor(), bytes.data(), bytes.size(), 0);
  ended_ = count <= 0;
  if (!ended_) buffer_.append(bytes.data(), static_cast<std::size_t>(count));
  return !ended_;
}

}  // namespace gathering::test
