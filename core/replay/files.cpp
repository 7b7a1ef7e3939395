#include "core/replay/files.h"

#include <poll.h>

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "core/base/error.h"

namespace gathering::replay {

void ThrowFileError(std::string_view what, const std::string& file) {
  const int error = errno;
  throw Error{Code::kInternal,
              fmt::format("cannot {} {}: {}", what, file, std::generic_category().message(error))};
}

bool WriteAll(int fd, const std::string& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EPIPE) {
      return false;
    } else if (errno == EAGAIN) {
      pollfd watched{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&watched, 1, -1);
    } else if (errno != EINTR) {
      ThrowFileError("write", file);
    }
  }
  return true;
}

}  // namespace gathering::replay
