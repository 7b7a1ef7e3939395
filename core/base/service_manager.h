#pragma once
// What a service manager such as systemd gives a daemon and wants to hear from it: a few environment
// variables, descriptors from 3 on, and datagrams of "NAME=value" lines.  The protocol is that of the manual
// pages sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).
//
//   ServiceManager manager{environment};
//   ForgetServiceManager();
//   auto sockets = manager.TakeSockets();
//   manager.Notify("READY=1\n" + StatusLine("serving"));
//
// Without a manager there is nothing to take, and Notify does nothing.
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"

namespace gathering {

inline constexpr int kFirstPassedDescriptor = 3;

// A stream socket that listens already, bound by somebody who keeps it open when we have ended.
struct PassedSocket {
  Fd descriptor;     // non-blocking, close-on-exec
  std::string name;  // FileDescriptorName= of its unit; may be empty
};

class ServiceManager {
 public:
  using Variables = std::map<std::string, std::string, std::less<>>;

  // `self` tells variables meant for this process from those of a parent.  A socket that cannot be used is
  // warned about: whether somebody hears us decides nothing here.
  explicit ServiceManager(const Variables& variables, pid_t self = ::getpid());

  // Lines such as "READY=1\nSTATUS=serving".  Never blocks or throws; a manager that is away, or so busy that
  // its queue is full, does not hear this.  Safe from any thread.
  void Notify(std::string_view lines) const;

  // WATCHDOG=1 must be heard at least as often; none: nobody waits for it.
  [[nodiscard]] std::optional<std::chrono::microseconds> WatchdogInterval() const { return watchdog_; }

  // What was passed, in the manager's order, once.  Throws Error kInvalid, naming it, for a descriptor that
  // is not a listening stream socket.
  [[nodiscard]] std::vector<PassedSocket> TakeSockets(int first = kFirstPassedDescriptor);

 private:
  void Address(const std::string& path);

  Fd socket_;
  sockaddr_un address_{};
  socklen_t address_bytes_ = 0;  // 0: nobody listens
  std::optional<std::chrono::microseconds> watchdog_;
  std::string passed_count_;  // as LISTEN_FDS has it; empty: none
  std::string passed_names_;
};

// "STATUS=text", on one line whatever is in `text`.
[[nodiscard]] std::string StatusLine(std::string_view text);

// Takes the protocol's variables out of the process's environment, so that no child answers to them.  To be
// called while there is one thread.
void ForgetServiceManager();

}  // namespace gathering
