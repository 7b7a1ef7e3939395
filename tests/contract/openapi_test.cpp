// The document and the page the API describes itself with.
#include <catch2/catch.hpp>

#include <set>

#include "core/auth/token.h"
#include "core/base/text.h"
#include "daemon/api/table.h"
#include "daemon/http/idempotency.h"
#include "daemon/openapi/docs_page.h"
#include "daemon/openapi/openapi.h"
#include "tests/support/json.h"

namespace gathering::openapi {
namespace {

using http::Authority;
using http::Route;
using nlohmann::json;

const json& Document() {
  static const json document = json::parse(Build(http::RouteTables()));
  return document;
}

std::vector<Route> AllRoutes() {
  std::vector<Route> all;
  for (const auto& table : http::RouteTables()) all.insert(all.end(), table.begin(), table.end());
  return all;
}

const json& OperationOf(const Route& route) {
  return Document().at("paths").at(std::string{route.path}).at(Lower(http::Name(route.method)));
}

// Calls `visit` with every object inside `value`.
template <class F>
void ForEachObject(const json& value, F& visit) {
  if (value.is_object()) visit(value);
  if (!value.is_structured()) return;
  for (const json& inner : value) ForEachObject(inner, visit);
}

std::string Between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t from = text.find(begin) + begin.size();
  return text.substr(from, text.find(end, from) - from);
}

// The hash of `text` as a Content-Security-Policy spells it; base64 and base64url mean the same there.
std::string Hash(const std::string& text) {
  const auth::Sha256 digest = auth::Sha256Of(text);
  return auth::Base64UrlEncode(std::string{digest.begin(), digest.end()});
}

}  // namespace

TEST_CASE("every route is an operation of the document under its own id") {
  std::set<std::string> ids;
  for (const Route& route : AllRoutes()) {
    INFO(route.id);
    const json& operation = OperationOf(route);
    CHECK(operation.at("operationId") == route.id);
    CHECK(operation.at("summary") == route.summary);
    CHECK(ids.insert(std::string{route.id}).second);
    const std::string success = std::to_string(route.endpoint.shape.status);
    CHECK(operation.at("responses").contains(success));
    CHECK(operation.at("responses").at(success).contains("content") ==
          (route.endpoint.shape.response != nullptr));
  }
  std::size_t operations = 0;
  for (const json& path : Document().at("paths")) operations += path.size();
  CHECK(operations == ids.size());
  CHECK(ids.size() > 60);
}

TEST_CASE("the document says who may call and how a stranger is answered") {
  for (const Route& route : AllRoutes()) {
    INFO(route.id);
    const json& operation = OperationOf(route);
    const bool is_public = route.authority == Authority::kPublic;
    CHECK(operation.contains("security") == is_public);
    CHECK(operation.at("responses").contains("401") == !is_public);
    CHECK(operation.at("responses").contains("403") == (route.authority == Authority::kAdmin));
  }
}

TEST_CASE("every parameter of a path is described, and no other") {
  for (const Route& route : AllRoutes()) {
    INFO(route.id);
    std::set<std::string> in_path;
    for (std::size_t at = 0; (at = route.path.find('{', at)) != std::string_view::npos; ++at) {
      in_path.insert(std::string{route.path.substr(at + 1, route.path.find('}', at) - at - 1)});
    }
    std::set<std::string> described;
    for (const json& parameter : OperationOf(route).value("parameters", json::array())) {
      if (parameter.at("in") != "path") continue;
      CHECK(parameter.at("required") == true);
      described.insert(parameter.at("name"));
    }
    CHECK(described == in_path);
  }
}

TEST_CASE("the document offers If-None-Match and 304 where answers carry an ETag, and nowhere else") {
  int tagged = 0;
  for (const Route& route : AllRoutes()) {
    INFO(route.id);
    const bool revalidates = route.endpoint.shape.revalidates;
    const json operation = OperationOf(route);
    const json parameters = operation.value("parameters", json::array());
    const auto offered = std::ranges::count_if(
        parameters, [](const json& parameter) { return parameter.at("name") == "If-None-Match"; });
    CHECK(offered == (revalidates ? 1 : 0));
    CHECK(operation.at("responses").contains("304") == revalidates);
    if (!revalidates) continue;
    CHECK(operation.at("responses").at("200").at("headers").contains("ETag"));
    ++tagged;
  }
  CHECK(tagged == 9);
}

TEST_CASE("the document says 101 where a connection goes on as a WebSocket, and nowhere else") {
  std::set<std::string_view> upgraded;
  for (const Route& route : AllRoutes()) {
    INFO(route.id);
    const json& responses = OperationOf(route).at("responses");
    if (responses.contains("101")) upgraded.insert(route.id);
    int successes = 0;
    for (const auto& [status, response] : responses.items()) successes += status < "300" ? 1 : 0;
    CHECK(successes == 1);
  }
  CHECK(upgraded == std::set<std::string_view>{"ws.topics", "ws.dashboard"});
}

TEST_CASE("the document offers an Idempotency-Key where it counts, and nowhere else") {
  int honoured = 0;
  for (const Route& route : AllRoutes()) {
    INFO(route.id);
    int offered = 0;
    for (const json& parameter : OperationOf(route).value("parameters", json::array())) {
      if (parameter.at("name") != "Idempotency-Key") continue;
      CHECK(parameter.at("in") == "header");
      CHECK(parameter.at("required") == false);
      ++offered;
    }
    const bool honours = route.method == http::Method::kPost && route.authority != Authority::kPublic;
    CHECK(http::HonoursIdempotencyKey(route) == honours);
    CHECK(offered == (honours ? 1 : 0));
    CHECK(OperationOf(route).at("responses").contains("409") == honours);
    if (!honours) continue;
    ++honoured;
    // What is kept of an answer is status, content type and body: its route must give no other headers.
    const http::Shape& shape = route.endpoint.shape;
    CHECK((shape.response != nullptr || shape.status == 204));
  }
  CHECK(honoured > 10);
}

TEST_CASE("every reference in the document leads somewhere, and every schema is used") {
  std::set<std::string> used;
  auto visit = [&](const json& object) {
    if (!object.contains("$ref") || !object.at("$ref").is_string()) return;
    const std::string reference = object.at("$ref");
    INFO(reference);
    CHECK(Document().contains(json::json_pointer{reference.substr(1)}));
    used.insert(reference);
  };
  ForEachObject(Document(), visit);
  for (const auto& [name, schema] : Document().at("components").at("schemas").items()) {
    INFO(name);
    CHECK(used.contains("#/components/schemas/" + name));
    CHECK(schema.at("title") == name);
    CHECK_FALSE(schema.contains("x-type"));
  }
  CHECK(used.size() > 20);
}

TEST_CASE("every default keeps its own rules' type") {
  std::size_t defaults = 0;
  auto visit = [&](const json& object) {
    if (!object.contains("default") || !object.contains("type") || !object.at("type").is_string()) return;
    ++defaults;
    INFO(object.dump());
    const std::string type = object.at("type");
    const json& value = object.at("default");
    const bool fits = type == "string"    ? value.is_string()
                      : type == "integer" ? value.is_number_integer()
                      : type == "number"  ? value.is_number()
                      : type == "boolean" ? value.is_boolean()
                      : type == "array"   ? value.is_array() || value.is_null()
                                          : value.is_object();
    CHECK(fits);
  };
  ForEachObject(Document(), visit);
  CHECK(defaults > 5);
}

TEST_CASE("the page may run its own script and style and load nothing from elsewhere") {
  const Page page = DocsPage();
  std::string policy = page.content_security_policy;
  std::replace(policy.begin(), policy.end(), '+', '-');
  std::replace(policy.begin(), policy.end(), '/', '_');
  CHECK(policy.find("script-src 'sha256-" + Hash(Between(page.html, "<script>", "</script>"))) !=
        std::string::npos);
  CHECK(policy.find("style-src 'sha256-" + Hash(Between(page.html, "<style>", "</style>"))) !=
        std::string::npos);
  CHECK(policy.starts_with("default-src 'none'"));
  CHECK(policy.find("unsafe") == std::string::npos);
  for (const char* elsewhere :
       {"http:", "https:", "src=", "@import", "innerHTML", "style=\"", "onclick=\""}) {
    INFO(elsewhere);
    CHECK(page.html.find(elsewhere) == std::string::npos);
  }
}

}  // namespace gathering::openapi
