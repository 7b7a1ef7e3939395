#pragma once
// A request as the gate let it through, and the answer to it.
//
// Everything in a Request has been checked: the method is known, the target is
// in origin form without control bytes, header names are tokens, header values
// have no CR, LF or NUL, the body is whole and within its limits.  The views
// point into the connection's buffer and live as long as the request's fiber.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/token.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "daemon/http/stream.h"

namespace gathering::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions };
inline constexpr std::string_view kMethodNames[] = {"GET",   "HEAD",   "POST",   "PUT",
                                                    "PATCH", "DELETE", "OPTIONS"};
[[nodiscard]] constexpr std::string_view Name(Method method) {
  return kMethodNames[static_cast<std::size_t>(method)];
}
[[nodiscard]] std::optional<Method> ParseMethod(std::string_view name);

// Names of fields are compared without case.
[[nodiscard]] bool SameName(std::string_view a, std::string_view b);

struct Header {
  std::string_view name;
  std::string_view value;
};

// Peers without an address: clients of a Unix-domain socket, and of the control socket, whom the file's
// permissions make administrators.  A listener says so, never a client.
inline constexpr std::string_view kUnixPeer = "unix";
inline constexpr std::string_view kControlPeer = "control";

struct Request {
  Method method = Method::kGet;
  std::string_view path;   // as sent, still percent-encoded, starts with '/'
  std::string_view query;  // after the first '?', as sent; empty without one
  std::vector<Header> headers;
  std::string_view body;
  std::string_view peer;  // the client's address without port, kUnixPeer or kControlPeer
  std::uint8_t minor_version = 1;

  // The value of a header, names compared without case; of several equal names the first.
  [[nodiscard]] std::optional<std::string_view> Find(std::string_view name) const;
};

// What is known of a request before its body is read: its names, and what the rate limits said.
struct Standing {
  log::Context names;  // without a request id: not begun
  bool decided = false;
  bool exempt = false;
  std::string client;  // an address, kUnixPeer or kControlPeer; empty until decided
  std::string fields;  // of the answer, as they go over the wire
  std::optional<auth::Sha256> token_digest = {};  // if the client was told by a token
};

// What a handler is told beside the request.
struct Context {
  Clock::Steady deadline;        // of this request
  Standing* standing = nullptr;  // null: nothing was decided beforehand
};

struct Response {
  int status = 200;
  std::string content_type;  // empty: no body and no Content-Type
  std::string body;
  std::shared_ptr<const std::string> kept_body = {};  // instead of `body`: one that is kept, and not copied
  std::vector<std::pair<std::string, std::string>> headers;  // beside those the server adds itself
  // Fields that never change, as they go over the wire: "Name: value\r\n" each.  Sent unchecked and
  // not copied: a constant, or what the owner keeps.
  std::string_view constant_headers;
  std::shared_ptr<const void> constant_headers_owner = {};
  std::string varying_headers;  // likewise, but of this answer
  bool close = false;           // close the connection after this answer
  bool revalidates = false;     // clients may keep it, if they ask each time whether it still holds (ETag)
  // What the connection goes on as behind the head; then there is no body.  Status 101 with the fields of
  // an upgrade to WebSocket, otherwise the end of the stream is the end of the connection.
  std::unique_ptr<Stream> stream = {};

  void Set(std::string_view name, std::string value) { headers.emplace_back(name, std::move(value)); }
  [[nodiscard]] std::string_view content() const { return kept_body ? *kept_body : body; }
  void DropContent() {
    body.clear();
    kept_body.reset();
  }
};

// "a=1&b=x%20y" decoded into pairs; '+' is a space.  nullopt when an escape is broken, the text is
// not UTF-8 or holds a NUL, or there are more than `pairs_max`.
[[nodiscard]] std::optional<std::vector<std::pair<std::string, std::string>>> DecodePairs(
    std::string_view encoded, std::size_t pairs_max);

// One path segment or value, percent-decoded; '+' stays itself.  nullopt when an escape is broken or
// the result is not UTF-8 or holds a NUL.
[[nodiscard]] std::optional<std::string> PercentDecode(std::string_view encoded);

// "Unprocessable Entity" for 422.
[[nodiscard]] std::string_view Reason(int status);

}  // namespace gathering::http
