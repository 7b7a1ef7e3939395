#include "core/base/service_manager.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"

namespace gathering {
namespace {

constexpr const char* kVariables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                      "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
constexpr std::int64_t kPassedMax = 1'024;

std::string Variable(const ServiceManager::Variables& variables, std::string_view name) {
  const auto found = variables.find(name);
  return found == variables.end() ? std::string{} : found->second;
}

std::optional<std::int64_t> Number(std::string_view text) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// Without WATCHDOG_PID it is meant for whoever reads it.
std::optional<std::chrono::microseconds> WatchdogOf(const ServiceManager::Variables& variables, pid_t self) {
  const auto interval = Number(Variable(variables, "WATCHDOG_USEC"));
  if (!interval || *interval <= 0) return std::nullopt;
  const std::string process = Variable(variables, "WATCHDOG_PID");
  if (!process.empty() && Number(process) != self) return std::nullopt;
  return std::chrono::microseconds{*interval};
}

// "web::control" are three names.
std::vector<std::string> Names(std::string_view text) {
  std::vector<std::string> names;
  for (;;) {
    const std::size_t colon = text.find(':');
    names.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return names;
    text.remove_prefix(colon + 1);
  }
}

bool HasOption(int descriptor, int option, int wanted) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

bool ListensForStreams(int descriptor) {
  const bool known = HasOption(descriptor, SO_DOMAIN, AF_INET) ||
                     HasOption(descriptor, SO_DOMAIN, AF_INET6) || HasOption(descriptor, SO_DOMAIN, AF_UNIX);
  return known && HasOption(descriptor, SO_TYPE, SOCK_STREAM) && HasOption(descriptor, SO_ACCEPTCONN, 1);
}

PassedSocket Take(int descriptor, const std::string& name) {
  if (!ListensForStreams(descriptor)) {
    throw Error{Code::kInvalid,
                fmt::format("descriptor {} ('{}') of LISTEN_FDS is not a stream socket that listens; its "
                            "socket unit must have ListenStream= and Accept=no",
                            descriptor, name)};
  }
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  return {.descriptor = Fd{descriptor}, .name = name};
}

}  // namespace

ServiceManager::ServiceManager(const Variables& variables, pid_t self)
    : watchdog_(WatchdogOf(variables, self)) {
  Address(Variable(variables, "NOTIFY_SOCKET"));
  if (Number(Variable(variables, "LISTEN_PID")) == self) {
    passed_count_ = Variable(variables, "LISTEN_FDS");
    passed_names_ = Variable(variables, "LISTEN_FDNAMES");
  }
}

void ServiceManager::Address(const std::string& path) {
  if (path.empty()) return;
  const bool abstract = path.front() == '@';
  if ((!abstract && path.front() != '/') || path.size() >= sizeof address_.sun_path) {
    log::Warn("the service manager hears nothing from here: NOTIFY_SOCKET is no path or too long a one",
              {{"NOTIFY_SOCKET", path}});
    return;
  }
  socket_ = Fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket_.valid()) {
    log::Warn("the service manager hears nothing from here", {{"cause", std::strerror(errno)}});
    return;
  }
  address_.sun_family = AF_UNIX;
  path.copy(address_.sun_path, path.size());
  if (abstract) address_.sun_path[0] = '\0';
  // An abstract name ends with the address, a path with a NUL.
  address_bytes_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
}

void ServiceManager::Notify(std::string_view lines) const {
  if (address_bytes_ == 0) return;
  while (::sendto(socket_.get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address_), address_bytes_) < 0 &&
         errno == EINTR) {
  }
}

std::vector<PassedSocket> ServiceManager::TakeSockets(int first) {
  const std::string count_text = std::exchange(passed_count_, {});
  if (count_text.empty()) return {};
  const auto count = Number(count_text);
  if (!count || *count < 0 || *count > kPassedMax) {
    throw Error{Code::kInvalid, fmt::format("LISTEN_FDS is '{}', which is no number of descriptors from 0 to "
                                            "{}",
                                            count_text, kPassedMax)};
  }
  std::vector<std::string> names = Names(passed_names_);
  names.resize(static_cast<std::size_t>(*count));
  std::vector<PassedSocket> sockets;
  for (const std::string& name : names) {
    sockets.push_back(Take(first + static_cast<int>(sockets.size()), name));
  }
  return sockets;
}

std::string StatusLine(std::string_view text) {
  std::string line = "STATUS=" + std::string{text};
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line;
}

void ForgetServiceManager() {
  for (const char* name : kVariables) ::unsetenv(name);
}

}  // namespace gathering
