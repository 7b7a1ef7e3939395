// /, /docs, /redoc and /openapi.json: the API about itself.
#include "daemon/api/table.h"
#include "daemon/http/api.h"
#include "daemon/openapi/docs_page.h"

namespace gathering::http {
namespace {

struct About {
  std::string name = "gathering";
  std::string version = GATHERING_VERSION;
  std::string docs = "/docs";
  std::string openapi = "/openapi.json";
  std::string health = "/health";

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("version", self.version);
    visit("docs", self.docs, {.doc = "Where people read"});
    visit("openapi", self.openapi, {.doc = "Where programs read"});
    visit("health", self.health);
  }
};

About Root(Call&) {
  return {};
}

Document OpenApi(Call& call) {
  return {.body = call.services().api.openapi()};
}

Document Docs(Call&) {
  static const openapi::Page kPage = openapi::DocsPage();
  return {
      .content_type = "text/html; charset=utf-8",
      .body = kPage.html,
      .headers = {{"Content-Security-Policy", kPage.content_security_policy}, {"Cache-Control", "no-cache"}}};
}

constexpr Route kRoutes[] = {
    {"docs.about", Method::kGet, "/", Authority::kPublic, Tier::kNone, kNoStatements, Handle<&Root>,
     "Name, version, and where to go on."},
    {"docs.page", Method::kGet, "/docs", Authority::kPublic, Tier::kNone, kNoStatements, Handle<&Docs>,
     "This API for people, as a page."},
    {"docs.redoc", Method::kGet, "/redoc", Authority::kPublic, Tier::kNone, kNoStatements, Handle<&Docs>,
     "The same page as /docs."},
    {"docs.openapi", Method::kGet, "/openapi.json", Authority::kPublic, Tier::kNone, kNoStatements,
     Handle<&OpenApi>, "This API for programs, as OpenAPI 3.1."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> DocsRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
