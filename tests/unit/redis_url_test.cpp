#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/limits/redis_script.h"
#include "core/limits/redis_url.h"

namespace gathering::limits {
namespace {

std::string Refusal(std::string_view text) {
  try {
    static_cast<void>(ParseRedisUrl(text));
  } catch (const Error& error) {
    CHECK(error.code == Code::kInvalid);
    return error.message;
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a Redis URL names host, port and database") {
  const RedisUrl url = ParseRedisUrl("redis://cache.example.org:6380/4");
  CHECK(url.host == "cache.example.org");
  CHECK(url.port == 6'380);
  CHECK(url.database == 4);
  CHECK_FALSE(url.tls);
  CHECK(ParseRedisUrl("redis://localhost").port == 6'379);
  CHECK(ParseRedisUrl("redis://localhost/").database == 0);
  CHECK(ParseRedisUrl("redis://localhost?db=7").database == 7);
  CHECK(ParseRedisUrl("redis://[::1]:7000").host == "::1");
  CHECK(ParseRedisUrl("redis://[::1]:7000").port == 7'000);
}

TEST_CASE("a Redis URL names user and password, with escapes") {
  const RedisUrl url = ParseRedisUrl("redis://ada:p%40ss%2Fw%3Ard@host/1");
  CHECK(url.user == "ada");
  CHECK(url.password == "p@ss/w:rd");
  CHECK(url.host == "host");
  CHECK(ParseRedisUrl("redis://:secret@host").user.empty());
  CHECK(ParseRedisUrl("redis://:a@b@host").password == "a@b");
}

TEST_CASE("a Redis URL names a unix socket or asks for TLS") {
  const RedisUrl local = ParseRedisUrl("unix://:secret@/run/redis/redis.sock?db=2");
  CHECK(local.socket == "/run/redis/redis.sock");
  CHECK(local.password == "secret");
  CHECK(local.database == 2);
  CHECK(local.host.empty());
  const RedisUrl tls = ParseRedisUrl(
      "rediss://host:6390/0?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/etc/c.pem&ssl_keyfile=/etc/k.pem");
  CHECK(tls.tls);
  CHECK(tls.ca_file == "/etc/ca.pem");
  CHECK(tls.certificate_file == "/etc/c.pem");
  CHECK(tls.key_file == "/etc/k.pem");
}

TEST_CASE("what is no Redis URL is refused with what would do, and no password is shown") {
  CHECK(Refusal("localhost:6379") == "the Redis URL begins with neither redis://, rediss:// nor unix://");
  CHECK(Refusal("http://localhost") == "the Redis URL begins with neither redis://, rediss:// nor unix://");
  CHECK(Refusal("redis://") == "the Redis URL names no host; write it like redis://localhost:6379/0");
  CHECK(Refusal("redis://host:70000") == "the Redis URL has a port that is no number from 0 to 65535");
  CHECK(Refusal("redis://host:0") == "the Redis URL has the port 0");
  CHECK(Refusal("redis://host/zero") == "the Redis URL has a database that is no number from 0 to 1000000");
  CHECK(Refusal("redis://[::1") == "the Redis URL has an IPv6 address without a closing bracket");
  CHECK(Refusal("redis://:a%4@host") ==
        "the Redis URL has a % without two hexadecimal digits; write % itself as %25");
  CHECK(Refusal("redis://:a%00b@host") == "the Redis URL holds a zero byte");
  CHECK(Refusal(std::string_view{"redis://[::1\0]", 15}) == "the Redis URL holds a zero byte");
  CHECK(Refusal("redis://user@host").find("without a password") != std::string::npos);
  CHECK(Refusal("unix://redis.sock").find("names no socket") != std::string::npos);
  CHECK(Refusal("unix:///" + std::string(200, 'x')).find("over 107 bytes") != std::string::npos);
  CHECK(Refusal("redis://host?ssl_ca_certs=/x") ==
        "the Redis URL has the unknown option 'ssl_ca_certs'; use db");
  CHECK(Refusal("redis://host?a\nb=1") == "the Redis URL has the unknown option '…'; use db");
  CHECK(Refusal("redis://user:1?hunter2@host") ==
        "the Redis URL has a '?' before an '@'; write '?' as %3F, or '@' in an option as %40");
  CHECK(Refusal("redis://:hunter2@host?x=1").find("hunter2") == std::string::npos);
}

TEST_CASE("a Redis URL is shown without its password") {
  CHECK(ToText(ParseRedisUrl("redis://ada:secret@[::1]:1/2")) == "redis://[::1]:1/2");
  CHECK(ToText(ParseRedisUrl("rediss://:secret@host?ssl_keyfile=/k")) == "rediss://host:6379/0");
  CHECK(ToText(ParseRedisUrl("unix://:secret@/run/r.sock")) == "unix:///run/r.sock?db=0");
}

TEST_CASE("a script is named by its SHA-1") {
  CHECK(ScriptName("return 1") == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

}  // namespace gathering::limits
