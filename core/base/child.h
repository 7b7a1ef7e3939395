#pragma once
// Another program, run as a child process that cannot outlive its purpose.
//
// The child starts in a session of its own (Ctrl-C in the terminal does not reach
// it), with no file of ours but its three streams, no signal blocked or ignored and
// exactly the given environment.  It is told to end when the thread that started it
// ends, however that happens; so start it from a thread that lives long enough.
// Only async-signal-safe calls happen between fork and exec, which is why this may
// be used in a process with many threads.
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gathering {

// A user of the system, with what a process needs to become that user.
struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

[[nodiscard]] std::optional<Account> FindAccount(const std::string& name);
[[nodiscard]] std::optional<Account> FindAccount(uid_t uid);

struct ChildOptions {
  std::vector<std::string> arguments;    // the first is the program's path
  std::vector<std::string> environment;  // "NAME=value"
  std::optional<Account> account = {};   // only root can change
  std::string directory = "/";           // entered after the change of user
  int input = -1;                        // descriptors for the streams; -1: /dev/null
  int output = -1;                       // standard output and error
  int death_signal = 0;                  // sent by the kernel when the starting thread ends; 0: SIGKILL
};

// Move-free handle of one child.  Not thread-safe.
class Child {
 public:
  // Returns once the program runs.  Throws Error kInternal; its message says which step failed.
  explicit Child(const ChildOptions& options);
  ~Child();  // kills what still runs
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_; }  // readable when the child has ended
  void Signal(int signal) const;

  // True when the child has ended; waits for that at most `timeout` (negative: for ever).
  bool Wait(std::chrono::milliseconds timeout);

  // After Wait has said so: "exit code 1", "signal 9".
  [[nodiscard]] std::string HowEnded() const;
  [[nodiscard]] bool succeeded() const { return ended_ && status_ == 0; }

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
  bool ended_ = false;
  int status_ = 0;  // as waitpid reports it
};

// The directories above must let `account` in: answers the first one (outermost) that does not,
// judged by permission bits alone.
[[nodiscard]] std::optional<std::string> FirstClosedDirectory(const std::string& path,
                                                              const Account& account);

}  // namespace gathering
