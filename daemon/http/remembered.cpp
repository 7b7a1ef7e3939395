#include "daemon/http/remembered.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "daemon/http/etag.h"

namespace gathering::http {
namespace {

struct SubjectOf {
  std::string_view prefix;  // of the route's path
  events::Subject subject;
  std::string_view parameter;  // of the path; empty: it is one thing
};
constexpr SubjectOf kSubjects[] = {
    {"/agents", events::Subject::kAgent, "agent_id"}, {"/circles", events::Subject::kCircle, "name"},
    {"/providers", events::Subject::kCatalog, ""},    {"/models", events::Subject::kCatalog, ""},
    {"/personas", events::Subject::kCatalog, ""},
};

// As Remember writes it.
std::string Canonical(events::Subject subject, const std::string& parameter) {
  if (subject != events::Subject::kAgent) return parameter;
  std::int64_t id = 0;
  std::from_chars(parameter.data(), parameter.data() + parameter.size(), id);
  return std::to_string(id);
}

bool WantsNew(const Request& request) {
  const auto control = request.Find("Cache-Control");
  return control && Lower(*control).find("no-cache") != std::string::npos;
}

}  // namespace

namespace detail {

Kept Remember(Call& call, Answers::Kind kind, std::string_view key, const Answers::Load& load) {
  Answers& answers = call.services().answers;
  auto answer = WantsNew(call.request()) ? answers.Renew(kind, key, load) : answers.Get(kind, key, load);
  if (answer->refusal) std::rethrow_exception(answer->refusal);
  const bool not_modified = HasAlready(call.request(), answer->etag);
  return {.answer = std::move(answer), .not_modified = not_modified};
}

void Write(Kept kept, Response& response) {
  response.revalidates = true;
  response.Set("ETag", kept.answer->etag);
  if (kept.not_modified) {
    response.status = 304;
    return;
  }
  response.content_type = "application/json";
  const std::string* const body = &kept.answer->body;
  response.kept_body = {std::move(kept.answer), body};
}

}  // namespace detail

std::optional<events::Change> ChangedBy(const Route& route, const schema::Pairs& parameters) {
  using events::Subject;
  if (route.method == Method::kGet || route.method == Method::kHead) return std::nullopt;
  const bool whole = std::ranges::count(route.path, '/') == 2 && route.path.ends_with('}');
  for (const auto& [prefix, subject, parameter] : kSubjects) {
    if (!route.path.starts_with(prefix)) continue;
    if (route.method == Method::kDelete && whole) return events::Change{.subject = Subject::kAll};
    if (parameter.empty()) return events::Change{.subject = subject};
    const auto key = std::ranges::find(parameters, parameter, &schema::Pairs::value_type::first);
    if (key == parameters.end()) return std::nullopt;
    return events::Change{.subject = subject, .key = Canonical(subject, key->second)};
  }
  return std::nullopt;
}

}  // namespace gathering::http
