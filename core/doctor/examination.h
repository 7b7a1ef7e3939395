#pragma once
// Makes checks that may never come back: of a server that swallows packets, a name server that is away, a
// file system whose host is gone.
//
// Each subject is looked at in a child process of its own, all at the same time.  One that is out of time is
// killed; what it told until then counts.  So the whole takes no longer than the deadline, and nothing that
// goes wrong in one subject touches another.  Only for processes that have a single thread.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/doctor/finding.h"

namespace gathering::doctor {

using Tell = std::function<void(const Finding&)>;

struct Subject {
  std::vector<std::string> checks;  // their names, in the order in which `look` tells of them
  // Throws Error when the next check cannot be made, and with it those behind it.
  std::function<void(const Tell&)> look;
};

// Everything that is to be known of a subject: what was told, and for the checks that were not, the first
// with `why` and the others as skipped.
[[nodiscard]] std::vector<Finding> Completed(const std::vector<std::string>& checks,
                                             std::vector<Finding> told, const std::optional<Finding>& why);

// In the order of the subjects.  Throws Error kInternal when no process can be started.
[[nodiscard]] std::vector<Finding> Examine(const std::vector<Subject>& subjects,
                                           std::chrono::milliseconds deadline, const Clock& clock);

}  // namespace gathering::doctor
