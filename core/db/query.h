#pragma once
// A named statement.  Its text lives in a .sql file beside the noun it serves;
// the build turns every "-- name: agent_by_id" section into `sql::kAgentById`
// (build/<preset>/generated/core/db/queries.h).  Names appear in logs and metrics.
//
// Whether a statement changes anything is read off its text: a word like UPDATE outside of
// texts and comments makes it a write.  "-- name: dashboard_stats (slow)" marks a statement
// that takes the server long by nature.  A "-- script: bench_schema" section becomes a plain text,
// `sql::kBenchSchema`, for statements that cannot be prepared.
#include <cstdint>
#include <span>
#include <string_view>

namespace gathering::db {

enum class Effect : std::uint8_t { kWrite, kRead };  // the zero value is the careful one
enum class Pace : std::uint8_t { kQuick, kSlow };

struct Query {
  static constexpr std::uint32_t kUnnumbered = 0xffff'ffff;

  std::string_view name;
  std::string_view text;
  Effect effect = Effect::kWrite;
  Pace pace = Pace::kQuick;
  std::uint32_t number = kUnnumbered;  // its place in AllQueries
};

// Every statement of the binary, in the order of their numbers.
[[nodiscard]] std::span<const Query* const> AllQueries();

}  // namespace gathering::db
