#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/tree.h"

namespace {

using gathering::Environment;

// A standard stream that the caller closed must not become the next file or socket that is opened.
void OpenStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) std::abort();
  }
}

Environment ReadEnvironment() {
  Environment variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view assignment{*entry};
    const std::size_t equals = assignment.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(assignment.substr(0, equals), assignment.substr(equals + 1));
  }
  return variables;
}

}  // namespace

int main(int argc, char** argv) {
  OpenStandardStreams();
  std::signal(SIGPIPE, SIG_IGN);  // a reader who left is seen by write
  gathering::cmd::Tree tree{ReadEnvironment()};
  return static_cast<int>(tree.Run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc)));
}
