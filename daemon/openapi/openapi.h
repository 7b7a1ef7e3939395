#pragma once
// The OpenAPI 3.1 document, a walk over the rows: it cannot say anything else than
// what runs.
//
// Beside the standard members each operation has "x-authority" (public, user, admin)
// and "x-rate-tier".
#include <span>
#include <string>

#include "daemon/http/route.h"

namespace gathering::openapi {

// The document as JSON text.  To be built once.
[[nodiscard]] std::string Build(std::span<const std::span<const http::Route>> tables);

}  // namespace gathering::openapi
