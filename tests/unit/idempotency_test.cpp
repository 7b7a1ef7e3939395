#include "daemon/http/idempotency.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"

namespace gathering::http {
namespace {

void Nothing(Call&) {}

constexpr Route RowOf(Method method, Authority authority) {
  return {.id = "things.make",
          .method = method,
          .path = "/things",
          .authority = authority,
          .tier = Tier::kWrite,
          .statements = kNoStatements,
          .endpoint = Handle<&Nothing>,
          .summary = "Make."};
}

constexpr Route kMake = RowOf(Method::kPost, Authority::kUser);

Request With(std::string_view key) {
  Request request;
  request.method = Method::kPost;
  request.path = "/things";
  request.headers = {{"idempotency-key", key}};
  return request;
}

std::string Fingerprint(Method method, std::string_view path, std::string_view query, std::string_view body) {
  Request request;
  request.method = method;
  request.path = path;
  request.query = query;
  request.body = body;
  return FingerprintOf(request);
}

bool Refused(std::string_view key) {
  try {
    static_cast<void>(IdempotencyKeyOf(With(key), kMake));
    return false;
  } catch (const Error& error) {
    return error.code == Code::kRejected;
  }
}

}  // namespace

TEST_CASE("the key counts on a POST of somebody known and nowhere else") {
  for (const Authority authority : {Authority::kUser, Authority::kAdmin}) {
    CHECK(IdempotencyKeyOf(With("k"), RowOf(Method::kPost, authority)) == "k");
  }
  CHECK_FALSE(IdempotencyKeyOf(With("k"), RowOf(Method::kPost, Authority::kPublic)));
  for (const Method method : {Method::kGet, Method::kPut, Method::kPatch, Method::kDelete}) {
    CHECK_FALSE(IdempotencyKeyOf(With("k"), RowOf(method, Authority::kUser)));
    CHECK_FALSE(IdempotencyKeyOf(With("two words"), RowOf(method, Authority::kUser)));
  }
  CHECK_FALSE(IdempotencyKeyOf(Request{}, kMake));
}

TEST_CASE("a key is visible ASCII, with or without the quotes of a string") {
  CHECK(IdempotencyKeyOf(With("a!~"), kMake) == "a!~");
  CHECK(IdempotencyKeyOf(With("\"a!~\""), kMake) == "a!~");
  const std::string longest(255, 'k');
  CHECK(IdempotencyKeyOf(With(longest), kMake) == longest);
  CHECK(IdempotencyKeyOf(With('"' + longest + '"'), kMake) == longest);
  for (const char* key : {"", "\"\"", "\"", "\"open", "a\"b", "a b", "a\tb", "\x7f", "\xc3\xa9"}) {
    INFO(key);
    CHECK(Refused(key));
  }
  CHECK(Refused(longest + "k"));
}

TEST_CASE("a fingerprint tells method, path, query and body apart") {
  const std::string mine = Fingerprint(Method::kPost, "/a", "b", "c");
  CHECK(mine.size() == 64);
  CHECK(Fingerprint(Method::kPost, "/a", "b", "c") == mine);
  CHECK(Fingerprint(Method::kPut, "/a", "b", "c") != mine);
  CHECK(Fingerprint(Method::kPost, "/ab", "", "c") != mine);
  CHECK(Fingerprint(Method::kPost, "/a", "bc", "") != mine);
  CHECK(Fingerprint(Method::kPost, "/a", "b", "d") != mine);
}

}  // namespace gathering::http
