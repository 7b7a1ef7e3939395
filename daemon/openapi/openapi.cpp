#include "daemon/openapi/openapi.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/text.h"
#include "core/schema/describe.h"
#include "daemon/http/idempotency.h"

namespace gathering::openapi {
namespace {

using http::Authority;
using http::Route;
using nlohmann::json;

constexpr std::string_view kAuthorityNames[] = {"admin", "user", "public"};

// Error answers, as daemon/http/problem.cpp writes them.
struct Problem {
  std::string detail;
  std::string request_id;

  static void Fields(auto& self, auto& visit) {
    visit("detail", self.detail, {.doc = "What went wrong, in one sentence", .required = true});
    visit("request_id", self.request_id, {.doc = "Finds the request in the log", .required = true});
  }
};

struct BrokenRule {
  std::string type;
  std::vector<schema::Json<>> loc;
  std::string msg;
  schema::Json<> input;
  schema::Json<> ctx;

  static void Fields(auto& self, auto& visit) {
    visit("type", self.type, {.doc = "The rule, e.g. string_too_short", .required = true});
    visit("loc", self.loc, {.doc = "The way to the field: names and list indexes", .required = true});
    visit("msg", self.msg, {.required = true});
    visit("input", self.input, {.doc = "What was sent there", .required = true});
    visit("ctx", self.ctx, {.doc = "The rule's bounds, if it has any"});
  }
};

struct InvalidInput {
  std::vector<BrokenRule> detail;
  std::string request_id;

  static void Fields(auto& self, auto& visit) {
    visit("detail", self.detail, {.doc = "Every broken rule", .required = true});
    visit("request_id", self.request_id, {.doc = "Finds the request in the log", .required = true});
  }
};

json Described(http::Shape::Describer describe, json& schemas) {
  json schema;
  describe(schemas, schema);
  return schema;
}

json Content(std::string_view media_type, json schema) {
  return {{std::string{media_type}, {{"schema", std::move(schema)}}}};
}

json ErrorAnswer(std::string_view description, json schema) {
  return {{"description", description}, {"content", Content("application/json", std::move(schema))}};
}

json ResponseReference(std::string_view name) {
  return {{"$ref", fmt::format("#/components/responses/{}", name)}};
}

// "agents" of "agents.get".
std::string Tag(const Route& route) {
  return std::string{route.id.substr(0, route.id.find('.'))};
}

// A path's or query's fields become parameters; their object is no component of the document.
void AddParameters(http::Shape::Describer describe, std::string_view place, json& parameters) {
  if (describe == nullptr) return;
  json scratch = json::object();
  const std::string reference = Described(describe, scratch).at("$ref");
  const json& object = scratch.at(reference.substr(reference.rfind('/') + 1));
  const json required = object.value("required", json::array());
  for (const auto& [name, property] : object.at("properties").items()) {
    json schema = property;
    json parameter = {{"name", name}, {"in", place}};
    if (schema.contains("description")) {
      parameter["description"] = schema["description"];
      schema.erase("description");
    }
    const bool is_required = std::find(required.begin(), required.end(), name) != required.end();
    parameter["required"] = is_required || place == "path";
    if (place == "path") schema.erase("default");
    parameter["schema"] = std::move(schema);
    parameters.push_back(std::move(parameter));
  }
}

json Responses(const Route& route, json& schemas) {
  const http::Shape& shape = route.endpoint.shape;
  json success = {{"description", http::Reason(shape.status)}};
  if (shape.response != nullptr)
    success["content"] = Content("application/json", Described(shape.response, schemas));
  if (shape.revalidates) success["headers"] = {{"ETag", {{"schema", {{"type", "string"}}}}}};
  json responses = {{fmt::to_string(shape.status), std::move(success)}};
  if (shape.revalidates)
    responses["304"] = {{"description", "If-None-Match names the answer there would be"}};
  if (route.authority != Authority::kPublic) responses["401"] = ResponseReference("Unauthenticated");
  if (route.authority == Authority::kAdmin) responses["403"] = ResponseReference("Forbidden");
  if (shape.path != nullptr) responses["404"] = ResponseReference("NotFound");
  const bool has_input =
      shape.path != nullptr || shape.query != nullptr || shape.body != nullptr || shape.form != nullptr;
  if (http::HonoursIdempotencyKey(route)) responses["409"] = ResponseReference("Conflict");
  if (has_input) responses["422"] = ResponseReference("InvalidInput");
  responses["default"] = ResponseReference("Problem");
  return responses;
}

json Operation(const Route& route, json& schemas) {
  const http::Shape& shape = route.endpoint.shape;
  json operation = {{"operationId", route.id},
                    {"tags", json::array({Tag(route)})},
                    {"summary", route.summary},
                    {"x-authority", kAuthorityNames[static_cast<std::size_t>(route.authority)]},
                    {"x-rate-tier", http::Name(route.tier)}};
  if (route.statements.max) operation["x-statements-max"] = *route.statements.max;
  if (route.authority == Authority::kPublic) operation["security"] = json::array();
  json parameters = json::array();
  AddParameters(shape.path, "path", parameters);
  AddParameters(shape.query, "query", parameters);
  if (shape.revalidates) {
    parameters.push_back({{"name", "If-None-Match"},
                          {"in", "header"},
                          {"required", false},
                          {"description", "The ETag of an answer the client has"},
                          {"schema", {{"type", "string"}}}});
  }
  if (http::HonoursIdempotencyKey(route)) {
    parameters.push_back(
        {{"name", http::kIdempotencyKeyHeader},
         {"in", "header"},
         {"required", false},
         {"description", "Asked again with the same key, the answer is the same and nothing is done twice"},
         {"schema", {{"type", "string"}, {"minLength", 1}, {"maxLength", 255}}}});
  }
  if (!parameters.empty()) operation["parameters"] = std::move(parameters);
  if (shape.body != nullptr) {
    operation["requestBody"] = {{"required", true},
                                {"content", Content("application/json", Described(shape.body, schemas))}};
  } else if (shape.form != nullptr) {
    operation["requestBody"] = {
        {"required", true},
        {"content", Content("application/x-www-form-urlencoded", Described(shape.form, schemas))}};
  }
  operation["responses"] = Responses(route, schemas);
  return operation;
}

json SharedResponses(json& schemas) {
  const json problem = Described(&schema::Describe<Problem>, schemas);
  const json invalid = Described(&schema::Describe<InvalidInput>, schemas);
  json unauthenticated = ErrorAnswer("Who asks is not known", problem);
  unauthenticated["headers"] = {{"WWW-Authenticate", {{"schema", {{"type", "string"}}}}}};
  return {{"Unauthenticated", std::move(unauthenticated)},
          {"Forbidden", ErrorAnswer("Who asks may not", problem)},
          {"NotFound", ErrorAnswer("There is no such thing", problem)},
          {"Conflict", ErrorAnswer("It exists already, or the key was used for another request", problem)},
          {"InvalidInput", ErrorAnswer("The input breaks its rules", invalid)},
          {"Problem", ErrorAnswer("Refused or failed", problem)}};
}

}  // namespace

std::string Build(std::span<const std::span<const Route>> tables) {
  json schemas = json::object();
  json responses = SharedResponses(schemas);
  json paths = json::object();
  json tags = json::array();
  for (const auto& table : tables) {
    for (const Route& route : table) {
      const json tag = {{"name", Tag(route)}};
      if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
      paths[std::string{route.path}][Lower(Name(route.method))] = Operation(route, schemas);
    }
  }
  schema::Finish(schemas);
  const json document = {
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "gathering"},
        {"version", GATHERING_VERSION},
        {"description", "Every path also answers under /api. Unknown fields of a body are ignored."}}},
      {"servers", json::array({{{"url", "/"}}, {{"url", "/api"}}})},
      {"security", json::array({{{"bearer", json::array()}}})},
      {"tags", std::move(tags)},
      {"paths", std::move(paths)},
      {"components",
       {{"schemas", std::move(schemas)},
        {"responses", std::move(responses)},
        {"securitySchemes",
         {{"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}}}}}}}};
  return document.dump();
}

}  // namespace gathering::openapi
