#pragma once
// The configuration as it was read: everything that is wrong with it, and what is only doubtful.
#include <string>
#include <string_view>
#include <vector>

#include "core/config/load.h"
#include "core/doctor/finding.h"

namespace gathering::doctor {

// Bits that it takes to guess a text, or the part it repeats, when its bytes are drawn as often as they occur
// there; a text that somebody made up has fewer.
[[nodiscard]] double GuessBits(std::string_view text);

// As config.values, config.warnings and config.secret_key.  `problems` are all of them.
[[nodiscard]] std::vector<Finding> JudgeConfiguration(const LoadAttempt& attempt,
                                                      const std::vector<std::string>& problems);

// Whether one of the keys that begin with `prefix` cannot be used, or nobody knows.
[[nodiscard]] bool Refused(const LoadAttempt& attempt, std::string_view prefix);

}  // namespace gathering::doctor
