// Which requests open a WebSocket (RFC 6455 section 4.2.1), and what the others are told.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "daemon/ws/handshake.h"

namespace gathering::ws {
namespace {

using Fields = std::vector<http::Header>;

const Fields kFields = {{"Host", "example.com"},
                        {"Upgrade", "websocket"},
                        {"Connection", "Upgrade"},
                        {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                        {"Sec-WebSocket-Version", "13"}};

http::Request Asking(const Fields& fields) {
  http::Request request;
  request.path = "/ws";
  request.headers = fields;
  return request;
}

Fields Without(std::string_view name) {
  Fields fields = kFields;
  std::erase_if(fields, [&](const http::Header& field) { return field.name == name; });
  return fields;
}

// The usual fields, with these in place of what they have of this name.
Fields With(std::string_view name, const std::vector<std::string_view>& values) {
  Fields fields = Without(name);
  for (const std::string_view value : values) fields.push_back({name, value});
  return fields;
}

// What is refused has a detail and no accept, and the other way round.
int StatusOf(const http::Request& request) {
  const Handshake handshake = Shake(request);
  CHECK(handshake.accept.empty() == (handshake.status != 101));
  CHECK(handshake.detail.empty() == (handshake.status == 101));
  return handshake.status;
}

TEST_CASE("a key is accepted with the answer that only a WebSocket server gives", "[ws]") {
  struct Answer {
    std::string_view key;
    std::string_view accept;
  };
  constexpr Answer kAnswers[] = {
      {"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},  // the standard's example
      {"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
      {"/////////////////////w==", "XXpj4jYzLM2yUE0C7TIgMwTQh2g="},
      {"+/+/+/+/+/+/+/+/+/+/+w==", "M0DUs3om0SqzerhOhYSMM7WQuBQ="},
      {"AQIDBAUGBwgJCgsMDQ4PEA==", "C/0nmHhBztSRGR1CwL6Tf4ZjwpY="},
  };
  for (const Answer& answer : kAnswers) {
    INFO(answer.key);
    const Handshake handshake = Shake(Asking(With("Sec-WebSocket-Key", {answer.key})));
    CHECK(handshake.status == 101);
    CHECK(handshake.accept == answer.accept);
    CHECK(handshake.detail.empty());
  }
}

struct Case {
  std::string_view name;
  std::vector<std::string_view> values;  // one for each field of the name
  int status;
};

TEST_CASE("each field of a handshake is read as its rule says", "[ws]") {
  const std::vector<Case> cases = {
      {"Upgrade", {}, 426},
      {"Upgrade", {"websocket"}, 101},
      {"Upgrade", {"WebSocket"}, 101},
      {"Upgrade", {"WEBSOCKET"}, 101},
      {"Upgrade", {"h2c, websocket"}, 101},
      {"Upgrade", {"websocket,h2c"}, 101},
      {"Upgrade", {"h2c ,\twebsocket , x"}, 101},
      {"Upgrade", {"h2c", "websocket"}, 101},
      {"Upgrade", {",,websocket,"}, 101},
      {"Upgrade", {""}, 426},
      {"Upgrade", {"h2c"}, 426},
      {"Upgrade", {"websockets"}, 426},
      {"Upgrade", {"web socket"}, 426},
      {"Upgrade", {"xwebsocket"}, 426},
      {"Upgrade", {"websocket h2c"}, 426},
      {"Connection", {}, 400},
      {"Connection", {"Upgrade"}, 101},
      {"Connection", {"upgrade"}, 101},
      {"Connection", {"UPGRADE"}, 101},
      {"Connection", {"keep-alive, Upgrade"}, 101},
      {"Connection", {"Upgrade,keep-alive"}, 101},
      {"Connection", {"keep-alive", "Upgrade"}, 101},
      {"Connection", {"Upgrade", "keep-alive"}, 101},
      {"Connection", {"a, b", "c,\tupgrade\t,d"}, 101},
      {"Connection", {""}, 400},
      {"Connection", {"keep-alive"}, 400},
      {"Connection", {"close"}, 400},
      {"Connection", {"upgraded"}, 400},
      {"Connection", {"no-upgrade"}, 400},
      {"Connection", {"keep-alive upgrade"}, 400},
      {"Sec-WebSocket-Version", {}, 426},
      {"Sec-WebSocket-Version", {"13"}, 101},
      {"Sec-WebSocket-Version", {""}, 426},
      {"Sec-WebSocket-Version", {"0"}, 426},
      {"Sec-WebSocket-Version", {"7"}, 426},
      {"Sec-WebSocket-Version", {"8"}, 426},
      {"Sec-WebSocket-Version", {"12"}, 426},
      {"Sec-WebSocket-Version", {"14"}, 426},
      {"Sec-WebSocket-Version", {"013"}, 426},
      {"Sec-WebSocket-Version", {"130"}, 426},
      {"Sec-WebSocket-Version", {"13x"}, 426},
      {"Sec-WebSocket-Version", {"-13"}, 426},
      {"Sec-WebSocket-Version", {"13", "8"}, 426},
      {"Sec-WebSocket-Key", {}, 400},
      {"Sec-WebSocket-Key", {""}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA=="}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQ==", ""}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQ"}, 400},     // not filled up
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQ="}, 400},    // not quite
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQ==="}, 400},  // too much
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25j"}, 400},       // 15 bytes
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZSE="}, 400},   // 17 bytes
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZSEh"}, 400},   // 18 bytes
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZSEhISEhISEhIQ=="}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQEh"}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQ=A"}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZQA="}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25jZR=="}, 400},  // bits beyond the sixteenth byte
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25j-_=="}, 400},  // base64url
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSB1b25j*Q=="}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBs ZSBub25jQ=="}, 400},
      {"Sec-WebSocket-Key", {"dGhl=HNhbXBsZSBub25jZQ=="}, 400},
      {"Sec-WebSocket-Key", {"dGhlIHNhbXBsZSBub25j\xC3\xA9=="}, 400},
      {"Sec-WebSocket-Key", {"========================"}, 400},
  };
  for (const Case& one : cases) {
    std::string said;
    for (const std::string_view value : one.values) said.append(" \"").append(value).append("\"");
    INFO(one.name << ':' << said);
    CHECK(StatusOf(Asking(With(one.name, one.values))) == one.status);
  }
}

TEST_CASE("a key ends in one of the four digits that leave no bits over", "[ws]") {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t value = 0; value < kDigits.size(); ++value) {
    const std::string key = fmt::format("{:k<21}{}==", "", kDigits[value]);
    INFO(key);
    CHECK(StatusOf(Asking(With("Sec-WebSocket-Key", {key}))) == (value % 16 == 0 ? 101 : 400));
  }
}

TEST_CASE("only GET in HTTP/1.1 opens a WebSocket", "[ws]") {
  for (std::size_t i = 0; i < std::size(http::kMethodNames); ++i) {
    INFO(http::kMethodNames[i]);
    http::Request request = Asking(kFields);
    request.method = static_cast<http::Method>(i);
    CHECK(StatusOf(request) == (request.method == http::Method::kGet ? 101 : 400));
  }
  http::Request old = Asking(kFields);
  old.minor_version = 0;
  CHECK(StatusOf(old) == 400);
}

TEST_CASE("a request that asks for no upgrade is told that one is required", "[ws]") {
  CHECK(StatusOf(Asking({})) == 426);
  CHECK(StatusOf(Asking({{"Host", "example.com"}})) == 426);
  CHECK(StatusOf(Asking({{"Host", "example.com"}, {"Connection", "keep-alive"}})) == 426);
}

TEST_CASE("the names of a handshake's fields are compared without case", "[ws]") {
  CHECK(StatusOf(Asking({{"host", "example.com"},
                         {"uPGRADE", "websocket"},
                         {"CONNECTION", "Upgrade"},
                         {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
                         {"SEC-WEBSOCKET-VERSION", "13"}})) == 101);
  Fields twice = kFields;
  twice.push_back({"SEC-websocket-KEY", "dGhlIHNhbXBsZSBub25jZQ=="});
  CHECK(StatusOf(Asking(twice)) == 400);
}

TEST_CASE("subprotocols and extensions are offered in vain", "[ws]") {
  Fields fields = kFields;
  fields.push_back({"Sec-WebSocket-Protocol", "chat, superchat"});
  fields.push_back({"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"});
  const Handshake handshake = Shake(Asking(fields));
  CHECK(handshake.status == 101);
  CHECK(handshake.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace gathering::ws
