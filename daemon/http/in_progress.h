#pragma once
// The requests that a loop is at, for those who look at it from outside.
//
// Each is in a list of its thread from its head to its answer, so entering and leaving cost two pointers and
// no lock; only that thread can look.
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"

namespace gathering::loop {
class Fiber;
}

namespace gathering::http {

class Call;

// A request as somebody sees it who does not know its client's secrets: no path, no query, no token.
struct RequestInProgress {
  std::string method;
  std::string route;  // its id; "-": none yet
  std::string request_id;
  std::string client;
  std::chrono::nanoseconds age{0};
  std::string waits_for;  // empty: nobody knows
};

class InProgress {
 public:
  // What `call` says of itself, it says while this lives.
  InProgress(const Call& call, Clock::Steady since);
  ~InProgress();
  InProgress(const InProgress&) = delete;
  InProgress& operator=(const InProgress&) = delete;

  // On a loop's thread and not on a fiber: its requests that have been there for longest, at most `most` of
  // them, the oldest first.
  [[nodiscard]] static std::vector<RequestInProgress> Oldest(std::size_t most, Clock::Steady now);

 private:
  [[nodiscard]] RequestInProgress Describe(Clock::Steady now) const;

  static thread_local InProgress* first_;

  const Call& call_;
  const Clock::Steady since_;
  const loop::Fiber* const fiber_;  // null: it runs on none
  InProgress* previous_ = nullptr;
  InProgress* next_ = nullptr;
};

}  // namespace gathering::http
