#include "core/config/passed_sockets.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/config/load.h"

namespace gathering {
namespace {

// Of a socket file; empty for every other socket.
std::string PathOf(int descriptor) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  constexpr std::size_t kBeforePath = offsetof(sockaddr_un, sun_path);
  if (address.sun_family != AF_UNIX || size <= kBeforePath || address.sun_path[0] == '\0') return {};
  const std::string path(address.sun_path, std::min<std::size_t>(size, sizeof address) - kBeforePath);
  return path.substr(0, path.find('\0'));
}

void RequirePrivate(const PassedSocket& socket) {
  const std::string path = PathOf(socket.descriptor.get());
  if (path.empty()) {
    throw ConfigError{
        "the socket 'control' of LISTEN_FDS has no file whose mode says who is an administrator; its socket "
        "unit must have ListenStream=/PATH"};
  }
  struct stat file {};
  if (::lstat(path.c_str(), &file) == 0 && (file.st_mode & S_IWOTH) != 0) {
    throw ConfigError{fmt::format(
        "everybody may open {}, the socket 'control' of LISTEN_FDS, and would be an administrator; its "
        "socket unit must have SocketMode=0600 or 0660",
        path)};
  }
}

}  // namespace

std::vector<PassedSocket> TakePassedSockets(ServiceManager& manager) {
  try {
    std::vector<PassedSocket> sockets = manager.TakeSockets();
    for (const PassedSocket& socket : sockets) {
      if (socket.name == kPassedControlName) RequirePrivate(socket);
    }
    return sockets;
  } catch (const Error& error) {
    throw ConfigError{error.message};
  }
}

}  // namespace gathering
