#include "daemon/api/stream_parts.h"

#include "core/auth/authority.h"
#include "core/auth/token.h"
#include "core/base/error.h"
#include "core/config/config.h"
#include "daemon/loop/loop.h"
#include "daemon/streams/feed.h"

namespace gathering::http {
namespace {

auth::Sha256 TokenOf(const Call& call) {
  auto header = call.request().Find("Authorization");
  if (!call.query_token().empty()) header = call.query_token();
  return header ? auth::Sha256Of(auth::BearerToken(header)) : auth::Sha256{};  // nobody needs one
}

}  // namespace

std::int64_t LogPosition(Call& call) {
  const auto position = call.services().feed.Position();
  if (!position) throw Unavailable("the log of events cannot be read yet", std::chrono::seconds{1});
  return *position;
}

streams::StreamParts StreamPartsOf(Call& call) {
  (void)LogPosition(call);  // throws while nothing can be heard
  loop::Loop& loop = *loop::Loop::Current();
  const std::chrono::microseconds left{call.principal().token_expires_at.micros -
                                       call.clock().WallNow().micros};
  return {.hub = call.services().feed.hub(),
          .loop = loop,
          .config = call.services().feed.streams_config(),
          .ends_at = loop.now() + left,
          .token_sha256 = auth::Hex(TokenOf(call))};
}

}  // namespace gathering::http
