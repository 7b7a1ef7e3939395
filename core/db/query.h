#pragma once
// A named statement.  Its text lives in a .sql file beside the noun it serves;
// the build turns every "-- name: agent_by_id" section into `sql::kAgentById`
// (build/<preset>/generated/core/db/queries.h).  Names appear in logs and metrics.
#include <cstdint>
#include <span>
#include <string_view>

namespace gathering::db {

struct Query {
  std::string_view name;
  std::string_view text;
};

// Every statement of the binary, for the test that PREPAREs them all.
[[nodiscard]] std::span<const Query* const> AllQueries();

}  // namespace gathering::db
