#include "daemon/http/etag.h"

#include <algorithm>

#include "core/base/text.h"

namespace gathering::http {

// A tag has no quotes inside, so it is in the list where its text is, quotes and all.
bool HasAlready(const Request& request, std::string_view etag) {
  return std::ranges::any_of(request.headers, [&](const Header& header) {
    return SameName(header.name, "If-None-Match") &&
           (Trimmed(header.value) == "*" || header.value.find(etag) != std::string_view::npos);
  });
}

}  // namespace gathering::http
