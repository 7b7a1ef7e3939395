#include "tests/support/notifications.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace gathering::test {
namespace {

bool HasLine(const std::string& message, std::string_view line) {
  std::istringstream lines{message};
  for (std::string one; std::getline(lines, one);) {
    if (one == line) return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> ValueIn(std::string_view message, std::string_view name) {
  std::istringstream lines{std::string{message}};
  const std::string begin = std::string{name} + "=";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(begin)) return line.substr(begin.size());
  }
  return std::nullopt;
}

Notifications::Notifications(std::string name)
    : name_(std::move(name)), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name_.copy(address.sun_path, sizeof address.sun_path - 1);
  const bool abstract = name_.front() == '@';
  if (abstract) address.sun_path[0] = '\0';
  const std::size_t size = offsetof(sockaddr_un, sun_path) + name_.size() + (abstract ? 0 : 1);
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size)) != 0)
    throw std::runtime_error{fmt::format("{} cannot be bound: {}", name_, std::strerror(errno))};
}

std::optional<std::string> Notifications::Next(std::chrono::milliseconds patience) {
  pollfd watched{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&watched, 1, static_cast<int>(patience.count())) <= 0) return std::nullopt;
  std::array<char, 4'096> bytes;
  const ssize_t size = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0) return std::nullopt;
  return seen_.emplace_back(bytes.data(), static_cast<std::size_t>(size));
}

std::string Notifications::Await(std::string_view line, std::chrono::seconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < give_up) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(give_up - std::chrono::steady_clock::now());
    const auto message = Next(left);
    if (message && HasLine(*message, line)) return *message;
  }
  throw std::runtime_error{
      fmt::format("{} was not heard, but: {}", line, fmt::format("{}", fmt::join(seen_, " | ")))};
}

}  // namespace gathering::test
