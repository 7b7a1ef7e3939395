#pragma once
// A route is one row.  From the row come routing, authority, rate tier, reading
// and validation of the input, the response's status, OpenAPI, and the tests.
//
// A handler is a plain function; its signature is the declaration of its input
// and output, so there is no second one to forget:
//
//   AgentDetail Get(Call& call, Path<AgentRef> path);                   // 200
//   Created<AgentDetail> Create(Call& call, Body<NewAgent> body);       // 201
//   void Delete(Call& call, Path<AgentRef> path);                       // 204
//   Document Docs(Call& call);                                          // any status and content type
//   Streaming Follow(Call& call, Query<Wanted> query);                  // 200, goes on after the head
//   Switching Upgrade(Call& call);                                      // 101, goes on in another protocol
//
// The wrapped types have Fields (core/schema/fields.h).  All broken rules of path,
// query and body are answered together as one 422.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/error.h"
#include "core/schema/describe.h"
#include "core/schema/reader.h"
#include "core/schema/writer.h"
#include "daemon/http/call.h"
#include "daemon/http/message.h"

namespace gathering {
struct HttpLimits;
}

namespace gathering::http {

// Who may call.  The zero value is the strictest, so a forgotten cell is closed.
enum class Authority : std::uint8_t { kAdmin, kUser, kPublic };

// Which budget of requests a route draws on.
enum class Tier : std::uint8_t { kNone, kAuth, kWrite, kRead, kHealth };
inline constexpr std::string_view kTierNames[] = {"none", "auth", "write", "read", "health"};
[[nodiscard]] constexpr std::string_view Name(Tier tier) {
  return kTierNames[static_cast<std::size_t>(tier)];
}

// The most statements a request may need of the database, however much data there is; asking about the
// token is not counted.
struct Statements {
  std::optional<std::int64_t> max = {};  // none: it grows with what the request changes

  [[nodiscard]] constexpr bool Allows(std::int64_t count) const { return !max || count <= *max; }
};
inline constexpr Statements kNoStatements{0};
inline constexpr Statements kVaries{};

template <class T>
struct Path {
  T value;
  const T* operator->() const { return &value; }
};
template <class T>
struct Query {
  T value;
  const T* operator->() const { return &value; }
};
template <class T>
struct Body {  // JSON; T is a type with Fields or a std::vector
  T value;
  const T* operator->() const { return &value; }
};
template <class T>
struct Form {  // application/x-www-form-urlencoded
  T value;
  const T* operator->() const { return &value; }
};

template <class T>
struct Created {  // answered with 201
  T value;
};

// An answer that is not one JSON value of a declared type.
struct Document {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// An answer that goes on as a stream: with 200 as it is, or with 101 in another protocol.
template <int kStatus>
struct Streamed {
  std::unique_ptr<Stream> stream;
  std::string content_type = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};
using Streaming = Streamed<200>;
using Switching = Streamed<101>;

// The request's input on its way into a handler's arguments; collects every broken rule.
class Input {
 public:
  // Everything is borrowed.
  Input(const Request& request, const schema::Pairs& path_parameters, const HttpLimits& limits);
  ~Input();

  const schema::Pairs& path() const { return path_; }
  // Each is decoded once.  They throw Error kRejected for a broken escape or too many pairs, what
  // schema::ParseJson throws, and HttpError 413 or 415 (see route.cpp for the types accepted).
  const schema::Pairs& query();
  const schema::Pairs& form();   // the body as urlencoded pairs
  const nlohmann::json& json();  // the body as JSON; null when it is empty
  std::vector<FieldError> errors;

  void ThrowIfErrors();

 private:
  const Request& request_;
  const schema::Pairs& path_;
  const HttpLimits& limits_;
  struct Parsed;
  std::unique_ptr<Parsed> parsed_;
};

// What a handler's signature says about its input and output, for OpenAPI and tests.
struct Shape {
  // See core/schema/describe.h.
  using Describer = void (*)(nlohmann::json& components, nlohmann::json& schema);
  Describer path = nullptr;
  Describer query = nullptr;
  Describer body = nullptr;
  Describer form = nullptr;
  Describer response = nullptr;  // null for 204 and for documents
  int status = 0;                // of success; 0: there is no handler
  bool revalidates = false;      // answers carry an ETag, and If-None-Match may be answered with 304
  bool streams = false;          // the token may be in the query, as browsers send none in a header
};

struct Endpoint {
  void (*invoke)(Call& call, Input& input, Response& response) = nullptr;
  Shape shape;
};

namespace detail {

template <class T>
struct Argument;  // only Path, Query, Body and Form may follow the Call

template <class T>
struct Argument<Path<T>> {
  static Path<T> Read(Input& in) { return {schema::ReadPairs<T>(in.path(), "path", in.errors)}; }
  static constexpr void Describe(Shape& shape) { shape.path = &schema::Describe<T>; }
};
template <class T>
struct Argument<Query<T>> {
  static Query<T> Read(Input& in) { return {schema::ReadPairs<T>(in.query(), "query", in.errors)}; }
  static constexpr void Describe(Shape& shape) { shape.query = &schema::Describe<T>; }
};
template <class T>
struct Argument<Body<T>> {
  static Body<T> Read(Input& in) { return {schema::ReadJson<T>(in.json(), "body", in.errors)}; }
  static constexpr void Describe(Shape& shape) { shape.body = &schema::Describe<T>; }
};
template <class T>
struct Argument<Form<T>> {
  static Form<T> Read(Input& in) { return {schema::ReadPairs<T>(in.form(), "body", in.errors)}; }
  static constexpr void Describe(Shape& shape) { shape.form = &schema::Describe<T>; }
};

template <class R>
struct Outcome {
  static constexpr int kStatus = 200;
  static void Write(const R& value, Response& response) {
    response.content_type = "application/json";
    schema::WriteJson(value, response.body);
  }
  static constexpr void Describe(Shape& shape) {
    shape.response = &schema::Describe<R, schema::Direction::kOutput>;
  }
};
template <class T>
struct Outcome<Created<T>> {
  static constexpr int kStatus = 201;
  static void Write(const Created<T>& created, Response& response) {
    Outcome<T>::Write(created.value, response);
    response.status = kStatus;
  }
  static constexpr void Describe(Shape& shape) {
    shape.response = &schema::Describe<T, schema::Direction::kOutput>;
  }
};
template <>
struct Outcome<Document> {
  static constexpr int kStatus = 200;
  static void Write(Document& document, Response& response) {
    response.status = document.status;
    response.content_type = std::move(document.content_type);
    response.body = std::move(document.body);
    for (auto& header : document.headers) response.headers.push_back(std::move(header));
  }
  static constexpr void Describe(Shape&) {}
};
template <int kCode>
struct Outcome<Streamed<kCode>> {
  static constexpr int kStatus = kCode;
  static void Write(Streamed<kCode>& streamed, Response& response) {
    response.status = kStatus;
    response.content_type = std::move(streamed.content_type);
    for (auto& header : streamed.headers) response.headers.push_back(std::move(header));
    response.stream = std::move(streamed.stream);
  }
  static constexpr void Describe(Shape& shape) { shape.streams = true; }
};
template <>
struct Outcome<void> {
  static constexpr int kStatus = 204;
  static constexpr void Describe(Shape&) {}
};

template <auto F, class R, class... A>
void Invoke(Call& call, Input& input, Response& response) {
  std::tuple<A...> arguments{Argument<A>::Read(input)...};  // braces: left to right
  input.ThrowIfErrors();
  auto run = [&](A&... a) { return F(call, std::move(a)...); };
  if constexpr (std::is_void_v<R>) {
    std::apply(run, arguments);
    response.status = Outcome<void>::kStatus;
  } else {
    R result = std::apply(run, arguments);
    Outcome<R>::Write(result, response);
  }
}

template <auto F, class R, class... A>
constexpr Endpoint MakeEndpoint(R (*)(Call&, A...)) {
  Endpoint endpoint{&Invoke<F, R, A...>, {}};
  endpoint.shape.status = Outcome<R>::kStatus;
  (Argument<A>::Describe(endpoint.shape), ...);
  Outcome<R>::Describe(endpoint.shape);
  return endpoint;
}

}  // namespace detail

template <auto F>
inline constexpr Endpoint Handle = detail::MakeEndpoint<F>(F);

struct Route {
  std::string_view id;  // "agents.get": the label in logs, metrics and OpenAPI
  Method method;
  std::string_view path;  // "/agents/{agent_id}"; parameters match one segment
  Authority authority;
  Tier tier;
  Statements statements;
  Endpoint endpoint;
  std::string_view summary;  // one sentence with its full stop
};

// Checked where each table is defined: ids and method+path unique, ids and summaries not empty,
// summaries end in a full stop, paths start with '/' and do not end in one.
template <std::size_t N>
consteval bool WellFormed(const Route (&routes)[N]) {
  for (std::size_t i = 0; i < N; ++i) {
    const Route& r = routes[i];
    if (r.id.empty() || r.summary.empty() || !r.summary.ends_with('.') || !r.path.starts_with('/'))
      return false;
    if (r.path.size() > 1 && r.path.ends_with('/')) return false;
    if (r.endpoint.shape.status == 0) return false;  // no handler
    for (std::size_t j = 0; j < i; ++j) {
      if (routes[j].id == r.id || (routes[j].method == r.method && routes[j].path == r.path)) return false;
    }
  }
  return true;
}

}  // namespace gathering::http
