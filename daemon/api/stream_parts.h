#pragma once
// What a stream gets from the request that opens it.
#include "daemon/http/call.h"
#include "daemon/streams/hub.h"

namespace gathering::http {

// On the request's fiber.
[[nodiscard]] streams::StreamParts StreamPartsOf(Call& call);

}  // namespace gathering::http
