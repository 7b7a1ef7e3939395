#include "core/replay/files.h"

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
  const int error = gathering::WriteAll(fd, text);
  if (error == 0 || error == EPIPE) return error == 0;
  errno = error;
  ThrowFileError("write", file);
}

}  // namespace gathering::replay
