#include "daemon/http/idempotency.h"

#include <algorithm>

#include "core/auth/token.h"
#include "core/base/text.h"
#include "core/idempotency/idempotency.h"

namespace gathering::http {

bool HonoursIdempotencyKey(const Route& route) {
  return route.method == Method::kPost && route.authority != Authority::kPublic;
}

std::optional<std::string_view> IdempotencyKeyOf(const Request& request, const Route& route) {
  if (!HonoursIdempotencyKey(route)) return std::nullopt;
  const auto header = request.Find(kIdempotencyKeyHeader);
  if (!header) return std::nullopt;
  std::string_view key = Trimmed(*header);
  if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
  const bool visible =
      std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '"'; });
  if (key.empty() || key.size() > idempotency::kKeyBytesMax || !visible)
    throw Error{Code::kRejected,
                "Idempotency-Key must be 1 to 255 visible ASCII characters other than quotes"};
  return key;
}

std::string FingerprintOf(const Request& request) {
  std::string text{Name(request.method)};
  for (const std::string_view part : {request.path, request.query, request.body}) {
    text.push_back('\0');
    text.append(part);
  }
  return auth::Hex(auth::Sha256Of(text));
}

}  // namespace gathering::http
