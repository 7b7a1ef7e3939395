// Tokens as an attacker makes them, over HTTP.  One who has the key is let in; every other variation of the
// token, or of how it is sent, is answered with 401 and the same words.
#include <catch2/catch.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/auth/token.h"
#include "core/base/clock.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/raw_client.h"

namespace gathering::test {
namespace {

using auth::Base64UrlEncode;
using nlohmann::json;

constexpr std::string_view kSecret = "a-secret-key-for-attacks-0123456789abcdef";
const std::string kHeader = R"({"alg":"HS256","typ":"JWT"})";

std::int64_t Now() {
  return SystemClock{}.WallNow().micros / 1'000'000;
}

json Claims() {
  return {{"sub", "admin"},     {"email", kAdminEmail}, {"role", "admin"},
          {"exp", Now() + 600}, {"iat", Now()},         {"jti", "attack"}};
}

// `Claims` with one of them as given; null: without it.
json With(const char* name, const json& value) {
  json claims = Claims();
  if (value.is_null()) {
    claims.erase(name);
  } else {
    claims[name] = value;
  }
  return claims;
}

std::string Mac(const std::string& text, const EVP_MD* digest, std::string_view secret) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(digest, secret.data(), static_cast<int>(secret.size()),
       static_cast<const unsigned char*>(static_cast<const void*>(text.data())), text.size(), mac, &size);
  return Base64UrlEncode({static_cast<const char*>(static_cast<const void*>(mac)), size});
}

std::string SignedText(const std::string& head, std::string_view secret = kSecret) {
  return head + "." + Mac(head, EVP_sha256(), secret);
}

std::string Forge(const std::string& header, const std::string& payload, std::string_view secret = kSecret) {
  return SignedText(Base64UrlEncode(header) + "." + Base64UrlEncode(payload), secret);
}

std::string Good() {
  return Forge(kHeader, Claims().dump());
}

struct Row {
  std::string what;
  std::string token;
};

std::vector<Row> HeaderRows() {
  std::vector<Row> rows;
  const std::string payload = Claims().dump();
  for (const char* algorithm : {"none", "None", "NonE", "NONE", "", "HS384", "HS512", "RS256", "ES256",
                                "PS256", "EdDSA", "hs256", "HS256 ", "\\u0048S256"}) {
    const std::string header = fmt::format(R"({{"alg":"{}","typ":"JWT"}})", algorithm);
    const std::string head = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
    rows.push_back({header, Forge(header, payload)});
    rows.push_back({header + " without a signature", head + "."});
    rows.push_back({header + " without a third part", head});
  }
  const std::string head = Base64UrlEncode(kHeader) + "." + Base64UrlEncode(payload);
  rows.push_back({"signed with HS512 and called HS256", head + "." + Mac(head, EVP_sha512(), kSecret)});
  for (const char* member :
       {R"("kid":"../../../../dev/null")", R"("kid":"/proc/sys/kernel/randomize_va_space")",
        R"("kid":"' union select 'a' --")", R"("kid":"a\u0000b")", R"("kid":{"a":1})",
        R"("jku":"http://127.0.0.1:1/keys.json")", R"("x5u":"http://127.0.0.1:1/cert.pem")",
        R"("jwk":{"kty":"oct","k":"YQ"})", R"("x5c":["MIIB"])", R"("crit":["exp"])", R"("b64":false)",
        R"("zip":"DEF")", R"("cty":"JWT")", R"("alg":"none")"}) {
    rows.push_back({member, Forge(fmt::format(R"({{"alg":"HS256","typ":"JWT",{}}})", member), payload)});
  }
  for (const char* header : {"", "{}", "[]", "null", "\"HS256\"", R"({"typ":"JWT"})",
                             R"({"alg":null,"typ":"JWT"})", R"({"alg":["HS256"],"typ":"JWT"})",
                             R"({"alg":"HS256","typ":"at+jwt"})", R"({"alg":"HS256","typ":"JWT")"}) {
    rows.push_back({fmt::format("the header {}", header), Forge(header, payload)});
  }
  return rows;
}

std::vector<Row> ShapeRows() {
  const std::string good = Good();
  const std::size_t first = good.find('.');
  const std::size_t last = good.rfind('.');
  const std::string payload = good.substr(first + 1, last - first - 1);
  std::string standard = good;
  standard.back() = standard.back() == '+' ? '/' : '+';
  return {
      {"no parts", "abc"},
      {"dots alone", ".."},
      {"an empty signature", good.substr(0, last + 1)},
      {"no signature", good.substr(0, last)},
      {"a signature that is cut", good.substr(0, good.size() - 1)},
      {"a signature that is longer", good + "A"},
      {"the signature of another token", SignedText("a.b").substr(3).insert(0, good.substr(0, last))},
      {"a fourth part", good + ".e30"},
      {"a fourth part that is signed", SignedText(good.substr(0, last) + ".e30")},
      {"a dot at the end", good + "."},
      {"a dot first", "." + good},
      {"an empty payload", SignedText(good.substr(0, first) + ".")},
      {"padding at the end", good + "="},
      {"padding in the payload", SignedText(good.substr(0, first) + "." + payload + "==")},
      {"the standard alphabet in the signature", standard},
      {"the standard alphabet in the payload", SignedText(good.substr(0, first) + ".e30+/w")},
      {"a payload that is no base64", SignedText(good.substr(0, first) + ".{}")},
      {"a payload that is not JSON", Forge(kHeader, "nothing")},
      {"a payload that is a list", Forge(kHeader, "[]")},
      {"a payload in UTF-16", Forge(kHeader, std::string{"{\0}\0", 4})},
      {"a payload that is nested", Forge(kHeader, std::string(2'000, '['))},
      {"another key", Forge(kHeader, Claims().dump(), "another-secret-key-0123456789-0123456789")},
      {"an empty key", Forge(kHeader, Claims().dump(), "")},
      {"the key of the documentation", Forge(kHeader, Claims().dump(), "dev-secret-key-change-me")},
      {"20 KiB less the head's limit", std::string(15'000, 'a')},
      {"4 KiB and more, though signed", Forge(kHeader, With("pad", std::string(4'096, 'p')).dump())},
      {"a token within a token", Forge(kHeader, json(good).dump())},
      {"quotes around it", "\"" + good + "\""},
      {"brackets around it", "<" + good + ">"},
      {"percent-encoded", UrlEncode(good.substr(0, first)) + "%2E" + good.substr(first + 1)},
      {"a comma behind it", good + ","},
      {"two of them", good + "," + good},
  };
}

std::vector<Row> ClaimRows() {
  std::vector<Row> rows;
  for (const char* name : {"sub", "email", "role", "exp", "iat", "jti"}) {
    rows.push_back({fmt::format("no {}", name), Forge(kHeader, With(name, nullptr).dump())});
    rows.push_back({fmt::format("{} as a list", name), Forge(kHeader, With(name, json::array()).dump())});
    rows.push_back({fmt::format("{} as an object", name), Forge(kHeader, With(name, json::object()).dump())});
    std::string twice = Claims().dump();
    twice.insert(1, fmt::format("\"{}\":{},", name, Claims().at(name).dump()));
    rows.push_back({fmt::format("{} twice", name), Forge(kHeader, twice)});
  }
  const auto with = [&](const char* name, const json& value) {
    rows.push_back({fmt::format("{} {}", name, value.dump()), Forge(kHeader, With(name, value).dump())});
  };
  for (const json& sub : std::vector<json>{"", "nobody", "' or 1=1 --", "control", 1, true, "ADMIN", "admin ",
                                           std::string(3'000, 's'), std::string{"admin\0", 6}})
    with("sub", sub);
  for (const json& time :
       std::vector<json>{Now(), Now() - 1, 0, -1, "9999999999", 9'999'999'999.5, 1e300, true,
                         std::uint64_t{18'446'744'073'709'551'615U}, std::int64_t{9'223'372'036'854'775'807}})
    with("exp", time);
  for (const json& time :
       std::vector<json>{Now() + 120, -1, "0", 0.5, std::int64_t{9'223'372'036'854'775'807}})
    with("iat", time);
  for (const json& time : std::vector<json>{Now() + 120, -1, "now", json::array()}) with("nbf", time);
  return rows;
}

// Of GET /auth/me with these lines of a header, CRLF and all; 0: no answer.
int StatusOf(const RunningDaemon& daemon, const std::string& lines, const std::string& query = {}) {
  RawClient client{daemon.address()};
  const auto answer =
      client.Exchange("GET /auth/me" + query + " HTTP/1.1\r\nHost: test\r\n" + lines + "\r\n");
  return answer ? answer->status : 0;
}

DaemonOptions Options(const FreshDatabase& database) {
  return {.database_url = database.url(), .environment = {{"SECRET_KEY", std::string{kSecret}}}};
}

}  // namespace

TEST_CASE("a token that is not to the letter one of ours opens nothing") {
  const FreshDatabase database;
  const RunningDaemon daemon{Options(database)};
  HttpClient client = daemon.Client();
  const auto ask = [&](const std::string& token) {
    return client.Send("GET", "/auth/me", {{"Authorization", "Bearer " + token}});
  };
  REQUIRE(ask(Good()).status == 200);  // whoever has the key
  std::size_t rows = 0;
  for (const auto& part : {HeaderRows(), ShapeRows(), ClaimRows()}) {
    for (const Row& row : part) {
      INFO(row.what);
      const Answer answer = ask(row.token);
      CHECK(answer.status == 401);
      CHECK(answer.Json().at("detail") == "Invalid or expired token");
      CHECK(answer.Header("WWW-Authenticate") == "Bearer");
      ++rows;
    }
  }
  CHECK(rows > 130);
  CHECK(ask(Good()).status == 200);
}

TEST_CASE("what a token says beyond what we ask for gives nobody more") {
  const FreshDatabase database;
  const RunningDaemon daemon{Options(database)};
  HttpClient client = daemon.Client();
  const json user =
      client
          .Post("/auth/register",
                {{"email", "user@example.com"}, {"password", "a-long-password"}, {"name", "User"}})
          .Json();
  json claims = With("sub", user.at("id"));
  claims.update(
      {{"role", "admin"}, {"is_admin", true}, {"scope", "admin"}, {"aud", "others"}, {"iss", "others"}});
  client.Use(Forge(kHeader, claims.dump()));
  // The role is the database's, whatever was signed.
  CHECK(client.Get("/auth/me").Json().at("role") == "user");
  CHECK(client.Get("/auth/blacklist/stats").status == 403);
  // Within a minute clocks may disagree.
  client.Use(Forge(kHeader, With("iat", Now() + 30).dump()));
  CHECK(client.Get("/auth/me").status == 200);
  client.Use(Forge(kHeader, With("nbf", Now() - 1).dump()));
  CHECK(client.Get("/auth/me").status == 200);
}

TEST_CASE("a token counts where it belongs, once, in one Authorization field") {
  const FreshDatabase database;
  const RunningDaemon daemon{Options(database)};
  const std::string good = Good();
  const auto field = [](const std::string& value) { return "Authorization: " + value + "\r\n"; };
  for (const std::string& value : {"Bearer " + good, "bearer " + good, "BEARER " + good, "bEaReR " + good,
                                   "Bearer   " + good, "Bearer\t" + good, "Bearer " + good + "  "}) {
    INFO(value.substr(0, 12));
    CHECK(StatusOf(daemon, field(value)) == 200);
  }
  for (const std::string& value :
       {good, "Bearer" + good, "Bearer: " + good, "Bearer=" + good, "Token " + good, "JWT " + good,
        "Basic " + good, "Bearer " + good + " " + good, "Bearer a " + good, "Bearer Bearer " + good,
        "Bearer \"" + good + "\"", "Bearer token=" + good, std::string{"Bearer"}, std::string{"Bearer "},
        std::string{}, "Basic YTpi, Bearer " + good,
        "\xc2\xa0"
        "Bearer " +
            good}) {
    INFO(value.substr(0, 20));
    CHECK(StatusOf(daemon, field(value)) == 401);
  }
  CHECK(StatusOf(daemon, field("Bearer " + good + std::string{"\0", 1})) == 400);
  CHECK(StatusOf(daemon, field("Bearer \x01" + good)) == 400);
  CHECK(StatusOf(daemon, "Authorization:\r\n Bearer " + good + "\r\n") == 400);  // folded
  CHECK(StatusOf(daemon, "Authorization : Bearer " + good + "\r\n") == 400);
  CHECK(StatusOf(daemon, field("Bearer " + std::string(20'480, 'a'))) == 431);
  for (const char* name :
       {"X-Authorization", "Proxy-Authorization", "X-Access-Token", "Authorization-Token"}) {
    INFO(name);
    CHECK(StatusOf(daemon, fmt::format("{}: Bearer {}\r\n", name, good)) == 401);
  }
  CHECK(StatusOf(daemon, "Cookie: token=" + good + "; access_token=" + good + "\r\n") == 401);
  for (const char* name : {"token", "access_token", "authorization", "Authorization", "jwt"}) {
    INFO(name);
    CHECK(StatusOf(daemon, "", fmt::format("?{}={}", name, good)) == 401);
  }
}

TEST_CASE("of two Authorization fields none is chosen") {
  const FreshDatabase database;
  const RunningDaemon daemon{Options(database)};
  const std::string good = "Authorization: Bearer " + Good() + "\r\n";
  const std::string bad = "Authorization: Bearer abc\r\n";
  for (const std::string& lines :
       {good + bad, bad + good, good + good, good + "authorization: Basic YTpi\r\n"})
    CHECK(StatusOf(daemon, lines) == 400);
  CHECK(StatusOf(daemon, good) == 200);
}

}  // namespace gathering::test
