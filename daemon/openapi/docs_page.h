#pragma once
// A page for people: reads openapi.json beside it, shows every operation, and sends
// requests with the reader's token.  Needs nothing from any other host.
#include <string>

namespace gathering::openapi {

struct Page {
  std::string html;
  std::string content_security_policy;  // allows exactly this page's script and style, by their hashes
};

[[nodiscard]] Page DocsPage();

}  // namespace gathering::openapi
