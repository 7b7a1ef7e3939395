#pragma once
// A real Redis for tests, with every fault one can make by hand; and a proxy that makes it slow.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/child.h"
#include "core/base/fd.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {

// On a unix socket in a directory of its own (and on `port` of loopback if the arguments say so), keeping
// nothing on disk.  Ended with the object.
class RedisServer {
 public:
  // Returns when the server answers.  Throws std::runtime_error when it does not within 10 s.
  explicit RedisServer(std::vector<std::string> arguments = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  [[nodiscard]] std::string socket() const { return directory_.path() + "/redis.sock"; }
  [[nodiscard]] const std::string& directory() const { return directory_.path(); }
  [[nodiscard]] std::string Url() const { return "unix://" + socket(); }

  void Kill();      // SIGKILL; what it held is lost
  void Start();     // again, empty
  void Stop();      // SIGSTOP: connections stay, nothing is answered
  void Continue();  // SIGCONT

  // One command on a connection of its own, at once and blocking: its answer as text, an error with "-"
  // before. Throws std::runtime_error when there is no answer.
  std::string Command(const std::vector<std::string>& words) const;

 private:
  const std::vector<std::string> arguments_;
  TemporaryDirectory directory_;
  Fd null_;
  std::unique_ptr<Child> child_;
};

// A free port of loopback, a moment ago.
[[nodiscard]] std::uint16_t FreePort();

// Passes everything on to a unix socket and back, replies later than they came.
class SlowProxy {
 public:
  explicit SlowProxy(std::string target);
  ~SlowProxy();
  SlowProxy(const SlowProxy&) = delete;
  SlowProxy& operator=(const SlowProxy&) = delete;

  [[nodiscard]] std::string Url() const { return "unix://" + socket_; }
  void SetDelay(std::chrono::milliseconds delay) { delay_ms_ = delay.count(); }

 private:
  void Run(const std::stop_token& stop);

  const std::string target_;
  TemporaryDirectory directory_;
  const std::string socket_;
  std::atomic<std::int64_t> delay_ms_ = 0;
  Fd listener_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace gathering::test
