#pragma once
// What Redis runs for us: each script is one step there, by the server's own clock.
#include <string>
#include <string_view>

namespace gathering::limits {

// One decision on one key.
//   KEYS[1]   the bucket
//   ARGV[1]   "gcra" or "window"
//   ARGV[2]   the cost
//   then for each rate: burst; interval and period; a debt to be charged first; what all instances together
//   may have spent; how far the bucket must be ahead at least.  Times are in microseconds.
// Answers {allowed, rate, limit, remaining, retry_after, reset_after}, then for each rate how far its bucket
// is ahead and what was counted in its window; times in microseconds rounded up.
//
// The bucket is a text: the time it was written at, when what is assumed ends, then for each rate how far it
// lies ahead of that time, the interval this counts in (0: a window), the requests counted in a window, and
// those of all that are only assumed.  Kept as a distance and not as a date, because Lua's numbers hold a
// date in microseconds but not fractions of these beside it.  It expires when it is full again.
//
// Debts come from one instance after the other.  The first one says what the others, who saw the same, may
// have spent as well; that is assumed for a second, in which their debts are taken from it, and what nobody
// claims is given back.  Debts beyond it may overdraw the bucket by one more burst.
[[nodiscard]] std::string_view DecideScript();

// An instance says that it is there.
//   KEYS[1]   the instances, by the time they last said so
//   KEYS[2]   a mark that lasts as long as the server's memory
//   ARGV      the instance, milliseconds after which one is gone, a new mark
// Answers {instances, mark}.
[[nodiscard]] std::string_view HeartbeatScript();

// An account's failures (lockout.h).
//   KEYS[1]   the account
//   ARGV      "try", "forget" or "undo"; failures that are free; first and longest time to wait and the quiet
//             time in microseconds
// Answers {allowed, failures, wait}, the wait in microseconds.
[[nodiscard]] std::string_view LockoutScript();

// As EVALSHA names a script: SHA-1 in hexadecimal.
[[nodiscard]] std::string ScriptName(std::string_view script);

}  // namespace gathering::limits
