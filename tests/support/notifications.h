#pragma once
// The service manager's end of NOTIFY_SOCKET: a bound datagram socket and what arrived there.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"

namespace gathering::test {

// The value of "NAME=value" among the lines of a message.
std::optional<std::string> ValueIn(std::string_view message, std::string_view name);

class Notifications {
 public:
  // `name` as in NOTIFY_SOCKET: a path, or '@' and an abstract name.
  explicit Notifications(std::string name);

  [[nodiscard]] const std::string& name() const { return name_; }

  // The next message; none within `patience`.
  std::optional<std::string> Next(std::chrono::milliseconds patience = std::chrono::seconds{60});

  // The next message that has a line `line`; throws std::runtime_error with what came instead.
  std::string Await(std::string_view line, std::chrono::seconds patience = std::chrono::seconds{60});

  // All messages that were received, in their order.
  [[nodiscard]] const std::vector<std::string>& seen() const { return seen_; }

 private:
  std::string name_;
  Fd socket_;
  std::vector<std::string> seen_;
};

}  // namespace gathering::test
