#pragma once
// The answer both servers of the benchmark give: a liveness report with the fields every
// answer of the daemon carries.
#include <string_view>

namespace gathering::bench {

inline constexpr std::string_view kBody = R"({"alive":true})";
inline constexpr std::string_view kConstantHeaders =
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "X-XSS-Protection: 1; mode=block\r\n"
    "Referrer-Policy: strict-origin-when-cross-origin\r\n"
    "Permissions-Policy: accelerometer=(), camera=(), geolocation=(), microphone=(), usb=()\r\n"
    "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'; base-uri 'self'\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Cross-Origin-Embedder-Policy: require-corp\r\n"
    "X-Permitted-Cross-Domain-Policies: none\r\n"
    "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    "Cache-Control: no-store, no-cache, must-revalidate, private\r\n"
    "Pragma: no-cache\r\n"
    "Vary: Origin\r\n";
inline constexpr std::string_view kRequestIdHeader = "X-Request-ID: 0123456789abcdef0123456789abcdef\r\n";

}  // namespace gathering::bench
