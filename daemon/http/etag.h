#pragma once
// Entity tags (RFC 9110, 8.8.3 and 13.1.2).
#include <string_view>

#include "daemon/http/message.h"

namespace gathering::http {

// Whether the client has the answer of this tag (with its quotes) already: an If-None-Match names it, strong
// or weak, or is "*".
[[nodiscard]] bool HasAlready(const Request& request, std::string_view etag);

}  // namespace gathering::http
