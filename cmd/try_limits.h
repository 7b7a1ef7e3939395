#pragma once
// `gathering config try-limits`: what the configured rate limits would have refused, by an access log.
#include <string>

#include "cmd/command.h"

namespace gathering::cmd {

// Reads the daemon's log in JSON, a request a line in the order of their times; "-" is standard input.
[[nodiscard]] Exit TryLimits(const Context& context, const std::string& log_file, Output output);

}  // namespace gathering::cmd
