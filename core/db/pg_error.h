#pragma once
// What SQLSTATE means for us: the one place where the server's codes become ours.
// For the driver files (core/db/pg*.cpp) only.
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

}  // namespace gathering::db
