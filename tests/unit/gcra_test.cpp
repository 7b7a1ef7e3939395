#include <catch2/catch.hpp>

#include <cstdint>
#include <random>

#include "core/base/error.h"
#include "core/base/siphash.h"
#include "core/limits/gcra.h"

namespace gathering::limits {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

// One key under one rate, with a clock of its own.
struct Client {
  explicit Client(std::string_view limit, Algorithm algorithm = Algorithm::kGcra, std::int64_t burst = 0)
      : quota(Quotas{ParseLimit(limit), algorithm, burst}[0]) {}

  Answer Ask(std::int64_t cost = 1) {
    Trial trial{quota, bucket, now.count(), cost};
    return trial.allowed() ? trial.Spend(bucket) : trial.Refused();
  }
  std::int64_t AdmittedOf(int requests) {
    std::int64_t admitted = 0;
    for (int i = 0; i < requests; ++i) admitted += Ask().allowed ? 1 : 0;
    return admitted;
  }

  Quota quota;
  Bucket bucket;
  nanoseconds now = 1h;
};

}  // namespace

TEST_CASE("the sixth request of a minute is told exactly when to come back") {
  Client client{"5/minute"};
  for (int i = 4; i >= 0; --i) {
    const Answer answer = client.Ask();
    CHECK(answer.allowed);
    CHECK(answer.limit == 5);
    CHECK(answer.remaining == i);
    CHECK(answer.retry_after == 0s);
  }
  const Answer refused = client.Ask();
  CHECK_FALSE(refused.allowed);
  CHECK(refused.remaining == 0);
  CHECK(refused.retry_after == 12s);
  CHECK(refused.reset_after == 60s);
  SECTION("and is admitted then") {
    client.now += refused.retry_after;
    CHECK(client.Ask().allowed);
    CHECK(client.Ask().retry_after == 12s);
  }
  SECTION("and not a nanosecond before") {
    client.now += refused.retry_after - 1ns;
    CHECK(client.Ask().retry_after == 1ns);
  }
  SECTION("and a refusal costs nothing") {
    for (int i = 0; i < 100; ++i) client.Ask();
    CHECK(client.Ask().retry_after == 12s);
  }
}

TEST_CASE("around the end of a window a fixed window admits nearly twice its limit, GCRA does not") {
  const auto within_a_second = [](Algorithm algorithm) {
    Client client{"5/minute", algorithm};
    CHECK(client.AdmittedOf(1) == 1);  // opens the window
    client.now += 59s;
    std::int64_t admitted = client.AdmittedOf(10);
    client.now += 1s;
    return admitted + client.AdmittedOf(10);
  };
  CHECK(within_a_second(Algorithm::kFixedWindow) == 9);
  CHECK(within_a_second(Algorithm::kGcra) == 5);
}

TEST_CASE("GCRA never admits more than burst and rate in any stretch of time") {
  std::mt19937_64 random{4};
  Client client{"7/second", Algorithm::kGcra, 3};
  std::vector<nanoseconds> admitted;
  for (int i = 0; i < 5'000; ++i) {
    client.now += nanoseconds{random() % 200'000'000};
    if (client.Ask().allowed) admitted.push_back(client.now);
  }
  REQUIRE(admitted.size() > 2'000);
  for (std::size_t first = 0; first < admitted.size(); ++first) {
    for (std::size_t last = first; last < std::min(first + 50, admitted.size()); ++last) {
      const auto stretch = (admitted[last] - admitted[first]).count();
      REQUIRE(static_cast<std::int64_t>(last - first) <= 2 + stretch * 7 / 1'000'000'000 + 1);
    }
  }
}

TEST_CASE("burst and rate are separate") {
  Client client{"60/minute", Algorithm::kGcra, 3};
  CHECK(client.AdmittedOf(10) == 3);
  CHECK(client.Ask().retry_after == 1s);
  client.now += 2s;
  CHECK(client.AdmittedOf(10) == 2);
  CHECK_THROWS_AS((Quotas{ParseLimit("1/second;5/minute"), Algorithm::kGcra, 3}), Error);
  CHECK_THROWS_AS((Quotas{ParseLimit("5/minute"), Algorithm::kFixedWindow, 3}), Error);
}

TEST_CASE("a request may cost more than one, and one beyond the burst costs the burst") {
  for (const Algorithm algorithm : {Algorithm::kGcra, Algorithm::kFixedWindow}) {
    Client client{"10/minute", algorithm};
    CHECK(client.Ask(7).remaining == 3);
    const Answer refused = client.Ask(4);
    CHECK_FALSE(refused.allowed);
    CHECK(refused.retry_after == (algorithm == Algorithm::kGcra ? nanoseconds{6s} : nanoseconds{60s}));
    CHECK(client.Ask(3).allowed);
    client.now += 60s;
    CHECK(client.Ask(1'000'000).remaining == 0);
    client.now += 60s;
    CHECK(client.Ask(0).remaining == 10);
  }
}

TEST_CASE("a fixed window begins with its first request and ends a period later") {
  Client client{"2/minute", Algorithm::kFixedWindow};
  client.now += 30s;
  CHECK(client.Ask().reset_after == 60s);
  client.now += 40s;
  CHECK(client.Ask().reset_after == 20s);
  const Answer refused = client.Ask();
  CHECK(refused.retry_after == 20s);
  client.now += 20s - 1ns;
  CHECK_FALSE(client.Ask().allowed);
  client.now += 1ns;
  CHECK(client.Ask().remaining == 1);
}

TEST_CASE("a rate that does not divide its period is never exceeded") {
  Client client{"7/second"};
  CHECK(client.AdmittedOf(10) == 7);
  CHECK(client.Ask().retry_after == 142'857'143ns);
  client.now += 1s;
  CHECK(client.AdmittedOf(10) == 6);
  client.now += 1ns;
  CHECK(client.Ask().allowed);
}

TEST_CASE("a changed limit keeps the requests that were spent") {
  Client client{"5/minute"};
  client.AdmittedOf(5);
  SECTION("a larger one has the rest left") {
    client.quota = Client{"10/minute"}.quota;
    CHECK(client.AdmittedOf(20) == 5);
  }
  SECTION("a smaller one has nothing left") {
    client.quota = Client{"3/minute"}.quota;
    CHECK(client.Ask().retry_after == 20s);
  }
  SECTION("one for a longer time is not forgiving") {
    client.quota = Client{"5/hour"}.quota;
    CHECK(client.Ask().retry_after == 720s);
  }
  SECTION("one for a shorter time is not punishing") {
    client.quota = Client{"5/second"}.quota;
    CHECK(client.Ask().retry_after == 200ms);
  }
  SECTION("another algorithm counts on") {
    client.quota = Client{"10/minute", Algorithm::kFixedWindow}.quota;
    CHECK(client.AdmittedOf(20) == 5);
    client.quota = Client{"20/minute"}.quota;
    CHECK(client.AdmittedOf(20) == 10);
  }
}

TEST_CASE("parts of a limit admit together what the whole admits") {
  for (const Algorithm algorithm : {Algorithm::kGcra, Algorithm::kFixedWindow}) {
    for (const std::int64_t parts : {1, 2, 3, 5, 7, 40}) {
      for (const bool strict : {false, true}) {
        const Client whole{"5/minute", algorithm};
        Client part = whole;
        part.quota = Divided(whole.quota, parts, strict);
        INFO(parts << (strict ? " strict" : ""));
        const std::int64_t at_once = part.AdmittedOf(10);
        CHECK(at_once == std::max<std::int64_t>(1, (strict ? 5 : 5 + parts - 1) / parts));
        std::int64_t admitted = 0;
        for (int second = 0; second < 36'000; ++second) {
          part.now += 1s;
          admitted += part.AdmittedOf(2);
        }
        CHECK(admitted * parts <= 3'000 + parts * at_once);
        CHECK(admitted * parts >= 3'000 - parts * at_once);
      }
    }
  }
}

TEST_CASE("the largest limits and times do not overflow") {
  for (const Algorithm algorithm : {Algorithm::kGcra, Algorithm::kFixedWindow}) {
    for (const char* limit : {"1/10years", "1000000000/10years", "1000000/second", "999999999/1001seconds"}) {
      Client client{limit, algorithm, 0};
      client.now = nanoseconds{kTimeMax};
      CHECK(client.Ask(kCountMax).allowed);
      CHECK_FALSE(client.Ask(kCountMax).allowed);
      CHECK(client.Ask(kCountMax).retry_after <= nanoseconds{kSpanMax});
      client.quota = Divided(client.quota, 1'000'000'000, true);
      client.quota = Divided(client.quota, 1'000'000'000, false);
      CHECK(client.quota.span() <= kSpanMax);
      CHECK(client.Ask().retry_after <= nanoseconds{kSpanMax});
      client.now = nanoseconds{std::numeric_limits<std::int64_t>::max()};
      client.Ask();
    }
  }
  Client wide{"1/10years", Algorithm::kGcra, kCountMax};
  CHECK(wide.quota.span() <= kSpanMax);
}

TEST_CASE("a clock that a caller reads a little early does no harm") {
  Client client{"5/minute"};
  client.AdmittedOf(5);
  client.now -= 10s;
  CHECK(client.Ask().retry_after == 12s);
}

TEST_CASE("the keyed hash is SipHash-2-4 with 128 bits") {
  // The key is 00 01 … 0f, the message 00 01 …; the values are OpenSSL's.
  const SipKey key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  std::string message;
  for (char c = 0; c < 63; ++c) message += c;
  const auto hash = [&](std::size_t size) {
    return SipHash{key}.Finish(std::string_view{message}.substr(0, size));
  };
  CHECK(hash(0) == Hash128{0xe6a825ba047f81a3U, 0x930255c71472f66dU});
  CHECK(hash(1) == Hash128{0x44af996bd8c187daU, 0x45fc229b11597634U});
  CHECK(hash(8) == Hash128{0x61f55862baa9623bU, 0xb49714f364e2830fU});
  CHECK(hash(15) == Hash128{0x11a8b03399e99354U, 0xd9c3cf970fec087eU});
  CHECK(hash(16) == Hash128{0xbb54b067caa4e26eU, 0x77052385bf1533fdU});
  CHECK(hash(63) == Hash128{0x4a83502f77d15051U, 0x7cbd3f979a063e50U});
}

TEST_CASE("the keyed hash of 64 bits is SipHash, and a word hashes as its bytes") {
  const SipKey key{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};
  std::string message;
  for (char c = 0; c < 15; ++c) message += c;
  CHECK(SipHash64<2, 4>{key}(message) == 0xa129ca6149be45e5U);  // of the paper's appendix
  CHECK(SipHash13{key}(message) != SipHash64<2, 4>{key}(message));
  CHECK(SipHash13{key}(std::uint64_t{0x0706050403020100U}) == SipHash13{key}(message.substr(0, 8)));
}

}  // namespace gathering::limits
