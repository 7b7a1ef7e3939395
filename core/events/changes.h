#pragma once
// What was changed in the database, told as soon as it can be seen, for those who remember answers.
//
// Events say it where there are some.  Everything else, and everything somebody changes by other means than
// this program, the database tells itself, by triggers (core/db/migrations/0008_changes.sql): a notification
// that the server sends when the change commits.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace gathering::events {

struct Record;

inline constexpr std::string_view kListenForChanges = "LISTEN gathering_changes";
inline constexpr std::string_view kChangesChannel = "gathering_changes";

enum class Subject : std::uint8_t {
  kAgent,    // by id
  kCircle,   // by name
  kCatalog,  // providers, models and personas, as a whole
  kAll,
};

struct Change {
  Subject subject = Subject::kAll;
  std::string key = {};  // empty: all of them

  bool operator==(const Change&) const = default;
};

// From the database's words, "agent 7", "circle crew", "catalog"; what cannot be read is kAll.
[[nodiscard]] Change ToChange(std::string_view notification);

// None: no answer depends on it.
[[nodiscard]] std::optional<Change> ChangeOf(const Record& event);

// Hears of changes in any order, some more than once.  Called on the thread that follows the log.
class ChangeListener {
 public:
  virtual void OnChange(const Change& change) = 0;

  // Everything that was committed before this moment has been told, but for what is still on its way from
  // the server: milliseconds.
  virtual void OnCurrent(Clock::Steady as_of) = 0;

  // From now on something may be missed.
  virtual void OnLost() = 0;

 protected:
  ~ChangeListener() = default;
};

}  // namespace gathering::events
