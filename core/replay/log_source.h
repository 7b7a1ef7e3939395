#pragma once
// The log of a database as an input: from one place to what was newest when it was asked.
#include <atomic>
#include <vector>

#include "core/base/clock.h"
#include "core/db/session.h"
#include "core/replay/source.h"

namespace gathering::replay {

// The highest number of the log, once nobody can add any below it any more.  Waits for transactions that run,
// at most half a minute, then throws Error kTimeout; none: `stop` came first.
[[nodiscard]] std::optional<std::int64_t> SettledEnd(db::Session& session, const Clock& clock,
                                                     const std::atomic<bool>& stop);

class LogSource final : public Source {
 public:
  // What comes after one number and up to another.
  LogSource(db::Session& session, std::int64_t after, std::int64_t up_to);

  [[nodiscard]] std::optional<std::variant<Item, Complaint>> Next() override;
  [[nodiscard]] const Place& place() const override { return place_; }
  [[nodiscard]] std::string_view unit() const override { return "event"; }

 private:
  db::Session& session_;
  const std::int64_t up_to_;
  Place place_;
  std::vector<events::Record> page_;
  std::size_t given_ = 0;  // of the page
};

}  // namespace gathering::replay
