// What a service manager passes in variables: sockets and the watchdog.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/base/error.h"
#include "core/base/service_manager.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::fuzz::Require;

constexpr int kFirst = 700;  // where nothing else is
constexpr int kSockets = 2;

void Listen() {
  for (int i = 0; i < kSockets; ++i) {
    const gathering::Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    Require(::listen(socket.get(), 1) == 0 && ::dup2(socket.get(), kFirst + i) == kFirst + i, "it listens");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gathering::fuzz::Input input{data, size};
  gathering::ServiceManager::Variables variables{{"LISTEN_PID", "42"}, {"WATCHDOG_PID", "42"}};
  const bool listens = input.Byte() % 2 == 0;
  variables["LISTEN_FDS"] = input.Line();
  variables["LISTEN_FDNAMES"] = input.Line();
  variables["WATCHDOG_USEC"] = input.Line();
  if (const std::string_view pid = input.Line(); !pid.empty()) variables["LISTEN_PID"] = pid;
  if (listens) Listen();
  gathering::ServiceManager manager{variables, 42};
  if (const auto interval = manager.WatchdogInterval())
    Require(interval->count() > 0, "an interval is positive");
  try {
    const auto sockets = manager.TakeSockets(kFirst);
    Require(sockets.size() <= kSockets && (listens || sockets.empty()), "only what listens is taken");
    Require(manager.TakeSockets(kFirst).empty(), "once");
    for (const auto& socket : sockets) {
      Require((::fcntl(socket.descriptor.get(), F_GETFD) & FD_CLOEXEC) != 0, "children do not inherit it");
      Require((::fcntl(socket.descriptor.get(), F_GETFL) & O_NONBLOCK) != 0, "it does not block");
    }
  } catch (const gathering::Error& error) {
    Require(error.code == gathering::Code::kInvalid && error.message.find('\n') == std::string::npos,
            "a refusal is one line");
  }
  for (int i = 0; i < kSockets; ++i) ::close(kFirst + i);
  return 0;
}
