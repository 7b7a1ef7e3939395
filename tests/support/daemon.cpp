#include "tests/support/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace gathering::test {
namespace {

// bcrypt of kAdminPassword with a low cost, so that a login in a test is quick.
constexpr std::string_view kAdminHash = "$2b$05$abcdefghijklmnopqrstuuBKTK.qTk510AXsl7sY1owdL2ZgkpwSq";
constexpr std::string_view kSecret = "a-secret-key-for-tests-only-0123456789abcdef";

std::string ReadFile(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// The value of "address" in the log line that says the daemon listens.
std::string ListeningAddress(const std::string& log) {
  std::istringstream lines{log};
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object() && json.value("msg", "") == "listening") return json.value("address", "");
  }
  return {};
}

// glibc 2.36 declares pidfd_open for C only.
int OpenPidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Waits until the process behind `pidfd` ends or the log grows; false at the deadline.
bool WaitForNews(int pidfd, int inotify, std::chrono::steady_clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) return false;
  pollfd watched[] = {{pidfd, POLLIN, 0}, {inotify, POLLIN, 0}};
  ::poll(watched, inotify >= 0 ? 2 : 1, static_cast<int>(left.count()));
  if (inotify >= 0 && (watched[1].revents & POLLIN) != 0) {
    char events[4096];
    if (::read(inotify, events, sizeof events) < 0) return false;
  }
  return true;
}

constexpr int kFirstPassed = 3;
constexpr int kOutOfTheWay = 300;  // for descriptors on their way to 3, 4, …
constexpr std::string_view kListenPid = "LISTEN_PID=";

// In the child, where nothing may be allocated: descriptors to 3, 4, …, and LISTEN_PID, which only the child
// knows, into the room behind the name in `assignment`.
void PassSockets(const std::vector<int>& descriptors, char* assignment) {
  const int count = static_cast<int>(descriptors.size());
  for (int i = 0; i < count; ++i) ::dup2(descriptors[static_cast<std::size_t>(i)], kOutOfTheWay + i);
  for (int i = 0; i < count; ++i) {
    ::dup2(kOutOfTheWay + i, kFirstPassed + i);
    ::close(kOutOfTheWay + i);
  }
  char* const digits = assignment + kListenPid.size();
  *std::to_chars(digits, digits + 16, ::getpid()).ptr = '\0';
}

}  // namespace

RunningDaemon::RunningDaemon(DaemonOptions options) : data_dir_(options.data_dir) {
  if (data_dir_.empty()) data_dir_ = own_data_dir_.emplace().path();
  log_path_ = fmt::format("{}.{}.log", data_dir_, ::getpid());
  std::vector<std::string> arguments = {GATHERING_BINARY, "serve",      "--listen",
                                        options.listen,   "--data-dir", data_dir_};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::map<std::string, std::string> environment = {
      {"PATH", "/usr/local/bin:/usr/bin:/bin"},
      {"GATHERING_LOG_FORMAT", "json"},
      {"ADMIN_EMAIL", std::string{kAdminEmail}},
      {"ADMIN_PASSWORD_HASH", std::string{kAdminHash}},
      {"SECRET_KEY", std::string{kSecret}},
      {"GATHERING_RATE_LIMITS_ENABLED", "false"},  // tests of other things ask as often as they like
  };
  if (!options.database_url.empty()) environment["DATABASE_URL"] = options.database_url;
  for (const auto& name : {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment[name] = value;
  }
  for (const auto& [name, value] : options.environment) environment[name] = value;
  std::vector<std::string> assignments;
  for (const auto& [name, value] : environment) assignments.push_back(name + "=" + value);
  std::string listen_pid = std::string{kListenPid} + std::string(20, ' ');
  auto argv = Pointers(arguments);
  if (!options.passed.empty()) {
    assignments.push_back(fmt::format("LISTEN_FDS={}", options.passed.size()));
  }
  auto envp = Pointers(assignments);
  if (!options.passed.empty()) envp.insert(envp.begin(), listen_pid.data());

  const int log = ::open(log_path_.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  const std::size_t before = std::filesystem::file_size(log_path_);
  const int inotify = ::inotify_init1(IN_CLOEXEC);
  ::inotify_add_watch(inotify, log_path_.c_str(), IN_MODIFY);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    if (!options.passed.empty()) PassSockets(options.passed, listen_pid.data());
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(log);
  if (!options.until_listening) {
    ::close(inotify);
    return;
  }
  const int pidfd = OpenPidfd(pid_);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  bool waiting = true;
  while (waiting && address_.empty()) {
    waiting = WaitForNews(pidfd, inotify, deadline) && ::kill(pid_, 0) == 0;
    address_ = ListeningAddress(ReadFile(log_path_).substr(before));
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        ended.si_pid == pid_)
      break;
  }
  ::close(pidfd);
  ::close(inotify);
  if (address_.empty()) {
    const std::string output = Log();
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    throw std::runtime_error{"the daemon did not start:\n" + output};
  }
}

RunningDaemon::~RunningDaemon() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    try {
      Wait();
    } catch (const std::runtime_error&) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  std::filesystem::remove(log_path_);
}

std::string RunningDaemon::AdminToken() const {
  const Answer answer = Client().PostForm(
      "/auth/login", {{"username", std::string{kAdminEmail}}, {"password", std::string{kAdminPassword}}});
  if (answer.status != 200) throw std::runtime_error{"the administrator cannot log in: " + answer.body};
  return answer.Json().at("access_token");
}

HttpClient RunningDaemon::Admin() const {
  HttpClient client = Client();
  client.Use(AdminToken());
  return client;
}

void RunningDaemon::Signal(int signal) const {
  ::kill(pid_, signal);
}

int RunningDaemon::Wait(std::chrono::seconds deadline) {
  const int pidfd = OpenPidfd(pid_);
  const bool ended = WaitForNews(pidfd, -1, std::chrono::steady_clock::now() + deadline);
  ::close(pidfd);
  int status = 0;
  if (!ended || ::waitpid(pid_, &status, WNOHANG) != pid_)
    throw std::runtime_error{"the daemon still runs:\n" + Log()};
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string RunningDaemon::Log() const {
  return ReadFile(log_path_);
}

}  // namespace gathering::test
