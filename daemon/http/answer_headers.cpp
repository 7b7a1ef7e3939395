#include "daemon/http/answer_headers.h"

#include <fmt/format.h>

namespace gathering::http {
namespace {

constexpr std::string_view kSecurity =
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "X-XSS-Protection: 1; mode=block\r\n"
    "Referrer-Policy: strict-origin-when-cross-origin\r\n"
    "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"
    "Permissions-Policy: accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), "
    "microphone=(), payment=(), usb=()\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

constexpr std::string_view kNothingLoads =
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; form-action 'none'\r\n";
constexpr std::string_view kMayBeKept = "Cache-Control: private, no-cache\r\n";
constexpr std::string_view kNothingIsKept =
    "Cache-Control: no-store, no-cache, must-revalidate\r\n"
    "Pragma: no-cache\r\n";

}  // namespace

AnswerHeaders::AnswerHeaders(const Cors& cors) {
  const auto blocks = [](const std::string& lines) {
    return Blocks{.api = fmt::format("{}{}{}{}", kSecurity, kNothingLoads, kNothingIsKept, lines),
                  .tagged = fmt::format("{}{}{}{}", kSecurity, kNothingLoads, kMayBeKept, lines),
                  .page = fmt::format("{}{}", kSecurity, lines)};
  };
  others_ = blocks(cors.origins().empty() ? std::string{} : Cors::LinesForOthers());
  for (const std::string& origin : cors.origins()) by_origin_.emplace(origin, blocks(Cors::Lines(origin)));
}

const AnswerHeaders::Blocks& AnswerHeaders::Find(std::string_view origin) const {
  const auto found = by_origin_.find(origin);
  return found == by_origin_.end() ? others_ : found->second;
}

}  // namespace gathering::http
