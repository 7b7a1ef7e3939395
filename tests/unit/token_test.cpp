#include <catch2/catch.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <set>
#include <string>

#include "core/auth/authority.h"
#include "core/auth/token.h"
#include "core/base/error.h"

namespace gathering::auth {
namespace {

constexpr std::int64_t kSecond = 1'000'000;
constexpr Timestamp kNow{1'767'323'045 * kSecond};
const std::string kSecret(32, 's');
const std::string kGoodHeader = R"({"alg":"HS256","typ":"JWT"})";

std::int64_t Seconds(std::int64_t from_now) {
  return kNow.micros / kSecond + from_now;
}

std::string Payload(std::int64_t expires_in = 60, std::int64_t issued_in = 0) {
  return R"({"sub":"u","email":"u@example.com","role":"user","jti":"1","exp":)" +
         std::to_string(Seconds(expires_in)) + R"(,"iat":)" + std::to_string(Seconds(issued_in)) + "}";
}

std::string Mac(const std::string& text, const EVP_MD* digest, const std::string& secret) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(digest, secret.data(), static_cast<int>(secret.size()),
       static_cast<const unsigned char*>(static_cast<const void*>(text.data())), text.size(), mac, &size);
  return {static_cast<const char*>(static_cast<const void*>(mac)), size};
}

// What somebody who has the key could make: everything is right but what the test changes.
std::string Forge(const std::string& header, const std::string& payload,
                  const std::string& secret = kSecret) {
  const std::string head = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
  return head + "." + Base64UrlEncode(Mac(head, EVP_sha256(), secret));
}

const TokenKey& Key() {
  static const TokenKey key{kSecret};
  return key;
}

bool Accepted(const std::string& token) {
  return Key().Verify(token, kNow).has_value();
}

Claims SomeClaims() {
  return {.sub = "0710b3c6-2b2c-437b-badd-ef8d69b71d0d",
          .email = "a\"b@example.com",
          .role = "user",
          .jti = "77",
          .issued_at = kNow,
          .expires_at = {kNow.micros + 60 * kSecond}};
}

}  // namespace

TEST_CASE("a token says what was signed") {
  const auto claims = Key().Verify(Key().Sign(SomeClaims()), kNow);
  REQUIRE(claims);
  CHECK(claims->sub == SomeClaims().sub);
  CHECK(claims->email == SomeClaims().email);
  CHECK(claims->role == "user");
  CHECK(claims->jti == "77");
  CHECK(claims->issued_at == SomeClaims().issued_at);
  CHECK(claims->expires_at == SomeClaims().expires_at);
}

TEST_CASE("the tests' own forgery is accepted when nothing is wrong with it") {
  CHECK(Accepted(Forge(kGoodHeader, Payload())));
}

TEST_CASE("a token is, to the letter, the one another implementation makes") {
  // Python's hmac and base64 over the same header and claims.
  CHECK(Key().Sign(SomeClaims()) ==
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwNzEwYjNjNi0yYjJjLTQzN2ItYmFkZC1lZjhkNjliN"
        "zFkMGQiLCJlbWFpbCI6ImFcImJAZXhhbXBsZS5jb20iLCJyb2xlIjoidXNlciIsImV4cCI6MTc2NzMyMzEwNSwiaWF"
        "0IjoxNzY3MzIzMDQ1LCJqdGkiOiI3NyJ9.xXifGoqeVky_lt8Ewg2v30bh_hLZ5G0CNMmjHttUtEM");
}

TEST_CASE("no other algorithm is taken, whatever the header says") {
  for (const char* header :
       {R"({"alg":"none","typ":"JWT"})", R"({"alg":"NonE","typ":"JWT"})", R"({"alg":"HS384","typ":"JWT"})",
        R"({"alg":"RS256","typ":"JWT"})", R"({"alg":"hs256","typ":"JWT"})", R"({"typ":"JWT","alg":"HS256"})",
        R"({"alg":"HS256"})", R"({"alg":"HS256","typ":"at+jwt"})",
        R"({"alg":"HS256","typ":"JWT","kid":"../../dev/null"})",
        R"({"alg":"HS256","typ":"JWT","jku":"https://evil.example/keys"})",
        R"({"alg":"none","alg":"HS256","typ":"JWT"})", R"({"alg": "HS256", "typ": "JWT"})", "{}", ""}) {
    INFO(header);
    CHECK_FALSE(Accepted(Forge(header, Payload())));
  }
  SECTION("nor a signature made with it") {
    const std::string head = Base64UrlEncode(kGoodHeader) + "." + Base64UrlEncode(Payload());
    CHECK_FALSE(Accepted(head + "." + Base64UrlEncode(Mac(head, EVP_sha384(), kSecret))));
  }
  SECTION("nor none at all") {
    const std::string none =
        Base64UrlEncode(R"({"alg":"none","typ":"JWT"})") + "." + Base64UrlEncode(Payload());
    CHECK_FALSE(Accepted(none));
    CHECK_FALSE(Accepted(none + "."));
    CHECK_FALSE(Accepted(Base64UrlEncode(kGoodHeader) + "." + Base64UrlEncode(Payload()) + "."));
  }
}

TEST_CASE("a token of another key is refused") {
  CHECK_FALSE(Accepted(Forge(kGoodHeader, Payload(), std::string(32, 't'))));
  CHECK_FALSE(Accepted(Forge(kGoodHeader, Payload(), "")));
}

TEST_CASE("a token whose shape is wrong is refused") {
  const std::string token = Forge(kGoodHeader, Payload());
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  CHECK_FALSE(Accepted(""));
  CHECK_FALSE(Accepted("."));
  CHECK_FALSE(Accepted(".."));
  CHECK_FALSE(Accepted("..."));
  CHECK_FALSE(Accepted(token.substr(0, first)));
  CHECK_FALSE(Accepted(token.substr(0, last)));
  CHECK_FALSE(Accepted(token.substr(0, last + 1)));
  CHECK_FALSE(Accepted(token.substr(first + 1)));
  CHECK_FALSE(Accepted(token + "."));
  CHECK_FALSE(Accepted(token + ".e30"));
  CHECK_FALSE(Accepted("." + token));
  CHECK_FALSE(Accepted(token + "\n"));
  CHECK_FALSE(Accepted(std::string{"\0", 1} + token));
  SECTION("a fourth segment is refused even when it is signed") {
    const std::string head = token.substr(0, last) + ".e30";
    CHECK_FALSE(Accepted(head + "." + Base64UrlEncode(Mac(head, EVP_sha256(), kSecret))));
  }
}

TEST_CASE("every other spelling of a token is refused, so that a revoked one stays recognisable") {
  const std::string token = Forge(kGoodHeader, Payload());
  REQUIRE(Accepted(token));
  CHECK_FALSE(Accepted(token + "="));
  CHECK_FALSE(Accepted(token + "=="));
  SECTION("bits that no byte needs") {
    // 32 bytes are 43 digits: the last one has two bits to spare.
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const std::size_t value = kAlphabet.find(token.back());
    for (std::size_t spare = 1; spare < 4; ++spare) {
      std::string other = token;
      other.back() = kAlphabet[value ^ spare];
      CHECK_FALSE(Accepted(other));
    }
  }
  SECTION("any other digit anywhere") {
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string other = token;
      other[i] = other[i] == 'A' ? 'B' : 'A';
      if (other != token) CHECK_FALSE(Accepted(other));
    }
  }
  SECTION("the other base64 alphabet, padding and line ends inside a signed payload") {
    for (const char* bad : {"e30=", "e30\n", "e3 0", "e3+0", "e3/0", "e30"}) {
      const std::string head = Base64UrlEncode(kGoodHeader) + "." + bad;
      CHECK_FALSE(Accepted(head + "." + Base64UrlEncode(Mac(head, EVP_sha256(), kSecret))));
    }
  }
}

TEST_CASE("a token holds until the second it expires, and not in it") {
  CHECK(Accepted(Forge(kGoodHeader, Payload(1))));
  CHECK_FALSE(Accepted(Forge(kGoodHeader, Payload(0))));
  CHECK_FALSE(Accepted(Forge(kGoodHeader, Payload(-1))));
}

TEST_CASE("a token from a clock that is ahead is taken for a minute") {
  CHECK(Accepted(Forge(kGoodHeader, Payload(600, 60))));
  CHECK_FALSE(Accepted(Forge(kGoodHeader, Payload(600, 61))));
  SECTION("nbf counts like iat") {
    const auto with_nbf = [](std::int64_t nbf) {
      std::string payload = Payload(600);
      payload.insert(1, "\"nbf\":" + std::to_string(Seconds(nbf)) + ",");
      return Forge(kGoodHeader, payload);
    };
    CHECK(Accepted(with_nbf(60)));
    CHECK_FALSE(Accepted(with_nbf(61)));
  }
}

TEST_CASE("a token over 4 KiB is refused, one of 4 KiB is read") {
  const auto of_size = [](std::size_t email_bytes) {
    Claims claims = SomeClaims();
    claims.email = std::string(email_bytes, 'e');
    return Key().Sign(claims);
  };
  std::size_t fits = 2'500;
  while (of_size(fits + 1).size() <= kTokenBytesMax) ++fits;
  CHECK(of_size(fits).size() > kTokenBytesMax - 4);
  CHECK(Accepted(of_size(fits)));
  CHECK_FALSE(Accepted(of_size(fits + 1)));
  CHECK_FALSE(Accepted(std::string(20'000, 'a')));
}

TEST_CASE("claims that are missing, doubled or of another type are refused though the signature is right") {
  const std::string times =
      R"("exp":)" + std::to_string(Seconds(60)) + R"(,"iat":)" + std::to_string(Seconds(0));
  for (const std::string& payload :
       {std::string{"{}"},
        std::string{"[]"},
        std::string{"null"},
        std::string{"\"sub\""},
        std::string{},
        std::string{"{"},
        R"({"sub":"u","email":"e","role":"user","jti":"1"})" + std::string{},
        R"({"email":"e","role":"user","jti":"1",)" + times + "}",
        R"({"sub":"","email":"e","role":"user","jti":"1",)" + times + "}",
        R"({"sub":7,"email":"e","role":"user","jti":"1",)" + times + "}",
        R"({"sub":null,"email":"e","role":"user","jti":"1",)" + times + "}",
        R"({"sub":["u"],"email":"e","role":"user","jti":"1",)" + times + "}",
        R"({"sub":"u","email":{},"role":"user","jti":"1",)" + times + "}",
        R"({"sub":"u","email":"e","role":true,"jti":"1",)" + times + "}",
        R"({"sub":"u","email":"e","role":"user","jti":1,)" + times + "}",
        R"({"sub":"u","sub":"admin","email":"e","role":"user","jti":"1",)" + times + "}",
        R"({"sub":"u","email":"e","role":"user","jti":"1",)" + times + R"(,"exp":9999999999})",
        std::string{R"({"sub":"u","email":"e","role":"user","jti":"1","iat":1,"exp":"9999999999"})"},
        std::string{R"({"sub":"u","email":"e","role":"user","jti":"1","iat":1,"exp":9999999999.5})"},
        std::string{R"({"sub":"u","email":"e","role":"user","jti":"1","iat":1,"exp":1e300})"},
        std::string{R"({"sub":"u","email":"e","role":"user","jti":"1","iat":1,"exp":18446744073709551615})"},
        std::string{R"({"sub":"u","email":"e","role":"user","jti":"1","iat":1,"exp":9223372036854775807})"},
        std::string{R"({"sub":"u","email":"e","role":"user","jti":"1","iat":-1,"exp":9999999999})"},
        std::string{R"({"sub":"u","email":"e","role":"user","jti":"1","exp":9999999999})"},
        R"({"sub":"u\u0000","email":"e","role":"user","jti":"1",)" + times + "}",
        R"({"nbf":"now","sub":"u","email":"e","role":"user","jti":"1",)" + times + "}"}) {
    INFO(payload);
    CHECK_FALSE(Accepted(Forge(kGoodHeader, payload)));
  }
  CHECK(Accepted(Forge(kGoodHeader, R"({"sub":"u","email":"e","role":"user","jti":"1",)" + times + "}")));
}

TEST_CASE("a short key signs nothing") {
  CHECK_THROWS_AS(TokenKey{std::string(31, 's')}, Error);
  CHECK_NOTHROW(TokenKey{std::string(32, 's')});
}

TEST_CASE("base64url reads back what it wrote") {
  CHECK(Base64UrlEncode("") == "");
  CHECK(Base64UrlEncode("f") == "Zg");
  CHECK(Base64UrlEncode("fo") == "Zm8");
  CHECK(Base64UrlEncode("foo") == "Zm9v");
  CHECK(Base64UrlEncode("\xfb\xff") == "-_8");
  std::string bytes;
  for (int i = 0; i < 260; ++i) {
    CHECK(Base64UrlDecode(Base64UrlEncode(bytes)) == bytes);
    bytes += static_cast<char>(i * 7);
  }
  for (const char* bad : {"Z", "Zg==", "Zh", "Zm9", "Zm8=", "Z g", "Zm9vZ", "+_8A", "\xc3\xa9"}) {
    INFO(bad);
    CHECK_FALSE(Base64UrlDecode(bad));
  }
}

TEST_CASE("a digest is the one of FIPS 180-2") {
  CHECK(Hex(Sha256Of("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("random texts do not repeat") {
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(RandomHex(16));
  CHECK(seen.size() == 1'000);
  CHECK(seen.begin()->size() == 32);
}

TEST_CASE("the Authorization header carries one bearer token") {
  const auto refusal = [](std::optional<std::string_view> header) -> std::string {
    try {
      static_cast<void>(BearerToken(header));
    } catch (const Error& error) {
      CHECK(error.code == Code::kUnauthenticated);
      return error.message;
    }
    return "none";
  };
  CHECK(BearerToken("Bearer abc") == "abc");
  CHECK(BearerToken("bearer abc") == "abc");
  CHECK(BearerToken("BEARER   abc ") == "abc");
  CHECK(refusal(std::nullopt) == "Missing authentication token");
  CHECK(refusal("") == "Missing authentication token");
  CHECK(refusal("Basic abc") == "Invalid authentication header format");
  CHECK(refusal("Bearer a b") == "Invalid authentication header format");
  CHECK(refusal("Bearer") == "Invalid authentication header format");
  CHECK(refusal("Bearer ") == "Invalid authentication header format");
  CHECK(refusal("Bearerabc") == "Invalid authentication header format");
  CHECK(refusal("abc") == "Invalid authentication header format");
}

}  // namespace gathering::auth
