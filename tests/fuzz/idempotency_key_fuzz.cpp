// The Idempotency-Key of a request.
#include "daemon/http/idempotency.h"

#include "core/base/error.h"
#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  namespace http = gathering::http;
  static constexpr http::Route kRoute{.id = "x",
                                      .method = http::Method::kPost,
                                      .path = "/x",
                                      .authority = http::Authority::kUser,
                                      .tier = http::Tier::kNone,
                                      .statements = {},
                                      .endpoint = {},
                                      .summary = "A row."};
  gathering::fuzz::Input input{data, size};
  http::Request request = gathering::fuzz::RequestOf(input);
  request.method = http::Method::kPost;
  try {
    const auto key = http::IdempotencyKeyOf(request, kRoute);
    Require(key.has_value() == request.Find(http::kIdempotencyKeyHeader).has_value(),
            "a key that is sent counts");
    if (!key) return 0;
    Require(!key->empty() && key->size() <= 255, "a key is bounded");
    for (const char c : *key) Require(c > ' ' && c < '\x7f' && c != '"', "a key is visible ASCII");
    const std::string quoted = '"' + std::string{*key} + '"';
    request.headers = {{"idempotency-key", quoted}};
    Require(http::IdempotencyKeyOf(request, kRoute) == key, "with quotes or without it is one key");
    Require(http::FingerprintOf(request).size() == 64, "a fingerprint is a digest");
  } catch (const gathering::Error& error) {
    Require(error.code == gathering::Code::kRejected, "a key that cannot be one is the client's fault");
  }
  return 0;
}
