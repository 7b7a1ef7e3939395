#pragma once
// What SQLSTATE means for us: the one place where the server's codes become ours.
// For the driver files (core/db/pg*.cpp) only.
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/db/connection.h"

namespace gathering::db {

struct Meaning {
  Code code;
  Failure failure;
  std::string_view message;
};

// An empty state means a broken network in the middle of a statement.
[[nodiscard]] Meaning MeaningOf(std::string_view sqlstate);

// For the log: "agent_by_id: 42P01 relation \"agents\" does not exist", from a statement's name, which may be
// empty, and the server's primary message.  Values of clients are not in it: the server quotes them in
// detail, hint and context, which are left out, and in the messages about values themselves, which are left
// out too.
[[nodiscard]] std::string CauseOf(std::string_view what, std::string_view sqlstate, std::string_view primary);

}  // namespace gathering::db
