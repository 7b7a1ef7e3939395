#pragma once
// `gathering serve` as a process of its own, on a free port of loopback.
#include <sys/types.h>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/http.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {

// The administrator every RunningDaemon knows, unless its environment says otherwise.
inline constexpr std::string_view kAdminEmail = "admin@example.com";
inline constexpr std::string_view kAdminPassword = "Correct-Admin-2026";

struct DaemonOptions {
  std::string database_url = {};  // empty: the embedded database in data_dir
  std::string data_dir = {};      // empty: a fresh directory, removed afterwards
  std::vector<std::string> arguments = {};
  std::string listen = "127.0.0.1:0";
  std::map<std::string, std::string> environment = {};  // added to a small clean environment
  bool until_listening = true;                          // false: only started, and address() stays empty
  std::vector<int> passed = {};  // descriptors it gets as a service manager passes them
};

class RunningDaemon {
 public:
  // Starts the daemon and returns once it listens; throws with its output when it does not.
  explicit RunningDaemon(DaemonOptions options);
  ~RunningDaemon();  // SIGTERM, then SIGKILL after a deadline
  RunningDaemon(const RunningDaemon&) = delete;
  RunningDaemon& operator=(const RunningDaemon&) = delete;

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] const std::string& data_dir() const { return data_dir_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] HttpClient Client() const { return HttpClient{address_}; }
  [[nodiscard]] std::string AdminToken() const;  // of a new login
  [[nodiscard]] HttpClient Admin() const;        // logged in as the administrator

  void Signal(int signal) const;
  // The exit code, or 128 + signal; throws when it still runs at the deadline.
  int Wait(std::chrono::seconds deadline = std::chrono::seconds{20});
  // Everything written to stderr so far.
  [[nodiscard]] std::string Log() const;

 private:
  std::optional<TemporaryDirectory> own_data_dir_;
  std::string data_dir_;
  std::string log_path_;
  std::string address_;
  pid_t pid_ = -1;
};

}  // namespace gathering::test
