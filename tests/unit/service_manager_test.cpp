#include "core/base/service_manager.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "core/base/error.h"
#include "tests/support/notifications.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;

constexpr pid_t kSelf = 4'711;
constexpr int kFirst = 200;  // far from what the test binary has open

std::string AbstractName(std::string_view what) {
  return "@gathering-test-" + std::to_string(::getpid()) + "-" + std::string{what};
}

// Puts a socket at `descriptor`, as a service manager would.  It is closed by whoever takes it.
void PutSocket(int descriptor, int type, bool listening) {
  const Fd made{::socket(AF_INET, type | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  if (listening) REQUIRE(::listen(made.get(), 1) == 0);
  REQUIRE(::dup2(made.get(), descriptor) == descriptor);
}

ServiceManager::Variables Passed(const std::string& count, const std::string& names = {}) {
  return {{"LISTEN_FDS", count}, {"LISTEN_PID", std::to_string(kSelf)}, {"LISTEN_FDNAMES", names}};
}

std::string RefusalOf(const ServiceManager::Variables& variables) {
  ServiceManager manager{variables, kSelf};
  try {
    const auto taken = manager.TakeSockets(kFirst);
    FAIL_CHECK(taken.size() << " were taken");
  } catch (const Error& error) {
    CHECK(error.code == Code::kInvalid);
    return error.message;
  }
  return {};
}

}  // namespace

TEST_CASE("a service manager hears what it is told, at a path and at an abstract name", "[service_manager]") {
  const TemporaryDirectory directory;
  for (const std::string& name : {directory.path() + "/notify", AbstractName("hears")}) {
    INFO(name);
    Notifications heard{name};
    const ServiceManager manager{{{"NOTIFY_SOCKET", name}}};
    manager.Notify("READY=1\nSTATUS=serving");
    manager.Notify("WATCHDOG=1");
    CHECK(heard.Next(5s) == "READY=1\nSTATUS=serving");
    CHECK(heard.Next(5s) == "WATCHDOG=1");
  }
}

TEST_CASE("a service manager that is away or out of reach is no error", "[service_manager]") {
  const TemporaryDirectory directory;
  for (const std::string& name : {std::string{}, directory.path() + "/nobody", AbstractName("nobody"),
                                  std::string{"relative"}, "/" + std::string(200, 'x')}) {
    INFO(name);
    const ServiceManager manager{{{"NOTIFY_SOCKET", name}}};
    CHECK_NOTHROW(manager.Notify("READY=1"));
  }
  CHECK_NOTHROW(ServiceManager{{}}.Notify("READY=1"));
}

TEST_CASE("a service manager that does not read holds nobody up", "[service_manager]") {
  const Notifications silent{AbstractName("silent")};
  const ServiceManager manager{{{"NOTIFY_SOCKET", silent.name()}}};
  for (int i = 0; i < 10'000; ++i) manager.Notify("WATCHDOG=1");  // more than any queue of the kernel
  SUCCEED();
}

TEST_CASE("a status is one line", "[service_manager]") {
  CHECK(StatusLine("serving on unix:/a\nMAINPID=1") == "STATUS=serving on unix:/a MAINPID=1");
}

TEST_CASE("the watchdog's interval is read when it is meant for this process", "[service_manager]") {
  const auto interval = [](const ServiceManager::Variables& variables) {
    return ServiceManager{variables, kSelf}.WatchdogInterval();
  };
  CHECK(interval({{"WATCHDOG_USEC", "200000"}}) == 200ms);
  CHECK(interval({{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "4711"}}) == 30s);
  CHECK_FALSE(interval({{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "4712"}}));
  CHECK_FALSE(interval({{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "me"}}));
  for (const char* none : {"", "0", "-1", "30s", "99999999999999999999"}) {
    INFO(none);
    CHECK_FALSE(interval({{"WATCHDOG_USEC", none}}));
  }
  CHECK_FALSE(interval({}));
}

TEST_CASE("sockets that were passed are taken once, with their names", "[service_manager]") {
  PutSocket(kFirst, SOCK_STREAM, true);
  PutSocket(kFirst + 1, SOCK_STREAM, true);
  ServiceManager manager{Passed("2", "web:control"), kSelf};
  const auto sockets = manager.TakeSockets(kFirst);
  REQUIRE(sockets.size() == 2);
  CHECK(sockets[0].name == "web");
  CHECK(sockets[1].name == "control");
  CHECK(sockets[1].descriptor.get() == kFirst + 1);
  CHECK((::fcntl(kFirst, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(kFirst, F_GETFL) & O_NONBLOCK) != 0);
  CHECK(manager.TakeSockets(kFirst).empty());
}

TEST_CASE("names that were not given are empty", "[service_manager]") {
  PutSocket(kFirst, SOCK_STREAM, true);
  PutSocket(kFirst + 1, SOCK_STREAM, true);
  ServiceManager manager{Passed("2", ""), kSelf};
  const auto sockets = manager.TakeSockets(kFirst);
  REQUIRE(sockets.size() == 2);
  CHECK(sockets[0].name.empty());
  CHECK(sockets[1].name.empty());
}

TEST_CASE("sockets of another process are left alone", "[service_manager]") {
  const auto taken = [](ServiceManager::Variables variables) {
    return ServiceManager{variables, kSelf}.TakeSockets(kFirst).size();
  };
  CHECK(taken({{"LISTEN_FDS", "2"}, {"LISTEN_PID", "4712"}}) == 0);
  CHECK(taken({{"LISTEN_FDS", "2"}}) == 0);
  CHECK(taken({{"LISTEN_PID", "4711"}}) == 0);
  CHECK(taken(Passed("0")) == 0);
  CHECK(taken({}) == 0);
}

TEST_CASE("only stream sockets that listen are taken", "[service_manager]") {
  for (const char* count : {"-1", "two", "2 ", "100000"}) CHECK_FALSE(RefusalOf(Passed(count)).empty());
  PutSocket(kFirst, SOCK_STREAM, false);
  CHECK(RefusalOf(Passed("1", "web")).find("'web'") != std::string::npos);
  PutSocket(kFirst, SOCK_DGRAM, false);
  CHECK(RefusalOf(Passed("1")).find("ListenStream=") != std::string::npos);
  REQUIRE(::dup2(STDERR_FILENO, kFirst) == kFirst);
  CHECK_FALSE(RefusalOf(Passed("1")).empty());
  ::close(kFirst);
  CHECK_FALSE(RefusalOf(Passed("1")).empty());
}

TEST_CASE("the variables of the protocol leave the environment", "[service_manager]") {
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID"})
    REQUIRE(::setenv(name, "1", 1) == 0);
  ForgetServiceManager();
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID"})
    CHECK(std::getenv(name) == nullptr);
}

}  // namespace gathering::test
