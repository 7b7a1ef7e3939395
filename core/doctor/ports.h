#pragma once
// Whether the addresses to listen on are free, or who has them.
//
// A TCP address is bound for a moment and never listened on: a daemon that starts meanwhile does not notice.
// A socket file is not made.  An address that systemd keeps for a daemon that is not there is not connected
// to, which would start it.
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/doctor/examination.h"

namespace gathering::doctor {

// The version of the gathering daemon that answers there; none: somebody else, or nobody, does.
using AskDaemon = std::function<std::optional<std::string>(const std::string& address)>;

// A socket somebody listens on, with the processes that have it, as far as they can be seen.
struct Held {
  std::set<pid_t> pids = {};  // without the service manager
  bool by_manager = false;    // systemd has it, for the daemon it passes it to
  bool by_root = false;       // it was made by root, whose processes only root sees
};

// Inodes of listening sockets: of the text of /proc/net/tcp or tcp6 those at a port, with the user, and of
// /proc/net/unix those at a path.
struct ListeningInode {
  std::uint64_t inode = 0;
  uid_t uid = 0;
};
[[nodiscard]] std::vector<ListeningInode> TcpListeners(std::string_view text, std::uint16_t port);
[[nodiscard]] std::vector<ListeningInode> UnixListeners(std::string_view text, std::string_view path);

// What is said of an address that somebody listens on.  `version` is the daemon's there; `ours` are the
// processes at the control socket of this configuration, nothing when it has none.
struct HeldAddress {
  std::string address;
  Held held = {};
  std::optional<std::string> version = {};
  std::optional<std::set<pid_t>> ours = {};
};
[[nodiscard]] Finding JudgeHeld(const std::string& name, const HeldAddress& held);

struct PortsOptions {
  std::string address;         // of http.listen, or unix: and the path of the control socket
  std::string name;            // of the check
  std::string control_socket;  // a path, whose directory is looked at elsewhere; empty: there is none
  AskDaemon ask;
};
[[nodiscard]] Subject PortSubject(PortsOptions options);

}  // namespace gathering::doctor
