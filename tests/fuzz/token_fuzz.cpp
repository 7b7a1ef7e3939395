// Tokens: any bytes as a token, any payload under a true signature, and base64url.
#include "core/auth/token.h"

#include <openssl/hmac.h>

#include "tests/fuzz/promise.h"

namespace {

using gathering::Timestamp;
using gathering::auth::Base64UrlDecode;
using gathering::auth::Base64UrlEncode;
using gathering::fuzz::Require;

constexpr std::string_view kSecret = "a secret of thirty-two bytes, or more";
constexpr std::string_view kHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
constexpr Timestamp kNow{1'790'000'000'000'000};

const unsigned char* Bytes(std::string_view text) {
  return static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
}

// A token that only whoever knows the secret can make.
std::string Signed(std::string_view payload) {
  std::string token = std::string{kHeader} + "." + Base64UrlEncode(payload);
  std::array<unsigned char, 32> mac{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), kSecret.data(), static_cast<int>(kSecret.size()), Bytes(token), token.size(), mac.data(),
       &size);
  return token + "." +
         Base64UrlEncode({static_cast<const char*>(static_cast<const void*>(mac.data())), size});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const gathering::auth::TokenKey key{std::string{kSecret}};
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();

  Require(!key.Verify(text, kNow), "nobody guesses a signature");
  Require(Base64UrlDecode(Base64UrlEncode(text)) == text, "encoded bytes are read back");
  if (const auto bytes = Base64UrlDecode(text))
    Require(Base64UrlEncode(*bytes) == text, "bytes have one spelling");

  std::string token = Signed(text);
  const auto claims = key.Verify(token, kNow);
  if (!claims) return 0;
  Require(!claims->sub.empty(), "a token names somebody");
  Require(claims->expires_at > kNow, "a token is within its time");
  Require(claims->issued_at.micros <= kNow.micros + 60'000'000, "a token is not of the future");
  Require(!key.Verify(token, claims->expires_at), "a token ends");
  const auto again = key.Verify(key.Sign(*claims), kNow);
  Require(again && again->sub == claims->sub && again->email == claims->email &&
              again->role == claims->role && again->jti == claims->jti &&
              again->expires_at == claims->expires_at && again->issued_at == claims->issued_at,
          "claims are read back");
  token.back() = token.back() == 'A' ? 'B' : 'A';
  Require(!key.Verify(token, kNow), "a signature has one spelling");
  return 0;
}
