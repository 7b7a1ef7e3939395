#include "core/auth/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/schema/reader.h"
#include "core/schema/writer.h"

namespace gathering::auth {
namespace {

constexpr std::string_view kHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";  // {"alg":"HS256","typ":"JWT"}
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::int64_t kSecondsMax = 253'402'300'799;  // the end of the year 9999
constexpr schema::JsonLimits kClaimLimits{.depth_max = 2, .nodes_max = 32, .text_bytes_max = kTokenBytesMax};

// The claims as they are written.
struct Payload {
  const Claims& claims;

  static void Fields(auto& self, auto& visit) {
    visit("sub", self.claims.sub);
    visit("email", self.claims.email);
    visit("role", self.claims.role);
    visit("exp", self.claims.expires_at.micros / kMicrosPerSecond);
    visit("iat", self.claims.issued_at.micros / kMicrosPerSecond);
    visit("jti", self.claims.jti);
  }
};

bool ReadClaim(const nlohmann::json& payload, const char* name, std::string& out) {
  const auto found = payload.find(name);
  if (found == payload.end() || !found->is_string()) return false;
  out = found->get_ref<const std::string&>();
  return out.find('\0') == std::string::npos;  // the database, which is asked about it, knows no such text
}

bool ReadClaim(const nlohmann::json& payload, const char* name, Timestamp& out) {
  const auto found = payload.find(name);
  if (found == payload.end() || !found->is_number_integer()) return false;
  if (found->is_number_unsigned() && found->get<std::uint64_t>() > std::uint64_t{kSecondsMax}) return false;
  const auto seconds = found->get<std::int64_t>();
  if (seconds < 0) return false;
  out.micros = seconds * kMicrosPerSecond;
  return true;
}

std::optional<Claims> ReadClaims(std::string_view text) {
  try {
    const nlohmann::json payload = schema::ParseJson(text, kClaimLimits);
    Claims claims;
    const bool complete = payload.is_object() && ReadClaim(payload, "sub", claims.sub) &&
                          ReadClaim(payload, "email", claims.email) &&
                          ReadClaim(payload, "role", claims.role) && ReadClaim(payload, "jti", claims.jti) &&
                          ReadClaim(payload, "exp", claims.expires_at) &&
                          ReadClaim(payload, "iat", claims.issued_at);
    if (!complete || claims.sub.empty()) return std::nullopt;
    if (payload.contains("nbf")) {
      Timestamp not_before;
      if (!ReadClaim(payload, "nbf", not_before)) return std::nullopt;
      claims.issued_at = std::max(claims.issued_at, not_before);
    }
    return claims;
  } catch (const Error&) {
    return std::nullopt;
  }
}

const unsigned char* Bytes(std::string_view text) {
  return static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
}

}  // namespace

TokenKey::TokenKey(std::string secret) : secret_(std::move(secret)) {
  if (secret_.size() < kSecretBytesMin) {
    throw Error{Code::kInvalid, "the secret key is shorter than 32 bytes"};
  }
}

std::string TokenKey::Signature(std::string_view signed_part) const {
  Sha256 mac{};
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), Bytes(signed_part),
           signed_part.size(), mac.data(), &size) == nullptr ||
      size != mac.size()) {
    throw Error{Code::kInternal, "a token could not be signed", "HMAC failed"};
  }
  return Base64UrlEncode({static_cast<const char*>(static_cast<const void*>(mac.data())), mac.size()});
}

std::string TokenKey::Sign(const Claims& claims) const {
  std::string token{kHeader};
  token += '.';
  token += Base64UrlEncode(schema::ToJson(Payload{claims}));
  const std::string signature = Signature(token);
  token += '.';
  token += signature;
  return token;
}

std::optional<Claims> TokenKey::Verify(std::string_view token, Timestamp now) const {
  if (token.size() > kTokenBytesMax) return std::nullopt;
  const std::size_t last = token.rfind('.');
  if (last == std::string_view::npos || last <= kHeader.size()) return std::nullopt;
  if (!token.starts_with(kHeader) || token[kHeader.size()] != '.') return std::nullopt;

  const std::string_view given = token.substr(last + 1);
  const std::string expected = Signature(token.substr(0, last));
  if (given.size() != expected.size() || CRYPTO_memcmp(given.data(), expected.data(), given.size()) != 0) {
    return std::nullopt;
  }
  const auto payload = Base64UrlDecode(token.substr(kHeader.size() + 1, last - kHeader.size() - 1));
  if (!payload) return std::nullopt;
  auto claims = ReadClaims(*payload);
  if (!claims || claims->expires_at <= now) return std::nullopt;
  constexpr std::int64_t kLeeway = std::chrono::microseconds{kFutureLeeway}.count();
  if (claims->issued_at.micros > now.micros + kLeeway) return std::nullopt;
  return claims;
}

Sha256 Sha256Of(std::string_view text) {
  // Looking the algorithm up and making a context take longer than the digest of a token.
  static const std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm{
      EVP_MD_fetch(nullptr, "SHA256", nullptr), EVP_MD_free};
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                                     EVP_MD_CTX_free};
  Sha256 digest{};
  if (algorithm == nullptr || context == nullptr ||
      EVP_DigestInit_ex(context.get(), algorithm.get(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), text.data(), text.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    throw Error{Code::kInternal, "a digest could not be made", "SHA-256 failed"};
  }
  return digest;
}

std::string Hex(const Sha256& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string Base64UrlEncode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int waiting = 0;
  for (const char c : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    for (waiting += 8; waiting >= 6; waiting -= 6) text += kAlphabet[(bits >> (waiting - 6)) & 63];
  }
  if (waiting > 0) text += kAlphabet[(bits << (6 - waiting)) & 63];
  return text;
}

std::optional<std::string> Base64UrlDecode(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int waiting = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    waiting += 6;
    if (waiting >= 8) {
      waiting -= 8;
      bytes += static_cast<char>((bits >> waiting) & 255);
    }
  }
  if ((bits & ((1U << waiting) - 1)) != 0) return std::nullopt;  // another spelling of the same bytes
  return bytes;
}

std::string RandomBytes(std::size_t size) {
  std::string bytes(size, '\0');
  if (RAND_bytes(static_cast<unsigned char*>(static_cast<void*>(bytes.data())), static_cast<int>(size)) !=
      1) {
    throw Error{Code::kInternal, "no random numbers are to be had", "RAND_bytes failed"};
  }
  return bytes;
}

std::string RandomHex(std::size_t bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : RandomBytes(bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace gathering::auth
