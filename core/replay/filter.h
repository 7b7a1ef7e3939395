#pragma once
// Which events of an input are replayed.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/timestamp.h"
#include "core/events/log.h"

namespace gathering::replay {

// A place in the log, by its number or by the time.
using Bound = std::variant<std::int64_t, Timestamp>;

// "1234" or "2026-11-23T09:36:00Z".
[[nodiscard]] std::optional<Bound> ParseBound(std::string_view text);

struct Filter {
  std::optional<Bound> from = {};               // itself included
  std::optional<Bound> to = {};                 // a number is included, a time is not
  std::vector<std::string> types = {};          // patterns (events::Fits); none: all
  std::vector<std::int64_t> circle_ids = {};    // with the next: none of both: all
  std::optional<std::string> circle_name = {};  // as data.circle says
  std::optional<std::int64_t> source_agent_id = {};

  // What the daemons tell each other (token.revoked) never fits.
  [[nodiscard]] bool Fits(const events::Record& record) const;
};

}  // namespace gathering::replay
