#pragma once
// Bearer tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256, and no other kind.
//
// A token has exactly one spelling: the header is one constant text, and the signature
// is compared as text.  So the SHA-256 of the text identifies the token, which is what
// revocation relies on.
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/timestamp.h"

namespace gathering::auth {

inline constexpr std::size_t kSecretBytesMin = 32;
inline constexpr std::size_t kTokenBytesMax = 4'096;      // longer ones are refused unread
inline constexpr std::chrono::seconds kFutureLeeway{60};  // for iat and nbf of a daemon whose clock is ahead

struct Claims {
  std::string sub;
  std::string email;
  std::string role;
  std::string jti;
  Timestamp issued_at;   // whole seconds
  Timestamp expires_at;  // whole seconds
};

class TokenKey {
 public:
  // Throws kInvalid when `secret` is shorter than kSecretBytesMin.
  explicit TokenKey(std::string secret);

  [[nodiscard]] std::string Sign(const Claims& claims) const;

  // The claims, if the token is ours and `now` is within its time; never throws for what is in `token`.
  [[nodiscard]] std::optional<Claims> Verify(std::string_view token, Timestamp now) const;

 private:
  [[nodiscard]] std::string Signature(std::string_view signed_part) const;

  std::string secret_;
};

using Sha256 = std::array<std::uint8_t, 32>;
[[nodiscard]] Sha256 Sha256Of(std::string_view text);
[[nodiscard]] std::string Hex(const Sha256& digest);

// RFC 4648 section 5 without padding.  Decoding accepts only what encoding makes.
[[nodiscard]] std::string Base64UrlEncode(std::string_view bytes);
[[nodiscard]] std::optional<std::string> Base64UrlDecode(std::string_view text);

// From the operating system's generator.  Throws kInternal when it fails.
[[nodiscard]] std::string RandomBytes(std::size_t size);
[[nodiscard]] std::string RandomHex(std::size_t bytes);

}  // namespace gathering::auth
