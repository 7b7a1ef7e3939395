#pragma once
// Where the events of a replay come from, one after the other.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/events/log.h"
#include "core/replay/position.h"

namespace gathering::replay {

struct Item {
  events::Record record;
  std::int64_t number = 0;  // of its line in a file; in the log its sequence number
};

// What is wrong with what stands in an event's place.
struct Complaint {
  std::int64_t number = 0;
  std::string what;
};

class Source {
 public:
  virtual ~Source() = default;

  // None: that was all, or somebody asked to stop.  Throws Error when the input cannot be read.
  [[nodiscard]] virtual std::optional<std::variant<Item, Complaint>> Next() = 0;

  // Behind what Next gave last.
  [[nodiscard]] virtual const Place& place() const = 0;

  // What a number counts: "line".
  [[nodiscard]] virtual std::string_view unit() const = 0;

  // Called before Next waits for somebody who has not written yet.
  void OnWait(std::function<void()> call) { on_wait_ = std::move(call); }

 protected:
  std::function<void()> on_wait_;
};

}  // namespace gathering::replay
