#pragma once
// Rules between values, and the forms that a type alone does not say.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/load.h"

namespace gathering::config {

// What is wrong with an address to listen on (core/config/listen.h), or nothing.
[[nodiscard]] std::optional<std::string> ListenProblem(std::string_view text);

// Whether the text has the shape of a bcrypt or argon2id hash.
[[nodiscard]] bool LooksLikeHash(std::string_view text);

// Appends to the attempt's problems, refused keys and warnings, each line with the value's origin.
void CheckConfig(LoadAttempt& attempt, const Environment& environment);

}  // namespace gathering::config
