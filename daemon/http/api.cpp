#include "daemon/http/api.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <fmt/format.h>

#include "core/auth/authority.h"
#include "core/base/log.h"
#include "core/config/config.h"
#include "core/idempotency/idempotency.h"
#include "daemon/http/idempotency.h"
#include "daemon/http/in_progress.h"
#include "daemon/http/problem.h"
#include "daemon/http/rate_limits.h"
#include "daemon/http/remembered.h"
#include "daemon/http/status.h"
#include "daemon/http/trace.h"
#include "daemon/openapi/openapi.h"

namespace gathering::http {
namespace {

constexpr std::string_view kRequestIdHeader = "X-Request-ID";
constexpr std::string_view kNoRoute = "-";  // the route id of what reached no route

std::string_view OriginOf(const Request& request) {
  return request.Find("Origin").value_or("");
}

bool IsPage(const Response& response) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [](const auto& header) { return header.first == "Content-Security-Policy"; });
}

// As the value of an Authorization header; empty if there is none.
std::string TokenInQuery(const Request& request, const HttpLimits& limits) {
  const auto pairs = DecodePairs(request.query, limits.query_pairs_max);
  if (!pairs) return {};
  for (const auto& [name, value] : *pairs) {
    if (name == "token") return "Bearer " + value;
  }
  return {};
}

// Where a path with a slash at its end leads.  Relative, so that nothing a client sent as Host comes back.
std::string WithoutSlash(const Request& request) {
  std::string location{request.path.substr(0, request.path.find_last_not_of('/') + 1)};
  if (!request.query.empty()) location.append("?").append(request.query);
  return location;
}

// Whoever may open the control socket; a token they bring all the same says who they are.
std::shared_ptr<const auth::Principal> AdministratorOfMachine(const AuthConfig& config, const Clock& clock) {
  const std::chrono::microseconds lifetime = config.token_lifetime;
  return std::make_shared<const auth::Principal>(
      auth::Principal{.user_id = std::string{auth::kControlId},
                      .email = {},
                      .name = "Administrator of this machine",
                      .role = auth::Role::kAdmin,
                      .token_expires_at = {clock.WallNow().micros + lifetime.count()}});
}

}  // namespace

// How far a request came, for its log line.
struct Api::Progress {
  Clock::Steady started;
  std::optional<std::string> parent_id = {};  // of its client's span
  std::optional<std::string> trace_state = {};
  std::string_view route_id = kNoRoute;
  Tier tier = Tier::kNone;
};

// Counts what a handler asks of the database, however it ends.
class Api::Account {
 public:
  Account(RouteStatistics& statistics, const Route& route, const Call& call)
      : statistics_(statistics), route_(route), call_(call), before_(call.statements()) {}
  ~Account() {
    const std::uint32_t statements = call_.statements() - before_;
    if (!statistics_.Note(route_, statements))
      log::Warn("a request needed more statements than its route may",
                {{"route", route_.id}, {"statements", statements}});
  }
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

 private:
  RouteStatistics& statistics_;
  const Route& route_;
  const Call& call_;
  const std::uint32_t before_;
};

// What a request changed is not answered from memory any more when its answer leaves, however it ended.
class Api::Aftermath {
 public:
  Aftermath(Answers& answers, const Match& match)
      : answers_(answers), change_(ChangedBy(*match.route, match.parameters)) {}
  ~Aftermath() {
    if (change_) answers_.OnChange(*change_);
  }
  Aftermath(const Aftermath&) = delete;
  Aftermath& operator=(const Aftermath&) = delete;

 private:
  Answers& answers_;
  const std::optional<events::Change> change_;
};

Api::Api(std::span<const std::span<const Route>> tables, Services& services)
    : tables_(tables),
      services_(services),
      limits_(services.config.http.limits),
      router_(tables),
      pages_(Pages{services.config.http.cors_origins}),
      idempotency_ttl_(services.config.http.idempotency_ttl),
      slow_request_(services.config.log.slow_request),
      openapi_(openapi::Build(tables)),
      route_statistics_(tables) {}

void Api::Reload(const Config& config) {
  pages_.Set(Pages{config.http.cors_origins});
  idempotency_ttl_.store(config.http.idempotency_ttl, std::memory_order_relaxed);
  slow_request_.store(config.log.slow_request, std::memory_order_relaxed);
}

Api::Progress Api::Begin(const Request& request, log::Context& names) {
  Progress progress{.started = services_.clock.Now()};
  const auto parent = TraceParentOf(request);
  if (parent) {
    progress.parent_id.emplace(parent->parent_id.data(), parent->parent_id.size());
    progress.trace_state = TraceStateOf(request);
  }
  if (!names.request_id.empty()) return progress;  // since its head was there
  names = NewNames(request.Find(kRequestIdHeader), parent);
  return progress;
}

log::Context Api::NewNames(std::optional<std::string_view> given_id,
                           const std::optional<TraceParent>& parent) {
  RequestIds::Names made = ids_.Next();
  log::Context names{.request_id = std::move(made.request_id), .trace_id = {}, .span_id = made.span_id};
  if (given_id && IsRequestId(*given_id)) names.request_id = *given_id;
  names.trace_id = parent ? parent->trace_id : TraceIdOf(names.request_id);
  return names;
}

void Api::Finish(const Request& request, const Call& call, const Progress& progress, Response& response) {
  Dress(request, call, response);
  const auto duration = services_.clock.Now() - progress.started;
  route_statistics_.NoteAnswer(call.has_route() ? &call.route() : nullptr, response.status, duration);
  Log(request, call, progress, duration, response);
  const auto slow = slow_request_.load(std::memory_order_relaxed);
  if (slow.count() > 0 && duration >= slow) LogSlow(request, call, progress, duration, response);
}

bool Api::Admit(const Request& request, const Context& context, Response& response) {
  if (Cors::IsPreflight(request)) return true;
  const Match match = router_.Find(request.method, request.path);
  if (match.kind != Match::Kind::kFound) return true;
  Progress progress = Begin(request, context.standing->names);
  progress.route_id = match.route->id;
  progress.tier = match.route->tier;
  const log::Scope scope{&context.standing->names};
  Call call{services_, request, context, context.standing->names.request_id};
  call.set_route(*match.route);
  const InProgress entry{call, progress.started};
  try {
    services_.rate_limits.Admit(request, *match.route, *context.standing);
    return true;
  } catch (const std::exception&) {
    AnswerException({.route_id = progress.route_id, .request_id = call.request_id()}, response);
  }
  Finish(request, call, progress, response);
  return false;
}

void Api::Serve(const Request& request, const Context& context, Response& response) {
  Standing own;
  Standing& standing = context.standing != nullptr ? *context.standing : own;
  Progress progress = Begin(request, standing.names);
  const log::Scope scope{&standing.names};
  Call call{services_, request, {context.deadline, &standing}, standing.names.request_id};
  const InProgress entry{call, progress.started};
  try {
    Answer(request, call, progress, response);
  } catch (const std::exception&) {
    AnswerException({.route_id = progress.route_id, .request_id = call.request_id()}, response);
  }
  Finish(request, call, progress, response);
}

void Api::Answer(const Request& request, Call& call, Progress& progress, Response& response) {
  if (Cors::IsPreflight(request)) {
    pages_.Get()->cors.AnswerPreflight(request, response);
    return;
  }
  const Match match = router_.Find(request.method, request.path);
  if (match.kind != Match::Kind::kFound) {
    if (request.method != Method::kOptions) Authorise(request, match.authority, call);
    AnswerUnrouted(request, match, response);
    return;
  }
  if (std::ranges::count(request.query, '&') >= limits_.query_pairs_max) {
    throw Error{Code::kRejected, "the query has too many parameters"};
  }
  const Route& route = *match.route;
  progress.route_id = route.id;
  progress.tier = route.tier;
  call.set_route(route);
  if (!call.standing().decided) services_.rate_limits.Admit(request, route, call.standing());
  Authorise(request, route.authority, call);
  const Aftermath aftermath{services_.answers, match};
  if (const auto key = IdempotencyKeyOf(request, route)) {
    AnswerOnce(*key, request, match, call, response);
    return;
  }
  const Account account{route_statistics_, route, call};
  Input input{request, match.parameters, limits_};
  route.endpoint.invoke(call, input, response);
}

void Api::AnswerOnce(std::string_view key, const Request& request, const Match& match, Call& call,
                     Response& response) const {
  const std::string fingerprint = FingerprintOf(request);
  const idempotency::Key claim{.user_id = call.principal().user_id, .key = key, .fingerprint = fingerprint};
  // May be run again after a conflict, so everything in it begins anew.
  call.Write([&](db::Tx& tx) {
    response = Response{};
    if (auto known = idempotency::Claim(tx, claim, idempotency_ttl_.load(std::memory_order_relaxed))) {
      response.status = known->status;
      response.content_type = std::move(known->content_type);
      response.body = std::move(known->body);
      response.Set(kIdempotencyReplayedHeader, "true");
      return;
    }
    const Call::Joined joined{call, tx};
    Input input{request, match.parameters, limits_};
    match.route->endpoint.invoke(call, input, response);
    idempotency::Keep(
        tx, claim, {.status = response.status, .content_type = response.content_type, .body = response.body});
  });
}

void Api::AnswerUnrouted(const Request& request, const Match& match, Response& response) const {
  switch (match.kind) {
    case Match::Kind::kFound:
      return;
    case Match::Kind::kNotFound:
      throw Error{Code::kNotFound, "Not Found"};
    case Match::Kind::kMalformed:
      throw Error{Code::kRejected, "the path holds a broken escape or text that is not UTF-8"};
    case Match::Kind::kTrailingSlash:
      response.status = 307;
      response.Set("Location", WithoutSlash(request));
      return;
    case Match::Kind::kMethodNotAllowed:
      break;
  }
  if (request.method != Method::kOptions)
    throw HttpError{405, "Method Not Allowed", {{"Allow", match.allow}}};
  response.status = 204;
  response.Set("Allow", match.allow);
}

void Api::Authorise(const Request& request, Authority needed, Call& call) const {
  if (needed == Authority::kPublic) return;
  auto header = request.Find("Authorization");
  if (!header && call.has_route() && call.route().endpoint.shape.streams) {
    call.set_query_token(TokenInQuery(request, limits_));
    if (!call.query_token().empty()) header = call.query_token();
  }
  auto principal = request.peer == kControlPeer && !header
                       ? AdministratorOfMachine(services_.config.auth, services_.clock)
                       : services_.authority.Authenticate(header, call.db(), call.standing().token_digest);
  const bool is_admin = principal->role == auth::Role::kAdmin;
  call.set_principal(std::move(principal));
  if (needed == Authority::kAdmin && !is_admin) throw Error{Code::kForbidden, "Admin access required"};
}

void Api::Dress(const Request& request, const Call& call, Response& response) const {
  const std::string_view origin = OriginOf(request);
  const auto pages = pages_.Get();
  response.constant_headers = response.revalidates ? pages->headers.ForTagged(origin)
                              : IsPage(response)   ? pages->headers.ForPage(origin)
                                                   : pages->headers.ForApi(origin);
  response.constant_headers_owner = pages;
  response.varying_headers = call.standing().fields;
  response.Set(kRequestIdHeader, std::string{call.request_id()});
}

void Api::Log(const Request& request, const Call& call, const Progress& progress, Milliseconds duration,
              const Response& response) const {
  // Probes come every second and say nothing while they succeed.
  const bool is_probe = progress.tier == Tier::kHealth && response.status < 400;
  if (is_probe ? !log::DebugEnabled() : !log::InfoEnabled()) return;
  const auto write = is_probe ? &log::Debug : &log::Info;
  write("request", {{"method", Name(request.method)},
                    {"route", progress.route_id},
                    {"status", response.status},
                    {"duration_ms", duration.count()},
                    {"bytes", response.content().size()},
                    {"statements", call.statements()},
                    {"peer", request.peer},
                    {"client", call.standing().client},
                    {"user", call.has_principal() ? call.principal().user_id : std::string{}},
                    {"parent_span_id", progress.parent_id},
                    {"tracestate", progress.trace_state}});
}

void Api::LogSlow(const Request& request, const Call& call, const Progress& progress, Milliseconds duration,
                  const Response& response) {
  const db::Costs& costs = call.costs();
  std::string queries;
  for (const db::Costs::Entry& entry : costs.entries()) {
    fmt::format_to(std::back_inserter(queries), "{}{} {}x {:.1f} ms", queries.empty() ? "" : ", ",
                   entry.query->name, entry.count, Milliseconds{entry.run}.count());
  }
  if (const auto& rest = costs.rest(); rest.count > 0) {
    fmt::format_to(std::back_inserter(queries), ", others {}x {:.1f} ms", rest.count,
                   Milliseconds{rest.run}.count());
  }
  log::Warn("slow request", {{"method", Name(request.method)},
                             {"route", progress.route_id},
                             {"status", response.status},
                             {"duration_ms", duration.count()},
                             {"database_wait_ms", Milliseconds{costs.wait()}.count()},
                             {"database_ms", Milliseconds{costs.busy()}.count()},
                             {"queries", queries}});
}

void Api::Refuse(int status, std::string_view detail, Response& response) {
  const log::Context names = NewNames(std::nullopt, std::nullopt);
  const log::Scope scope{&names};
  WriteProblem(status, detail, names.request_id, response);
  const auto pages = pages_.Get();
  response.constant_headers = pages->headers.ForApi({});
  response.constant_headers_owner = pages;
  response.Set(kRequestIdHeader, names.request_id);
  log::Info("request refused", {{"status", status}, {"detail", detail}});
}

}  // namespace gathering::http
