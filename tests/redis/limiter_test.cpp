// How a limiter speaks to Redis when both are well, and how it finds its way there.
#include <catch2/catch.hpp>

#include <charconv>

#include "core/base/error.h"
#include "core/limits/redis_script.h"
#include "tests/support/process.h"
#include "tests/support/redis_driver.h"
#include "tests/support/redis_server.h"

namespace gathering::limits {
namespace {

using namespace std::chrono_literals;
using test::MakeTier;
using test::RedisDriver;
using test::RedisServer;

// For what is not about time on a busy machine.
RedisLimiterOptions Patient() {
  return {.deadline = 5s, .probe_timeout = 8s};
}

}  // namespace

TEST_CASE("all decisions of a turn leave in one write and each gets its own answer") {
  RedisServer server;
  RedisDriver driver{server.Url(), Patient()};
  driver.UntilUsed();
  const auto tier = MakeTier("read", "10/minute");
  std::vector<RedisDriver::Asked> asked(64);
  const auto before = driver.stats();
  for (std::size_t i = 0; i < asked.size(); ++i) driver.Ask(tier, i % 2 == 0 ? "ada" : "bob", 1, asked[i]);
  driver.UntilDecided(asked);
  int admitted = 0;
  for (const auto& one : asked) {
    CHECK(one.decision.by == DecidedBy::kShared);
    admitted += one.decision.allowed ? 1 : 0;
  }
  CHECK(admitted == 20);
  const auto after = driver.stats();
  CHECK(after.batches == before.batches + 1);
  CHECK(after.batch_max >= 64);
  CHECK(after.batch_sizes[6] == before.batch_sizes[6] + 1);
  CHECK(after.shared_allowed == 20);
  CHECK(after.shared_limited == 44);
  CHECK(after.in_flight == 0);
  std::uint64_t timed = 0;
  for (const std::uint64_t count : after.latencies) timed += count;
  CHECK(timed == 64);
}

TEST_CASE("decisions beyond those in flight are made here") {
  RedisServer server;
  auto options = Patient();
  options.in_flight_max = 8;
  RedisDriver driver{server.Url(), options};
  driver.UntilUsed();
  const auto tier = MakeTier("read", "100/minute");
  std::vector<RedisDriver::Asked> asked(20);
  for (auto& one : asked) driver.Ask(tier, "ada", 1, one);
  CHECK(driver.stats().full == 12);
  driver.UntilDecided(asked);
  CHECK(driver.stats().shared_allowed == 8);
}

TEST_CASE("a caller who gave up is not called") {
  RedisServer server;
  RedisDriver driver{server.Url(), Patient()};
  driver.UntilUsed();
  const auto tier = MakeTier("read", "10/minute");
  {
    RedisDriver::Asked gone;
    driver.Ask(tier, "ada", 4, gone);
    driver.limiter().GiveUp(gone);
    driver.limiter().GiveUp(gone);
  }
  RedisDriver::Asked gone_later;
  driver.Ask(tier, "ada", 4, gone_later);
  driver.limiter().Flush();
  driver.limiter().GiveUp(gone_later);
  CHECK(driver.Take(tier, "ada").remaining == 1);
  CHECK_FALSE(gone_later.decided);
  CHECK(driver.stats().given_up == 2);
}

TEST_CASE("a Redis that forgot the scripts gets them again, and nobody notices") {
  RedisServer server;
  RedisDriver driver{server.Url(), Patient()};
  driver.UntilUsed();
  const auto tier = MakeTier("read", "100/minute");
  CHECK(driver.Take(tier, "ada").by == DecidedBy::kShared);
  CHECK(server.Command({"SCRIPT", "FLUSH", "SYNC"}) == "OK");
  std::vector<RedisDriver::Asked> asked(10);
  for (auto& one : asked) driver.Ask(tier, "ada", 1, one);
  driver.UntilDecided(asked);
  for (const auto& one : asked) CHECK(one.decision.by == DecidedBy::kShared);
  CHECK(driver.stats().scripts_loaded == 1);
  CHECK(server.Command({"SCRIPT", "FLUSH", "SYNC"}) == "OK");
  CHECK(driver.Try("ada@example.org").allowed);
  CHECK(driver.stats().scripts_loaded == 2);
}

TEST_CASE(
    "each key in Redis has one hash tag, names its tier, hides its subject and expires when it is full") {
  RedisServer server;
  RedisDriver driver{server.Url(), Patient()};
  driver.UntilUsed();
  driver.Take(MakeTier("auth", "5/minute"), "ada@example.org");
  driver.Take(MakeTier("auth", "5/minute"), "bob}{@example.org");
  const std::string keys = server.Command({"KEYS", "gathering:{auth:*}"});
  CHECK(std::count(keys.begin(), keys.end(), '{') == 2);
  CHECK(std::count(keys.begin(), keys.end(), '}') == 2);
  CHECK(keys.find("ada") == std::string::npos);
  const std::string first = keys.substr(0, keys.find(' '));
  const std::string ttl = server.Command({"PTTL", first});
  std::int64_t left = 0;
  std::from_chars(ttl.data(), ttl.data() + ttl.size(), left);
  CHECK(left <= 12'001);
  CHECK(left > 5'000);
  CHECK(server.Command({"CLUSTER", "KEYSLOT", "x"})
            .starts_with("-"));  // no cluster, so only the tags are checked
  CHECK(server.Command({"EXISTS", "gathering:{instances}", "gathering:{instances}:mark"}) == "2");
}

TEST_CASE("two limiters on one Redis share what they admit") {
  RedisServer server;
  RedisDriver first{server.Url(), Patient()};
  RedisDriver second{server.Url(), Patient()};
  first.UntilUsed();
  second.UntilUsed();
  const auto tier = MakeTier("auth", "5/minute");
  int admitted = 0;
  for (int i = 0; i < 10; ++i) {
    admitted += first.Take(tier, "ada").allowed ? 1 : 0;
    admitted += second.Take(tier, "ada").allowed ? 1 : 0;
  }
  CHECK(admitted == 5);
}

TEST_CASE("instances see each other come, and go only after their time") {
  RedisServer server;
  RedisLimiterOptions options = Patient();
  options.heartbeat_interval = 20ms;
  options.instance_lifetime = 1s;
  RedisDriver first{server.Url(), options};
  first.UntilUsed();
  first.Until([&] { return first.stats().instances == 1; });
  const auto second = std::make_unique<RedisDriver>(server.Url(), options);
  second->Until([&] {
    first.Turn(0ms);
    return second->stats().instances == 2;
  });
  first.Until([&] { return first.stats().instances == 2; });
  const auto left_at = first.now();
  first.Until([&] { return first.stats().instances == 1; });
  CHECK(first.now() - left_at >= 1s);
}

TEST_CASE("when Redis goes away the local bucket is as empty as the shared one was") {
  RedisServer server;
  RedisDriver first{server.Url(), Patient()};
  RedisDriver second{server.Url(), Patient()};
  first.UntilUsed();
  second.UntilUsed();
  first.Until([&] { return first.stats().instances == 2; });
  const auto tier = MakeTier("read", "10/hour");
  for (int i = 0; i < 6; ++i) first.Take(tier, "ada");
  second.Take(tier, "ada");
  first.Take(tier, "ada");
  server.Kill();
  first.Until([&] { return first.stats().breaker == BreakerState::kNoServer; });
  second.Until([&] { return second.stats().breaker == BreakerState::kNoServer; });
  // 8 of 10 were spent: one request is left for each.
  const Decision last = first.Take(tier, "ada");
  CHECK(last.allowed);
  CHECK(last.by == DecidedBy::kLocal);
  CHECK_FALSE(first.Take(tier, "ada").allowed);
  CHECK(second.Take(tier, "ada").allowed);
  CHECK_FALSE(second.Take(tier, "ada").allowed);
  SECTION("and when it returns empty it is told") {
    server.Start();
    first.UntilUsed();
    CHECK_FALSE(first.Take(tier, "ada").allowed);
    CHECK(first.stats().memory_lost == 1);
  }
}

TEST_CASE("what was admitted while Redis was away is taken off when it is back") {
  RedisServer server;
  RedisDriver driver{server.Url(), Patient()};
  driver.UntilUsed();
  const auto tier = MakeTier("read", "10/hour");
  CHECK(driver.Take(tier, "ada").remaining == 9);
  server.Command({"CONFIG", "SET", "min-replicas-to-write", "1"});
  CHECK(driver.Take(tier, "ada").by == DecidedBy::kLocal);
  CHECK(driver.Take(tier, "ada").by == DecidedBy::kLocal);
  server.Command({"CONFIG", "SET", "min-replicas-to-write", "0"});
  driver.UntilUsed();
  const Decision decision = driver.Take(tier, "ada");
  CHECK(decision.by == DecidedBy::kShared);
  CHECK(decision.remaining == 6);
}

TEST_CASE("what the other instances may owe is assumed for a second and then given back") {
  RedisServer server;
  RedisDriver first{server.Url(), Patient()};
  RedisDriver second{server.Url(), Patient()};
  first.UntilUsed();
  second.UntilUsed();
  first.Until([&] { return first.stats().instances == 2; });
  const auto tier = MakeTier("read", "10/hour");
  first.Take(tier, "ada");
  server.Command({"CONFIG", "SET", "min-replicas-to-write", "1"});
  CHECK(first.Take(tier, "ada").by == DecidedBy::kLocal);
  CHECK(first.Take(tier, "ada").by == DecidedBy::kLocal);
  server.Command({"CONFIG", "SET", "min-replicas-to-write", "0"});
  first.UntilUsed();
  // 1 before, 2 locally, this one, and 3 that the second instance may have admitted.
  CHECK(first.Take(tier, "ada").remaining == 3);
  const auto at = first.now() + 1'010ms;
  first.Until([&] { return first.now() >= at; });
  CHECK(first.Take(tier, "ada").remaining == 5);
}

TEST_CASE("a password, a user and a database number are used") {
  RedisServer server{{"--requirepass", "s3cret/@:"}};
  SECTION("the right ones") {
    RedisDriver driver{"unix://:s3cret%2F%40%3A@" + server.socket() + "?db=3", Patient()};
    driver.UntilUsed();
    CHECK(driver.Take(MakeTier("auth", "5/minute"), "ada").by == DecidedBy::kShared);
  }
  SECTION("a user's") {
    RedisDriver driver{"unix://default:s3cret%2F%40%3A@" + server.socket(), Patient()};
    driver.UntilUsed();
  }
  SECTION("the wrong ones, and requests are served all the same") {
    RedisDriver driver{"unix://:wrong@" + server.socket(), Patient()};
    driver.Until([&] { return driver.stats().connect_failures >= 2; });
    CHECK(driver.stats().connects == 0);
    CHECK(driver.Take(MakeTier("auth", "5/minute"), "ada").allowed);
  }
  SECTION("none, where one is asked for") {
    RedisDriver driver{server.Url(), Patient()};
    driver.Until([&] { return driver.stats().connects >= 1; });
    CHECK(driver.Take(MakeTier("auth", "5/minute"), "ada").by == DecidedBy::kLocal);
  }
}

TEST_CASE("a host name is resolved elsewhere, an address is not") {
  const std::string port = std::to_string(test::FreePort());
  RedisServer server{{"--port", port, "--bind", "127.0.0.1"}};
  SECTION("by name, whatever its first address") {
    RedisDriver driver{"redis://localhost:" + port, Patient()};
    driver.UntilUsed();
    CHECK(driver.resolved() >= 1);
  }
  SECTION("by address") {
    RedisDriver driver{"redis://127.0.0.1:" + port + "/2", Patient()};
    driver.UntilUsed();
    CHECK(driver.resolved() == 0);
  }
  SECTION("a name that is nobody's") {
    RedisDriver driver{"redis://nobody.invalid:" + port, Patient()};
    driver.Until([&] { return driver.stats().connect_failures >= 2; });
    CHECK(driver.Take(MakeTier("auth", "5/minute"), "ada").allowed);
  }
}

TEST_CASE("through TLS the server's certificate is checked") {
  test::TemporaryDirectory directory;
  const std::string path = directory.path();
  const auto made =
      test::Run("/usr/bin/openssl",
                {.arguments = {"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                               "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                               "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", path + "/key", "-out",
                               path + "/certificate"}});
  REQUIRE(made.code == 0);
  const std::string port = std::to_string(test::FreePort());
  RedisServer server{{"--tls-port", port, "--bind", "127.0.0.1", "--tls-cert-file", path + "/certificate",
                      "--tls-key-file", path + "/key", "--tls-auth-clients", "no"}};
  SECTION("one that is trusted") {
    for (const char* host : {"localhost", "127.0.0.1"}) {
      RedisDriver driver{fmt::format("rediss://{}:{}/1?ssl_ca_certs={}/certificate", host, port, path),
                         Patient()};
      driver.UntilUsed();
      const auto tier = MakeTier("auth", "50/minute");
      std::vector<RedisDriver::Asked> asked(500);
      for (auto& one : asked) driver.Ask(tier, host, 1, one);
      driver.UntilDecided(asked);
      CHECK(driver.stats().shared_allowed == 50);
    }
  }
  SECTION("one that is not") {
    RedisDriver driver{"rediss://localhost:" + port, Patient()};
    driver.Until([&] { return driver.stats().connect_failures >= 3; });
    CHECK(driver.stats().connects == 0);
  }
  SECTION("a file that is none") {
    CHECK_THROWS_AS(RedisEndpoint{ParseRedisUrl("rediss://localhost?ssl_ca_certs=/nowhere")}, Error);
  }
}

TEST_CASE("a cut connection is made again") {
  RedisServer server;
  RedisDriver driver{server.Url(), Patient()};
  driver.UntilUsed();
  server.Command({"CLIENT", "KILL", "TYPE", "normal"});
  driver.Until([&] { return driver.stats().disconnects == 1; });
  driver.UntilUsed();
  CHECK(driver.stats().connects == 2);
}

}  // namespace gathering::limits
