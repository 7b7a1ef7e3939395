#pragma once
// Who sends a request: the peer itself, or whom a proxy names that the operator trusts.
//
// X-Forwarded-For, or without it Forwarded (RFC 7239), is read from the right, for only what the nearest
// proxies added can be believed: the first address that is no trusted proxy is the client.  From everybody
// else these fields say nothing.
#include <optional>
#include <string>

#include "core/base/network.h"
#include "core/limits/policy.h"
#include "daemon/http/message.h"

namespace gathering::http {

// None: somebody on a unix socket.  Throws Error kRejected when a trusted proxy's field cannot be read.
[[nodiscard]] std::optional<Address> ClientOf(const Request& request, const limits::Policy& policy);

}  // namespace gathering::http
