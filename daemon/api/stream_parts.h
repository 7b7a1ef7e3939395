#pragma once
// What a stream gets from the request that opens it.
#include <cstdint>
#include <optional>
#include <string>

#include "daemon/http/call.h"
#include "daemon/streams/hub.h"

namespace gathering::http {

// Where no Authorization field can be sent.  Read before the handler (Api::Authorise); named here for
// OpenAPI.
struct TokenQuery {
  std::optional<std::string> token;

  static void Fields(auto& self, auto& visit) {
    visit("token", self.token, {.doc = "Of who asks, where no Authorization field can be sent"});
  }
};

// How far the log is read here.  Throws kUnavailable when it is not yet: who listened now could miss
// something.
[[nodiscard]] std::int64_t LogPosition(Call& call);

// On the request's fiber.  Throws as LogPosition.
[[nodiscard]] streams::StreamParts StreamPartsOf(Call& call);

}  // namespace gathering::http
