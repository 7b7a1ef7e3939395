#include "tests/support/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include "core/config/listen.h"

namespace gathering::test {
namespace {

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

template <class T>
std::optional<T> Number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

enum class Parsed { kOne, kIncomplete, kNonsense };

// Takes one response off the front of `bytes`.
Parsed Parse(std::string& bytes, Ask ask, RawResponse& response) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return Parsed::kIncomplete;
  const std::string_view head = std::string_view{bytes}.substr(0, end);
  if (!head.starts_with("HTTP/1.1 ") || head.size() < 13) return Parsed::kNonsense;
  const auto status = Number<int>(head.substr(9, 3));
  if (!status) return Parsed::kNonsense;
  response = {};
  response.status = *status;
  std::size_t line = head.find("\r\n");
  response.reason = std::string{head.substr(13, line == std::string_view::npos ? line : line - 13)};
  while (line != std::string_view::npos) {
    const std::size_t next = head.find("\r\n", line + 2);
    const std::string_view field =
        head.substr(line + 2, next == std::string_view::npos ? next : next - line - 2);
    const std::size_t colon = field.find(": ");
    if (colon == std::string_view::npos) return Parsed::kNonsense;
    response.headers.emplace_back(field.substr(0, colon), field.substr(colon + 2));
    line = next;
  }
  std::size_t length = 0;
  const bool has_body =
      ask != Ask::kHead && response.status >= 200 && response.status != 204 && response.status != 304;
  if (has_body) {
    const auto declared = Number<std::size_t>(response.Header("Content-Length"));
    if (!declared) return Parsed::kNonsense;
    length = *declared;
  }
  if (bytes.size() < end + 4 + length) return Parsed::kIncomplete;
  response.body = bytes.substr(end + 4, length);
  bytes.erase(0, end + 4 + length);
  return Parsed::kOne;
}

}  // namespace

std::string RawResponse::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (SameName(key, name)) return value;
  }
  return {};
}

bool RawResponse::Has(std::string_view name) const {
  return HeaderCount(name) > 0;
}

std::size_t RawResponse::HeaderCount(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(
      headers.begin(), headers.end(), [&](const auto& header) { return SameName(header.first, name); }));
}

RawClient::RawClient(const std::string& text, std::chrono::milliseconds patience) : patience_(patience) {
  const auto [secure, place] = config::ParseListen(text);
  const std::string address{place};
  int connected = -1;
  if (address.starts_with("unix:")) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    address.copy(to.sun_path, sizeof to.sun_path - 1, 5);
    descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected = ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  } else {
    const std::size_t colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(Number<std::uint16_t>(std::string_view{address}.substr(colon + 1)).value_or(0));
    ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected = ::connect(descriptor_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    const int on = 1;  // or the kernel would glue together what is sent in pieces
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (connected != 0) {
    const std::string why = std::strerror(errno);
    ::close(descriptor_);
    throw std::runtime_error("cannot connect to " + address + ": " + why);
  }
  if (!secure) return;
  const timeval silence{.tv_sec = patience.count() / 1'000, .tv_usec = patience.count() % 1'000 * 1'000};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
  try {
    tls_ = std::make_unique<TlsSession>(descriptor_);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

RawClient::RawClient(RawClient&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      tls_(std::move(other.tls_)),
      patience_(other.patience_),
      buffer_(std::move(other.buffer_)) {}

RawClient::~RawClient() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool RawClient::Send(std::string_view bytes) {
  if (tls_) return tls_->Send(bytes);
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawClient::FinishSending() {
  ::shutdown(descriptor_, SHUT_WR);
}

void RawClient::SetReceiveBuffer(int bytes) {
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

bool RawClient::Fill() {
  pollfd poll{.fd = descriptor_, .events = POLLIN, .revents = 0};
  const bool here = tls_ && tls_->HasPending();
  if (!here && ::poll(&poll, 1, static_cast<int>(patience_.count())) <= 0) {
    timed_out_ = true;
    return false;
  }
  char bytes[65'536];
  const ssize_t count =
      tls_ ? tls_->Receive(bytes, sizeof bytes) : ::recv(descriptor_, bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(count));
  return true;
}

std::optional<RawResponse> RawClient::Receive(Ask ask) {
  RawResponse response;
  for (;;) {
    switch (Parse(buffer_, ask, response)) {
      case Parsed::kOne:
        return response;
      case Parsed::kNonsense:
        return std::nullopt;
      case Parsed::kIncomplete:
        break;
    }
    if (!Fill()) return std::nullopt;
  }
}

std::optional<RawResponse> RawClient::Exchange(std::string_view bytes, Ask ask) {
  Send(bytes);
  return Receive(ask);
}

bool RawClient::ReceiveUntil(std::string_view text) {
  while (buffer_.find(text) == std::string::npos) {
    if (!Fill()) return false;
  }
  return true;
}

std::string RawClient::ReceiveAll() {
  while (Fill()) {
  }
  return std::exchange(buffer_, {});
}

bool RawClient::IsClosed() {
  timed_out_ = false;
  return buffer_.empty() && !Fill() && !timed_out_;
}

std::vector<RawResponse> SplitResponses(std::string bytes) {
  std::vector<RawResponse> responses;
  RawResponse response;
  while (Parse(bytes, Ask::kAny, response) == Parsed::kOne) responses.push_back(response);
  return responses;
}

}  // namespace gathering::test
