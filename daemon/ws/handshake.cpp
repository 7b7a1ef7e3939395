#include "daemon/ws/handshake.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "core/base/error.h"
#include "core/base/text.h"

namespace gathering::ws {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3
constexpr std::string_view kVersion = "13";
constexpr std::size_t kKeyCharacters = 24;  // 16 bytes in base64, with two '=' at the end

// Whether one of the fields of this name lists the token.
bool Lists(const http::Request& request, std::string_view name, std::string_view token) {
  return std::ranges::any_of(request.headers, [&](const http::Header& header) {
    if (Lower(header.name) != name) return false;
    return std::ranges::any_of(Split(header.value, ','),
                               [&](const std::string& one) { return Lower(Trimmed(one)) == token; });
  });
}

std::size_t Count(const http::Request& request, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count_if(
      request.headers, [&](const http::Header& header) { return Lower(header.name) == name; }));
}

// Sixteen bytes in base64: the last digit has only its upper two bits, and two '=' fill up.
bool IsKey(std::string_view key) {
  if (key.size() != kKeyCharacters || !key.ends_with("==")) return false;
  const std::string_view digits = key.substr(0, kKeyCharacters - 2);
  const bool all = std::ranges::all_of(digits, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '/';
  });
  return all && std::string_view{"AQgw"}.find(digits.back()) != std::string_view::npos;
}

std::string AcceptOf(std::string_view key) {
  std::string text{key};
  text.append(kGuid);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1)
    throw Error{Code::kInternal, "SHA-1 is not to be had"};
  std::array<unsigned char, 64> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(size));
  return {encoded.begin(), encoded.begin() + length};
}

}  // namespace

Handshake Shake(const http::Request& request) {
  if (!Lists(request, "upgrade", "websocket"))
    return {.status = 426, .detail = "this is a WebSocket; ask for an upgrade to it", .accept = {}};
  if (request.method != http::Method::kGet || request.minor_version < 1)
    return {.status = 400, .detail = "a WebSocket begins with GET in HTTP/1.1", .accept = {}};
  if (!Lists(request, "connection", "upgrade"))
    return {.status = 400, .detail = "the field Connection must list Upgrade", .accept = {}};
  if (Count(request, "sec-websocket-version") != 1 || request.Find("Sec-WebSocket-Version") != kVersion)
    return {.status = 426, .detail = "only version 13 of the WebSocket protocol is spoken", .accept = {}};
  const auto key = request.Find("Sec-WebSocket-Key");
  if (!key || Count(request, "sec-websocket-key") != 1 || !IsKey(*key))
    return {.status = 400, .detail = "Sec-WebSocket-Key must be 16 bytes in base64, once", .accept = {}};
  return {.status = 101, .detail = {}, .accept = AcceptOf(*key)};
}

}  // namespace gathering::ws
