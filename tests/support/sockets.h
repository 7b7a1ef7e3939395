#pragma once
// Sockets that listen, as a service manager opens them before it starts a daemon: they stay when it ends.
#include <sys/types.h>
#include <string>

#include "core/base/fd.h"

namespace gathering::test {

// On a free port of loopback.
[[nodiscard]] Fd ListenOnLoopback();

// At a path of the file system.
[[nodiscard]] Fd ListenAt(const std::string& path, mode_t mode);

// Of one on loopback: "127.0.0.1:43123".
[[nodiscard]] std::string AddressOf(const Fd& socket);

}  // namespace gathering::test
