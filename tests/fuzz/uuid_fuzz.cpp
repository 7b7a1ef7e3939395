// UUIDs, and the request ids that clients send.
#include "core/base/text.h"
#include "core/base/uuid.h"
#include "daemon/http/request_id.h"
#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  const auto id = gathering::ParseUuid(text);
  if (id) Require(gathering::ToText(*id) == gathering::Lower(text), "a UUID is written as it was read");
  if (!gathering::http::IsRequestId(text)) return 0;
  Require(text.find_first_not_of("0123456789abcdefABCDEF-") == std::string_view::npos,
          "a request id is safe to repeat");
  Require(text.size() == 32 || (id && (id->high >> 12U & 15U) == 4), "a request id is a UUID of version 4");
  return 0;
}
