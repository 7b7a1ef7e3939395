#include "tests/support/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gathering::test {
namespace {

constexpr int kTimeoutSeconds = 20;

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

[[noreturn]] void Fail(std::string_view what) {
  throw std::runtime_error{fmt::format("{}: {}", what, std::strerror(errno))};
}

}  // namespace

std::optional<std::string> Answer::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (SameName(key, name)) return value;
  }
  return std::nullopt;
}

std::size_t Answer::Count(std::string_view name) const {
  std::size_t count = 0;
  for (const auto& [key, value] : headers) count += SameName(key, name) ? 1 : 0;
  return count;
}

nlohmann::json Answer::Json() const {
  return nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
}

HttpClient::HttpClient(std::string address) : address_(std::move(address)) {}

HttpClient::HttpClient(HttpClient&& other) noexcept
    : address_(std::move(other.address_)),
      fd_(std::exchange(other.fd_, -1)),
      buffer_(std::move(other.buffer_)),
      auth_(std::move(other.auth_)) {}

HttpClient::~HttpClient() {
  Close();
}

void HttpClient::Use(const std::string& token) {
  auth_.clear();
  if (!token.empty()) auth_.emplace_back("Authorization", "Bearer " + token);
}

void HttpClient::Connect() {
  if (address_.starts_with("unix:")) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    address_.copy(to.sun_path, sizeof to.sun_path - 1, 5);
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) Fail("connect " + address_);
  } else {
    const auto colon = address_.rfind(':');
    int port = 0;
    std::from_chars(address_.data() + colon + 1, address_.data() + address_.size(), port);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    inet_pton(AF_INET, address_.substr(0, colon).c_str(), &to.sin_addr);
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) Fail("connect " + address_);
  }
  const timeval timeout{kTimeoutSeconds, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
}

// Whether the server has closed the connection since its last answer.
bool HttpClient::IsClosed() const {
  char byte = 0;
  return ::recv(fd_, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void HttpClient::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  buffer_.clear();
}

Answer HttpClient::Send(std::string_view method, std::string_view target, const Headers& headers,
                        std::string_view body) {
  if (fd_ >= 0 && buffer_.empty() && IsClosed()) Close();
  if (fd_ < 0) Connect();
  std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: test\r\n", method, target);
  for (const auto& [name, value] : headers) request += fmt::format("{}: {}\r\n", name, value);
  if (!body.empty()) request += fmt::format("Content-Length: {}\r\n", body.size());
  request += "\r\n";
  request += body;
  if (::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    Close();
    Fail("send");
  }
  const auto more = [this] {
    char chunk[16384];
    const ssize_t got = ::recv(fd_, chunk, sizeof chunk, 0);
    if (got <= 0) {
      Close();
      Fail(got == 0 ? "connection closed before an answer" : "recv");
    }
    buffer_.append(chunk, static_cast<std::size_t>(got));
  };
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) more();
  Answer answer;
  std::string_view head = std::string_view{buffer_}.substr(0, end);
  std::from_chars(head.data() + 9, head.data() + 12, answer.status);
  for (auto line_end = head.find("\r\n"); line_end != std::string_view::npos; line_end = head.find("\r\n")) {
    head.remove_prefix(line_end + 2);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const auto colon = line.find(": ");
    answer.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  std::size_t length = 0;
  if (const auto text = answer.Header("Content-Length"); text && method != "HEAD") {
    std::from_chars(text->data(), text->data() + text->size(), length);
  }
  while (buffer_.size() < end + 4 + length) more();
  answer.body = buffer_.substr(end + 4, length);
  buffer_.erase(0, end + 4 + length);
  if (answer.Header("Connection").value_or("") == "close") Close();
  return answer;
}

Answer HttpClient::SendJson(std::string_view method, std::string_view target, const nlohmann::json& body) {
  Headers headers = auth_;
  headers.emplace_back("Content-Type", "application/json");
  return Send(method, target, headers, body.dump());
}

Answer HttpClient::PostForm(std::string_view target, const Headers& fields) {
  Headers headers = auth_;
  headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  std::string body;
  for (const auto& [name, value] : fields) {
    body += fmt::format("{}{}={}", body.empty() ? "" : "&", UrlEncode(name), UrlEncode(value));
  }
  return Send("POST", target, headers, body);
}

std::string UrlEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 ||
        std::string_view{"-._~"}.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

}  // namespace gathering::test
