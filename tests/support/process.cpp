#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <utility>

namespace gathering::test {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    read = ends[0];
    write = ends[1];
  }
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void CloseRead() {
    if (read >= 0) ::close(std::exchange(read, -1));
  }
  void CloseWrite() {
    if (write >= 0) ::close(std::exchange(write, -1));
  }
  int read = -1;
  int write = -1;
};

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Assignments(std::map<std::string, std::string> environment) {
  environment.try_emplace("PATH", "/usr/local/bin:/usr/bin:/bin");
  for (const char* name : {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment.try_emplace(name, value);
  }
  std::vector<std::string> assignments;
  for (const auto& [name, value] : environment) assignments.push_back(name + "=" + value);
  return assignments;
}

// Reads both pipes until both end; false at the deadline.
bool Drain(Pipe& out, Pipe& err, ProcessResult& result, std::chrono::steady_clock::time_point deadline,
           const std::function<void()>& heard) {
  while (out.read >= 0 || err.read >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd watched[] = {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}};
    ::poll(watched, 2, static_cast<int>(left.count()));
    std::array<char, 65'536> buffer;
    const auto take = [&](const pollfd& polled, Pipe& pipe, std::string& text) {
      if (polled.revents == 0) return;
      const ssize_t count = ::read(pipe.read, buffer.data(), buffer.size());
      if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
      if (count == 0) pipe.CloseRead();
    };
    take(watched[0], out, result.out);
    take(watched[1], err, result.err);
    heard();
  }
  return true;
}

}  // namespace

ProcessResult Run(const std::string& program, const ProcessOptions& options) {
  Pipe in;
  Pipe out;
  Pipe err;
  std::vector<std::string> arguments = {program};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> assignments = Assignments(options.environment);
  const auto argv = Pointers(arguments);
  const auto envp = Pointers(assignments);
  if (options.output == Stdout::kReaderGone) out.CloseRead();
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(in.read, STDIN_FILENO);
    ::dup2(options.output == Stdout::kFull ? full : out.write, STDOUT_FILENO);
    ::dup2(err.write, STDERR_FILENO);
    if (options.output == Stdout::kClosed) ::close(STDOUT_FILENO);
    if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) ::_exit(127);
    ::execve(program.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(full);
  in.CloseRead();
  out.CloseWrite();
  err.CloseWrite();
  if (!options.input.empty() && ::write(in.write, options.input.data(), options.input.size()) < 0) {
    throw std::runtime_error("the process does not take its input");
  }
  in.CloseWrite();
  ProcessResult result;
  bool stopped = options.stop_at.empty();
  const auto heard = [&] {
    if (stopped || (result.out + result.err).find(options.stop_at) == std::string::npos) return;
    stopped = true;
    ::kill(pid, options.stop_signal);
  };
  const bool ended = Drain(out, err, result, std::chrono::steady_clock::now() + options.deadline, heard);
  if (!ended) ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (!ended) throw std::runtime_error(program + " still runs at the deadline: " + result.err);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace gathering::test
