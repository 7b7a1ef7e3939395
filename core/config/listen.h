#pragma once
// The forms of an address in http.listen: "HOST:PORT", "[IPV6]:PORT" or "unix:/PATH", and the first two after
// "tls:" for clients who must speak TLS.
#include <string_view>

namespace gathering::config {

inline constexpr std::string_view kTlsPrefix = "tls:";
inline constexpr std::string_view kUnixPrefix = "unix:";

struct ListenAddress {
  bool secure = false;
  std::string_view place;  // without "tls:"
};

[[nodiscard]] constexpr ListenAddress ParseListen(std::string_view text) {
  const bool secure = text.starts_with(kTlsPrefix);
  return {.secure = secure, .place = secure ? text.substr(kTlsPrefix.size()) : text};
}

}  // namespace gathering::config
