#pragma once
// What happens to a request between the HTTP front and a handler, in this order:
//
//   request id -> preflight -> route -> rate limit -> authority -> input -> handler -> errors -> headers ->
//   log
//
// A request whose body is still to come is asked about by the front as soon as its head is there (Admit);
// nothing more is read of one that is over its limit.
//
// Every answer, whoever gives it, leaves with one X-Request-ID, the security headers and,
// for an allowed origin, the CORS headers.  Errors are {"detail": …, "request_id": …};
// `detail` is a sentence, or for 422 the list of broken rules.  Every log line written meanwhile carries the
// request's id and that of its trace (daemon/http/trace.h); a request that takes long is logged with what it
// did.
//
// A POST with an Idempotency-Key is handled as a whole in one transaction, which also keeps its answer: asked
// again, because the first answer never arrived, it is answered the same and nothing is done twice.  The
// statistics of routes count no statements of such requests, for they need some of their own.
//
// A path that no route has is only called unknown to those who are known themselves;
// everybody else is told to say who they are.
#include <atomic>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/live.h"
#include "daemon/http/answer_headers.h"
#include "daemon/http/call.h"
#include "daemon/http/cors.h"
#include "daemon/http/message.h"
#include "daemon/http/request_id.h"
#include "daemon/http/route.h"
#include "daemon/http/route_statistics.h"
#include "daemon/http/router.h"
#include "daemon/http/trace.h"

namespace gathering::http {

class Api {
 public:
  // Both are borrowed; of `services` only the configuration is read before the first request.  Throws
  // Error kInternal when two rows answer the same requests.
  Api(std::span<const std::span<const Route>> tables, Services& services);

  // Whether the rate limits let a request go on, of which only the head is there.  If not, `response` is
  // the answer.  Never throws.  Must run where handlers may run; `context.standing` is set.
  [[nodiscard]] bool Admit(const Request& request, const Context& context, Response& response);

  // Never throws.  Must run where handlers may run (daemon/loop/fiber.h).
  void Serve(const Request& request, const Context& context, Response& response);

  // Makes an answer of the front itself look like all others.  Never throws or suspends.
  void Refuse(int status, std::string_view detail, Response& response);

  [[nodiscard]] std::span<const std::span<const Route>> tables() const { return tables_; }

  // The OpenAPI document of the tables, as JSON text.
  [[nodiscard]] const std::string& openapi() const { return openapi_; }

  [[nodiscard]] const RouteStatistics& route_statistics() const { return route_statistics_; }

  // Which pages of other origins may ask now.
  [[nodiscard]] bool AllowsOrigin(std::string_view origin) const { return pages_.Get()->cors.Allows(origin); }

  // What of a new configuration holds from the next answer on: the origins, how long keys are remembered, and
  // which requests are slow.
  void Reload(const Config& config);

 private:
  using Milliseconds = std::chrono::duration<double, std::milli>;
  struct Progress;
  // What answers say to pages of other origins.
  struct Pages {
    explicit Pages(std::span<const std::string> origins) : cors(origins), headers(cors) {}

    Cors cors;
    AnswerHeaders headers;
  };
  class Account;
  class Aftermath;

  [[nodiscard]] Progress Begin(const Request& request, log::Context& names);
  // Of a request: its own id where it gave one that can be taken, in its client's trace or a new one.
  [[nodiscard]] log::Context NewNames(std::optional<std::string_view> given_id,
                                      const std::optional<TraceParent>& parent);
  void Finish(const Request& request, const Call& call, const Progress& progress, Response& response);
  void Answer(const Request& request, Call& call, Progress& progress, Response& response);
  void AnswerOnce(std::string_view key, const Request& request, const Match& match, Call& call,
                  Response& response) const;
  void AnswerUnrouted(const Request& request, const Match& match, Response& response) const;
  void Authorise(const Request& request, Authority needed, Call& call) const;
  void Dress(const Request& request, const Call& call, Response& response) const;
  void Log(const Request& request, const Call& call, const Progress& progress, Milliseconds duration,
           const Response& response) const;
  static void LogSlow(const Request& request, const Call& call, const Progress& progress,
                      Milliseconds duration, const Response& response);

  const std::span<const std::span<const Route>> tables_;
  Services& services_;
  const HttpLimits& limits_;
  const Router router_;
  Live<Pages> pages_;
  std::atomic<std::chrono::seconds> idempotency_ttl_;
  std::atomic<std::chrono::milliseconds> slow_request_;
  const std::string openapi_;
  RouteStatistics route_statistics_;
  RequestIds ids_;
};

}  // namespace gathering::http
