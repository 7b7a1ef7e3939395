// /ws: events over WebSockets.
#include "daemon/api/stream_parts.h"
#include "daemon/api/table.h"
#include "daemon/http/api.h"
#include "daemon/http/status.h"
#include "daemon/streams/dashboard_socket.h"
#include "daemon/streams/feed.h"
#include "daemon/streams/topic_socket.h"
#include "daemon/ws/handshake.h"

namespace gathering::http {
namespace {

struct DashboardQuery {
  std::string client_id;
  TokenQuery token;

  static void Fields(auto& self, auto& visit) {
    visit("client_id", self.client_id, {.doc = "How it is called in /ws/stats", .max = 200});
    TokenQuery::Fields(self.token, visit);
  }
};

// A page of another origin could use what the browser knows of its user, as for WebSockets it asks nobody.
void CheckOrigin(Call& call) {
  const auto origin = call.request().Find("Origin");
  if (!origin) return;  // no browser
  const std::string_view host = call.request().Find("Host").value_or("");
  const std::size_t scheme = origin->find("://");
  const bool ours = scheme != std::string_view::npos && origin->substr(scheme + 3) == host;
  if (!ours && !call.services().api.AllowsOrigin(*origin))
    throw HttpError{403, "pages of this origin may not open a WebSocket; see http.cors_origins", {}};
}

Switching Upgrade(std::unique_ptr<Stream> stream, const ws::Handshake& handshake) {
  return {.stream = std::move(stream), .headers = {{"Sec-WebSocket-Accept", handshake.accept}}};
}

ws::Handshake Shake(Call& call) {
  ws::Handshake handshake = ws::Shake(call.request());
  if (handshake.status == 426)
    throw HttpError{
        426, std::string{handshake.detail}, {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}}};
  if (handshake.status != 101) throw HttpError{handshake.status, std::string{handshake.detail}, {}};
  CheckOrigin(call);
  return handshake;
}

Switching Topics(Call& call, Query<TokenQuery>) {
  const ws::Handshake handshake = Shake(call);
  auto socket = std::make_unique<streams::TopicSocket>(StreamPartsOf(call), call.clock(),
                                                       call.services().feed.NextSocket());
  return Upgrade(std::move(socket), handshake);
}

Switching Dashboard(Call& call, Query<DashboardQuery> query) {
  const ws::Handshake handshake = Shake(call);
  streams::Feed& feed = call.services().feed;
  std::string client_id = query->client_id;
  if (client_id.empty()) client_id = "client_" + std::to_string(feed.NextSocket());
  auto socket = std::make_unique<streams::DashboardSocket>(StreamPartsOf(call), feed.dashboards(),
                                                           std::move(client_id), call.clock().WallNow());
  return Upgrade(std::move(socket), handshake);
}

streams::DashboardStats Stats(Call& call) {
  return call.services().feed.dashboards().Stats();
}

constexpr Route kRoutes[] = {
    {"ws.topics", Method::kGet, "/ws", Authority::kUser, Tier::kRead, kNoStatements, Handle<&Topics>,
     "A WebSocket with events by topic."},
    {"ws.dashboard", Method::kGet, "/ws/dashboard", Authority::kUser, Tier::kRead, kNoStatements,
     Handle<&Dashboard>, "A WebSocket with every event."},
    {"ws.stats", Method::kGet, "/ws/stats", Authority::kUser, Tier::kNone, kNoStatements, Handle<&Stats>,
     "Who is connected to /ws/dashboard."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> WebSocketRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
