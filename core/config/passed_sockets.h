#pragma once
// The sockets a service manager passed to the daemon, as far as they can be served.
#include <string_view>
#include <vector>

#include "core/base/service_manager.h"

namespace gathering {

// Whoever connects to a socket of this name is an administrator, as at http.control_socket.
inline constexpr std::string_view kPassedControlName = "control";

// Who connects to a socket of this name must speak TLS.
inline constexpr std::string_view kPassedTlsName = "tls";

// Throws ConfigError for what is no listening stream socket, and for a control socket that is not a file or
// that everybody may open (the default of SocketMode=).
[[nodiscard]] std::vector<PassedSocket> TakePassedSockets(ServiceManager& manager);

}  // namespace gathering
