#pragma once
// Where administrators of this machine reach the daemon: http.control_socket, by default in the data
// directory. Whoever may open the file needs no token.
#include <string>
#include <string_view>

#include "core/config/config.h"

namespace gathering {

inline constexpr std::string_view kNoControlSocket = "none";  // as http.control_socket
inline constexpr std::string_view kControlSocketName = "control.sock";

struct ControlSocket {
  std::string path;       // empty: there is none
  bool required = false;  // it was named: a daemon that cannot listen there does not start
};

// Of a loaded configuration: its data_dir is set.
[[nodiscard]] inline ControlSocket ControlSocketOf(const Config& config) {
  const std::string& named = config.http.control_socket;
  if (named == kNoControlSocket) return {};
  if (!named.empty()) return {.path = named, .required = true};
  return {.path = config.data_dir + "/" + std::string{kControlSocketName}, .required = false};
}

}  // namespace gathering
