#pragma once
// What the daemon is at, written to the log for an operator who asked: one line a part, each with "of".
//
// Everything comes from statistics that are kept anyway, and the requests in progress from their loops.  The
// number of lines has a bound: the parts, the caches and the subscriptions, which the daemon has at its
// start, and kRequestsTold requests.  Nothing in it is a secret: of a request neither path nor query nor
// fields.
#include <chrono>
#include <cstddef>

#include "daemon/http/call.h"

namespace gathering {

inline constexpr std::size_t kRequestsTold = 20;  // that have been there for longest

// From any thread but a loop's; waits up to a second for loops that do not turn, and names them.
void LogState(const http::Services& services);

}  // namespace gathering
