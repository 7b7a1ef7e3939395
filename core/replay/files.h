#pragma once
// Files, with errors that name them.
#include <string>
#include <string_view>

#include "core/base/fd.h"

namespace gathering::replay {

// Says what errno says: "cannot write events.jsonl: No space left on device".
[[noreturn]] void ThrowFileError(std::string_view what, const std::string& file);

// All of it, however long that takes.  False when it is a pipe whose reader left.
bool WriteAll(int fd, const std::string& file, std::string_view text);

}  // namespace gathering::replay
