#include "cmd/cache_look.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/schema/reader.h"

namespace gathering::cmd {
namespace {

constexpr std::uint32_t kNodesMax = 1'000'000;
constexpr std::string_view kMixed = "mixed";

// It goes to terminals.
void Clean(std::string& text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
}

void Clean(std::vector<CacheLook>& caches) {
  for (CacheLook& cache : caches) {
    Clean(cache.name);
    Clean(cache.policy);
  }
}

CacheLook* Find(std::vector<CacheLook>& caches, std::string_view name) {
  const auto found = std::ranges::find(caches, name, &CacheLook::name);
  return found == caches.end() ? nullptr : &*found;
}

std::int64_t Asked(const CacheLook& cache) {
  return cache.hits + cache.misses;
}

std::int64_t SumOfBounds(std::int64_t a, std::int64_t b) {
  return a < 0 || b < 0 ? -1 : a + b;
}

// A ratio of both together, each by what was asked of it.
std::optional<double> Together(std::optional<double> a, std::int64_t asked_a, std::optional<double> b,
                               std::int64_t asked_b) {
  if (asked_a == 0) return b;
  if (asked_b == 0) return a;
  if (!a || !b) return std::nullopt;
  const auto weight_a = static_cast<double>(asked_a);
  const auto weight_b = static_cast<double>(asked_b);
  return (*a * weight_a + *b * weight_b) / (weight_a + weight_b);
}

// What one of them does not say is not known of all.
void AddAdvice(CacheLook& sum, const CacheLook& more) {
  if (!std::ranges::equal(sum.advice, more.advice, {}, &CacheAdvice::factor, &CacheAdvice::factor)) {
    sum.advice.clear();
    return;
  }
  for (std::size_t i = 0; i < sum.advice.size(); ++i) {
    CacheAdvice& one = sum.advice[i];
    one.hit_ratio = Together(one.hit_ratio, Asked(sum), more.advice[i].hit_ratio, Asked(more));
    one.entries_max += more.advice[i].entries_max;
  }
}

void Add(CacheLook& sum, const CacheLook& more) {
  AddAdvice(sum, more);
  if (sum.policy != more.policy) sum.policy = kMixed;
  sum.entries += more.entries;
  sum.entries_max += more.entries_max;
  sum.bytes += more.bytes;
  sum.bytes_max = SumOfBounds(sum.bytes_max, more.bytes_max);
  sum.hits += more.hits;
  sum.misses += more.misses;
  sum.loads += more.loads;
  sum.load_failures += more.load_failures;
  sum.joined += more.joined;
  sum.load_ms += more.load_ms;
  sum.evictions.entries += more.evictions.entries;
  sum.evictions.bytes += more.evictions.bytes;
  sum.evictions.expired += more.evictions.expired;
  sum.evictions.invalidated += more.evictions.invalidated;
  sum.refused += more.refused;
  sum.outdated += more.outdated;
  sum.oldest_ms = std::max(sum.oldest_ms, more.oldest_ms);
  sum.hit_ratio.reset();
  if (Asked(sum) > 0) sum.hit_ratio = static_cast<double>(sum.hits) / static_cast<double>(Asked(sum));
}

std::vector<std::string> IdsOf(const CachesLook& look) {
  std::vector<std::string> ids;
  for (const InstanceLook& one : look.instances) ids.push_back(one.instance);
  std::ranges::sort(ids);
  return ids;
}

}  // namespace

CachesLook ReadLook(const std::string& json, Timestamp now) {
  CachesLook look;
  std::vector<FieldError> errors;
  try {
    look = schema::ReadJson<CachesLook>(schema::ParseJson(json, {.nodes_max = kNodesMax}), "answer", errors);
  } catch (const Error& error) {
    throw Error{Code::kInternal, "the daemon's answer cannot be read", error.message};
  }
  if (!errors.empty())
    throw Error{Code::kInternal, "the daemon's answer cannot be read", errors.front().message};
  look.schema = 1;
  look.time = ToText(now);
  Clean(look.caches);
  for (InstanceLook& instance : look.instances) {
    Clean(instance.name);
    Clean(instance.caches);
  }
  return look;
}

void MergeInstances(CachesLook& look) {
  if (look.instances.empty()) return;
  look.caches.clear();
  for (const InstanceLook& instance : look.instances) {
    for (const CacheLook& cache : instance.caches) {
      if (CacheLook* const sum = Find(look.caches, cache.name)) {
        Add(*sum, cache);
      } else {
        look.caches.push_back(cache);
      }
    }
  }
}

void KeepCaches(CachesLook& look, const std::vector<std::string>& names) {
  if (names.empty()) return;
  std::vector<std::string_view> known;
  for (const CacheLook& cache : look.caches) known.push_back(cache.name);
  for (const std::string& name : names) {
    if (std::ranges::count(known, name) > 0) continue;
    throw UsageError{fmt::format("there is no cache '{}'; there are {}{}", name, fmt::join(known, ", "),
                                 DidYouMean(name, known))};
  }
  const auto is_other = [&](const CacheLook& cache) { return std::ranges::count(names, cache.name) == 0; };
  std::erase_if(look.caches, is_other);
  for (InstanceLook& instance : look.instances) std::erase_if(instance.caches, is_other);
}

void AddRates(CachesLook& look, const CachesLook& before, std::chrono::duration<double> between) {
  if (between.count() <= 0 || IdsOf(look) != IdsOf(before)) return;
  for (CacheLook& cache : look.caches) {
    const auto earlier = std::ranges::find(before.caches, cache.name, &CacheLook::name);
    if (earlier == before.caches.end() || earlier->hits > cache.hits) continue;
    cache.hits_per_second = static_cast<double>(cache.hits - earlier->hits) / between.count();
  }
}

}  // namespace gathering::cmd
