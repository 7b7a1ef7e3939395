// What cache-stats makes of what a daemon said, without a daemon.
#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>
#include <string>

#include "cmd/cache_check.h"
#include "cmd/cache_look.h"
#include "cmd/cache_stats_text.h"
#include "cmd/command.h"
#include "core/base/error.h"
#include "tests/support/text.h"

namespace gathering::cmd {
namespace {

using test::Contains;

CacheLook Tokens(std::int64_t hits, std::int64_t misses) {
  CacheLook cache{.name = "tokens",
                  .policy = "lru",
                  .entries = 40,
                  .entries_max = 100,
                  .bytes = 2'048,
                  .bytes_max = 4'096,
                  .hits = hits,
                  .misses = misses,
                  .oldest_ms = 900};
  if (hits + misses > 0) cache.hit_ratio = static_cast<double>(hits) / static_cast<double>(hits + misses);
  return cache;
}

CachesLook Alone(CacheLook cache) {
  return {.time = "2026-01-02T03:04:05Z", .caches = {std::move(cache)}};
}

CheckResult Checked(const std::string& condition, const CacheLook& cache) {
  return CheckCaches({CacheCondition{condition}}, Alone(cache));
}

}  // namespace

TEST_CASE("numbers are as short as they can be read", "[cache-stats]") {
  CHECK(CountText(0) == "0");
  CHECK(CountText(9'999) == "9999");
  CHECK(CountText(10'000) == "10k");
  CHECK(CountText(12'345) == "12.3k");
  CHECK(CountText(4'000'000) == "4M");
  CHECK(BytesText(0) == "0 B");
  CHECK(BytesText(1'023) == "1023 B");
  CHECK(BytesText(1'258'291) == "1.2 MiB");
  CHECK(AgeText(350) == "350 ms");
  CHECK(AgeText(12'300) == "12.3 s");
  CHECK(AgeText(90'000) == "1.5 min");
  CHECK(AgeText(172'800'000) == "2 d");
}

TEST_CASE("what a newer daemon says beyond is passed over, and what is no answer is told", "[cache-stats]") {
  const CachesLook look = ReadLook(
      R"({"caches":[{"name":"a\u001b[31m","hits":3,"hit_ratio":null,"novelty":[1]}],"more":{}})", {});
  REQUIRE(look.caches.size() == 1);
  CHECK(look.caches[0].name == "a?[31m");  // nothing a terminal obeys
  CHECK(look.caches[0].hits == 3);
  CHECK_FALSE(look.caches[0].hit_ratio);
  CHECK(look.schema == 1);
  CHECK_THROWS_AS(ReadLook("<html>", {}), Error);
  CHECK_THROWS_AS(ReadLook(R"({"caches":7})", {}), Error);
}

TEST_CASE("instances are summed, and ratios are those of the sums", "[cache-stats]") {
  CacheLook first = Tokens(90, 10);
  CacheLook second = Tokens(0, 100);
  first.advice = {{.factor = 1, .entries_max = 100, .hit_ratio = 0.9}};
  second.advice = {{.factor = 1, .entries_max = 100, .hit_ratio = 0.1}};
  second.oldest_ms = 5'000;
  second.bytes_max = -1;
  CachesLook look{.instances = {{.instance = "1", .name = "a:1", .caches = {first}},
                                {.instance = "2", .name = "b:2", .caches = {second}}}};
  MergeInstances(look);
  REQUIRE(look.caches.size() == 1);
  const CacheLook& sum = look.caches[0];
  CHECK(sum.entries == 80);
  CHECK(sum.entries_max == 200);
  CHECK(sum.bytes_max == -1);
  CHECK(sum.hits == 90);
  CHECK(sum.hit_ratio == Approx(0.45));
  CHECK(sum.oldest_ms == 5'000);
  REQUIRE(sum.advice.size() == 1);
  CHECK(sum.advice[0].entries_max == 200);
  CHECK(*sum.advice[0].hit_ratio == Approx(0.5));
  CHECK(Contains(CachesText(look), "2 instances together: a:1 (0 ms ago), b:2"));
}

TEST_CASE("hits a second are those since the look before, of the same instances", "[cache-stats]") {
  const CachesLook before = Alone(Tokens(100, 0));
  CachesLook look = Alone(Tokens(150, 0));
  AddRates(look, before, std::chrono::seconds{2});
  CHECK(look.caches[0].hits_per_second == Approx(25));
  CachesLook restarted = Alone(Tokens(3, 0));
  AddRates(restarted, before, std::chrono::seconds{2});
  CHECK_FALSE(restarted.caches[0].hits_per_second);
  CachesLook others = Alone(Tokens(150, 0));
  others.instances = {{.instance = "1"}};
  AddRates(others, before, std::chrono::seconds{2});
  CHECK_FALSE(others.caches[0].hits_per_second);
}

TEST_CASE("a condition is met or not, and nothing asked for meets none", "[cache-stats]") {
  CHECK(Checked("hit_ratio<0.6", Tokens(5, 5)).health == Health::kCritical);
  CHECK(Checked("hit_ratio < 0.5", Tokens(5, 5)).health == Health::kOk);
  CHECK(Checked("hit_ratio<=0.5", Tokens(5, 5)).health == Health::kCritical);
  CHECK(Checked("warn:hit_ratio<0.6", Tokens(5, 5)).health == Health::kWarning);
  CHECK(Checked("warn: tokens: fill>=0.4", Tokens(5, 5)).health == Health::kWarning);
  CHECK(Checked("hit_ratio<1", Tokens(0, 0)).health == Health::kOk);
  CHECK(Checked("hit_ratio>=0", Tokens(0, 0)).health == Health::kOk);
  CHECK(Checked("bytes>1KiB", Tokens(0, 0)).health == Health::kCritical);
  CHECK(Checked("tokens:evictions>0", Tokens(0, 0)).health == Health::kOk);
  CHECK_THROWS_AS(Checked("other:hit_ratio<1", Tokens(0, 0)), UsageError);
  for (const char* wrong : {"", "hit_ratio", "hit_ratio=1", "hits<1", "hit_ratio<", "hit_ratio<x", "<1"}) {
    INFO(wrong);
    CHECK_THROWS_AS(CacheCondition{wrong}, UsageError);
  }
}

TEST_CASE("counts as large as they come are held against a condition", "[cache-stats]") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  CacheLook cache = Tokens(5, 5);
  cache.entries = kMost;
  cache.evictions = {.entries = kMost, .bytes = kMost};
  CHECK(Contains(Checked("entries>1", cache).line, "tokens: entries is 9223372036854775808, >1"));
  CHECK(Contains(Checked("evictions>1", cache).line, "tokens: evictions is 18446744073709551616, >1"));
}

TEST_CASE("the line of a check says what is wrong, critical first, and gives the numbers", "[cache-stats]") {
  const CheckResult result =
      CheckCaches({CacheCondition{"warn:fill>0.1"}, CacheCondition{"hit_ratio<0.6"}}, Alone(Tokens(5, 5)));
  CHECK(result.health == Health::kCritical);
  CHECK(result.line ==
        "CACHES CRITICAL - tokens: hit_ratio is 0.5000, <0.6; tokens: fill is 0.4000, >0.1 | "
        "'tokens.hit_ratio'=0.5000;;;0;1 'tokens.entries'=40;;;0;100 'tokens.bytes'=2048B;;;0;4096");
  CHECK(Checked("hit_ratio<0.1", Tokens(0, 0)).line ==
        "CACHES OK - tokens | 'tokens.entries'=40;;;0;100 'tokens.bytes'=2048B;;;0;4096");
  CHECK(UnknownCaches("a|b\nc").line == "CACHES UNKNOWN - a/b c");
}

TEST_CASE("advice is a sentence on whether another size is worth it", "[cache-stats]") {
  const auto advised = [](double half, double same, double twice, double four) {
    CacheLook cache = Tokens(9, 1);
    cache.advice = {{.factor = 0.5, .entries_max = 50, .hit_ratio = half},
                    {.factor = 1, .entries_max = 100, .hit_ratio = same},
                    {.factor = 2, .entries_max = 200, .hit_ratio = twice},
                    {.factor = 4, .entries_max = 400, .hit_ratio = four}};
    return AdviceText(cache);
  };
  CHECK(Contains(advised(0.8, 0.9, 0.903, 0.905),
                 "twice the entries would raise the hit ratio by 0.3 points: not worth it"));
  CHECK(Contains(advised(0.8, 0.9, 0.95, 0.96), "by 5.0 points: worth trying"));
  CHECK(Contains(advised(0.8, 0.9, 0.901, 0.95), "four times by 5.0: only the latter is worth trying"));
  CHECK(Contains(advised(0.9, 0.9, 0.9, 0.9), "it may be smaller"));
  CHECK(Contains(AdviceText(Tokens(9, 1)), "not known yet"));
  CHECK(Contains(AdviceText(Tokens(0, 0)), "nothing was asked for yet"));
}

TEST_CASE("names are quoted as CSV and Prometheus want them", "[cache-stats]") {
  CacheLook cache = Tokens(1, 0);
  cache.name = "a,\"b\"";
  const CachesLook look = Alone(cache);
  CHECK(CachesCsv(look).starts_with("2026-01-02T03:04:05Z,1,\"a,\"\"b\"\"\",lru,40,100,2048,4096,1,0,1,,"));
  CHECK(CachesCsv(look).ends_with(",900\r\n"));
  CHECK(Contains(CachesPrometheus(look), "gathering_cache_hits_total{cache=\"a,\\\"b\\\"\"} 1\n"));
  const auto commas = [](const std::string& line) { return std::count(line.begin(), line.end(), ','); };
  CHECK(commas(CachesCsvHeader()) == commas(CachesCsv(Alone(Tokens(1, 0)))));
}

}  // namespace gathering::cmd
