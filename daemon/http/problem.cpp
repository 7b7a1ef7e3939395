#include "daemon/http/problem.h"

#include <new>
#include <string>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/schema/writer.h"
#include "daemon/http/rate_limits.h"
#include "daemon/http/status.h"

namespace gathering::http {
namespace {

constexpr int kServerErrors = 500;
constexpr std::string_view kOurFault = "Internal Server Error";

void WriteLocation(const std::vector<FieldStep>& location, std::string& out) {
  out.push_back('[');
  for (const FieldStep& step : location) {
    if (&step != &location.front()) out.push_back(',');
    if (const auto* name = std::get_if<std::string>(&step)) {
      schema::WriteText(*name, out);
    } else {
      schema::WriteNumber(std::get<std::int64_t>(step), out);
    }
  }
  out.push_back(']');
}

void WriteFieldError(const FieldError& error, std::string& out) {
  out.append(R"({"type":)");
  schema::WriteText(error.type, out);
  out.append(R"(,"loc":)");
  WriteLocation(error.location, out);
  out.append(R"(,"msg":)");
  schema::WriteText(error.message, out);
  out.append(R"(,"input":)").append(error.input.empty() ? "null" : error.input);
  if (!error.context.empty()) out.append(R"(,"ctx":)").append(error.context);
  out.push_back('}');
}

// `detail` is JSON.
void WriteBody(int status, std::string_view detail, std::string_view request_id, Response& response) {
  response.status = status;
  response.content_type = "application/json";
  response.body.assign(R"({"detail":)").append(detail).append(R"(,"request_id":)");
  schema::WriteText(request_id, response.body);
  response.body.push_back('}');
}

void AnswerError(const Error& error, const Failure& failure, Response& response) {
  const int status = StatusOf(error.code);
  if (!error.fields.empty()) {
    std::string detail = "[";
    for (const FieldError& field : error.fields) {
      if (&field != &error.fields.front()) detail.push_back(',');
      WriteFieldError(field, detail);
    }
    detail.push_back(']');
    WriteBody(status, detail, failure.request_id, response);
  } else {
    const std::string_view message =
        error.code == Code::kInternal ? kOurFault : std::string_view{error.message};
    WriteProblem(status, message, failure.request_id, response);
  }
  if (error.code == Code::kUnauthenticated) response.Set("WWW-Authenticate", "Bearer");
  if (error.retry_after) {
    response.Set("Retry-After", std::to_string(error.retry_after->count()));
  } else if (error.code == Code::kUnavailable || error.code == Code::kTimeout) {
    response.Set("Retry-After", "1");
  }
  if (status < kServerErrors) return;
  const auto write = error.code == Code::kInternal ? &log::Error : &log::Warn;
  write("request failed", {{"route", failure.route_id}, {"error", error.message}, {"cause", error.cause}});
}

// `error` is where the clients of the system we replace look.
void AnswerRateLimited(const RateLimited& refusal, const Failure& failure, Response& response) {
  std::string message;
  schema::WriteText(refusal.what(), message);
  WriteBody(429, message, failure.request_id, response);
  response.body.insert(1, fmt::format(R"("error":{},)", message));
}

void AnswerBug(std::string_view what, const Failure& failure, Response& response) {
  WriteProblem(kServerErrors, kOurFault, failure.request_id, response);
  log::Error("request failed",
             {{"route", failure.route_id}, {"error", "an exception nobody expected"}, {"cause", what}});
}

}  // namespace

void WriteProblem(int status, std::string_view detail, std::string_view request_id, Response& response) {
  std::string text;
  schema::WriteText(detail, text);
  WriteBody(status, text, request_id, response);
}

void AnswerException(const Failure& failure, Response& response) {
  response = Response{};
  try {
    throw;
  } catch (const HttpError& error) {
    WriteProblem(error.status, error.detail, failure.request_id, response);
    response.headers = error.headers;
  } catch (const Error& error) {
    AnswerError(error, failure, response);
  } catch (const RateLimited& refusal) {
    AnswerRateLimited(refusal, failure, response);
  } catch (const std::bad_alloc&) {
    WriteProblem(503, "out of memory", failure.request_id, response);
    response.Set("Retry-After", "1");
    log::Error("request failed", {{"route", failure.route_id}, {"error", "out of memory"}});
  } catch (const std::exception& error) {
    AnswerBug(error.what(), failure, response);
  }
}

}  // namespace gathering::http
