#include "core/base/child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"

namespace gathering {
namespace {

enum class Step : int { kGroups, kUser, kParent, kDirectory, kStreams, kFiles, kProgram };
constexpr const char* kStepTexts[] = {
    "become a member of its groups", "become its user",   "outlive the parent", "enter its directory",
    "connect its streams",           "close other files", "run the program"};

struct Trouble {
  Step step;
  int error;
};

// What the child needs, prepared before fork: afterwards nothing may be allocated.
struct Plan {
  std::vector<char*> arguments;
  std::vector<char*> environment;
  const Account* account = nullptr;
  const char* directory = nullptr;
  int input = -1;
  int output = -1;
  int death_signal = 0;
  int trouble = -1;  // the pipe that closes when the program runs
  pid_t parent = -1;
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Fail(const Plan& plan, Step step) {
  const Trouble trouble{step, errno};
  [[maybe_unused]] const ssize_t written = write(plan.trouble, &trouble, sizeof trouble);
  _exit(127);
}

void ForgetSignals() {
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &by_default, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

int StreamOrNull(int descriptor) {
  return descriptor >= 0 ? descriptor : open("/dev/null", O_RDWR);
}

[[noreturn]] void BecomeProgram(const Plan& plan) {
  ForgetSignals();
  setsid();
  if (plan.account != nullptr) {
    const Account& account = *plan.account;
    if (setgroups(account.groups.size(), account.groups.data()) != 0) Fail(plan, Step::kGroups);
    if (setgid(account.gid) != 0 || setuid(account.uid) != 0) Fail(plan, Step::kUser);
  }
  // A change of user would undo this, so it comes after.
  if (prctl(PR_SET_PDEATHSIG, plan.death_signal) != 0) Fail(plan, Step::kParent);
  if (getppid() != plan.parent) Fail(plan, Step::kParent);
  if (chdir(plan.directory) != 0) Fail(plan, Step::kDirectory);
  const int input = StreamOrNull(plan.input);
  const int output = StreamOrNull(plan.output);
  if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) Fail(plan, Step::kStreams);
  const auto trouble = static_cast<unsigned>(plan.trouble);
  if (trouble > 3) syscall(SYS_close_range, 3U, trouble - 1, 0U);
  if (syscall(SYS_close_range, trouble + 1, ~0U, 0U) != 0) Fail(plan, Step::kFiles);
  umask(077);
  execve(plan.arguments[0], plan.arguments.data(), plan.environment.data());
  Fail(plan, Step::kProgram);
}

Account ToAccount(const passwd& entry) {
  Account account{.name = entry.pw_name, .uid = entry.pw_uid, .gid = entry.pw_gid, .groups = {}};
  int count = 64;
  account.groups.resize(64);
  if (getgrouplist(entry.pw_name, entry.pw_gid, account.groups.data(), &count) < 0) {
    account.groups.resize(static_cast<std::size_t>(count));
    getgrouplist(entry.pw_name, entry.pw_gid, account.groups.data(), &count);
  }
  account.groups.resize(static_cast<std::size_t>(count));
  return account;
}

template <class Lookup>
std::optional<Account> Find(Lookup lookup) {
  std::vector<char> buffer(16'384);
  passwd entry{};
  passwd* found = nullptr;
  if (lookup(&entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return ToAccount(entry);
}

}  // namespace

std::optional<Account> FindAccount(const std::string& name) {
  return Find([&](auto... rest) { return getpwnam_r(name.c_str(), rest...); });
}

std::optional<Account> FindAccount(uid_t uid) {
  return Find([&](auto... rest) { return getpwuid_r(uid, rest...); });
}

Child::Child(const ChildOptions& options) {
  int trouble_pipe[2];
  if (pipe2(trouble_pipe, O_CLOEXEC) != 0) {
    throw Error{Code::kInternal, "a program could not be started", std::strerror(errno)};
  }
  const Plan plan{.arguments = Pointers(options.arguments),
                  .environment = Pointers(options.environment),
                  .account = options.account ? &*options.account : nullptr,
                  .directory = options.directory.c_str(),
                  .input = options.input,
                  .output = options.output,
                  .death_signal = options.death_signal != 0 ? options.death_signal : SIGKILL,
                  .trouble = trouble_pipe[1],
                  .parent = getpid()};
  pid_ = fork();
  if (pid_ == 0) BecomeProgram(plan);
  const int fork_error = errno;
  close(trouble_pipe[1]);
  Trouble trouble{};
  const bool failed = pid_ > 0 && read(trouble_pipe[0], &trouble, sizeof trouble) == sizeof trouble;
  close(trouble_pipe[0]);
  if (pid_ < 0) throw Error{Code::kInternal, "a program could not be started", std::strerror(fork_error)};
  if (failed) {
    waitpid(pid_, &status_, 0);
    throw Error{Code::kInternal, fmt::format("{} could not {}: {}", options.arguments.front(),
                                             kStepTexts[static_cast<std::size_t>(trouble.step)],
                                             std::strerror(trouble.error))};
  }
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0U));
  if (pidfd_ < 0) {
    const int error = errno;
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
    throw Error{Code::kInternal, "a program cannot be watched (pidfd_open)", std::strerror(error)};
  }
}

Child::~Child() {
  if (!ended_) {
    Signal(SIGKILL);
    Wait(std::chrono::milliseconds{-1});
  }
  close(pidfd_);
}

void Child::Signal(int signal) const {
  if (!ended_) syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0U);
}

bool Child::Wait(std::chrono::milliseconds timeout) {
  if (ended_) return true;
  pollfd watched{.fd = pidfd_, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&watched, 1, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return false;
  while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  ended_ = true;
  return true;
}

std::string Child::HowEnded() const {
  if (WIFSIGNALED(status_)) return fmt::format("signal {}", WTERMSIG(status_));
  return fmt::format("exit code {}", WEXITSTATUS(status_));
}

std::optional<std::string> FirstClosedDirectory(const std::string& path, const Account& account) {
  std::filesystem::path here;
  for (const auto& part : std::filesystem::path{path}) {
    here /= part;
    struct stat about {};
    if (stat(here.c_str(), &about) != 0) return std::nullopt;
    const bool group = about.st_gid == account.gid || std::find(account.groups.begin(), account.groups.end(),
                                                                about.st_gid) != account.groups.end();
    const mode_t needed = about.st_uid == account.uid ? S_IXUSR : group ? S_IXGRP : S_IXOTH;
    if (account.uid != 0 && (about.st_mode & needed) == 0) return here.string();
  }
  return std::nullopt;
}

}  // namespace gathering
