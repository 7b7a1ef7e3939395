// The fields of a WebSocket's handshake.
#include "daemon/ws/handshake.h"

#include "core/base/text.h"
#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  gathering::fuzz::Input input{data, size};
  auto request = gathering::fuzz::RequestOf(input);
  const auto answer = gathering::ws::Shake(request);
  if (answer.status != 101) {
    Require(answer.status == 400 || answer.status == 426, "a refusal has its status");
    Require(!answer.detail.empty() && answer.accept.empty(), "a refusal says why");
    return 0;
  }
  constexpr std::size_t kAcceptBytes = 28;  // SHA-1 in base64
  Require(answer.detail.empty() && answer.accept.size() == kAcceptBytes, "an acceptance is its digest");
  Require(gathering::Lower(request.Find("upgrade").value_or("")).find("websocket") != std::string::npos ||
              request.headers.size() > 4,
          "an acceptance was asked for");
  Require(request.Find("sec-websocket-version") == "13", "one version is spoken");
  request.minor_version = 0;
  Require(gathering::ws::Shake(request).status == 400, "HTTP/1.0 has no upgrades");
  request.minor_version = 1;
  std::ranges::reverse(request.headers);
  Require(gathering::ws::Shake(request).accept == answer.accept, "the order of the fields says nothing");
  request.headers.push_back({"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="});
  Require(gathering::ws::Shake(request).status == 400, "two keys are none");
  return 0;
}
