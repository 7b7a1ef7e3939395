#include "core/limits/policy.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/value.h"

namespace gathering::limits {
namespace {

constexpr std::int64_t kCostMax = 1'000;
constexpr std::string_view kStrict = "auth";  // rather too little than too much when instances are apart

// The tiers of the routes' rows and their settings.
struct TierSetting {
  std::string_view key;
  std::string_view tier;
  std::string RateLimitsConfig::*limit;
};
constexpr TierSetting kTierSettings[] = {
    {"rate_limits.auth", "auth", &RateLimitsConfig::auth},
    {"rate_limits.write", "write", &RateLimitsConfig::write},
    {"rate_limits.read", "read", &RateLimitsConfig::read},
    {"rate_limits.health", "health", &RateLimitsConfig::health},
    {"rate_limits.default", "none", &RateLimitsConfig::default_limit},
};

bool Holds(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool HoldAddress(const std::vector<Network>& networks, const Address& address) {
  return std::ranges::any_of(networks, [&](const Network& network) { return network.Contains(address); });
}

// "name=value", both trimmed and not empty.
std::optional<std::pair<std::string, std::string>> SplitPair(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  std::pair<std::string, std::string> pair{Trimmed(text.substr(0, equals)), Trimmed(text.substr(equals + 1))};
  if (pair.first.empty() || pair.second.empty()) return std::nullopt;
  return pair;
}

}  // namespace

Policy::Policy(const RateLimitsConfig& config) : enabled_(config.enabled), algorithm_(config.algorithm) {
  for (const std::string& text : config.bursts) {
    const auto pair = SplitPair(text);
    const auto burst = pair ? config::ParseInteger(pair->second) : std::nullopt;
    if (!burst || *burst < 1 || *burst > kCountMax) {
      problems_.push_back({"rate_limits.bursts", fmt::format("'{}' is not like read=20", text)});
    } else {
      bursts_[pair->first] = *burst;
    }
  }
  for (const TierSetting& setting : kTierSettings)
    AddTier(setting.key, std::string{setting.tier}, config.*setting.limit, tiers_);
  ReadRoutes(config);
  for (const std::string& tier : config.shadow) {
    if (tiers_.contains(tier) || of_routes_.contains(tier)) {
      shadow_.push_back(tier);
    } else {
      problems_.push_back({"rate_limits.shadow", fmt::format("names '{}', which has no limit", tier)});
    }
  }
  for (const auto& [tier, burst] : bursts_) {
    if (!tiers_.contains(tier) && !of_routes_.contains(tier))
      problems_.push_back({"rate_limits.bursts", fmt::format("names '{}', which has no limit", tier)});
  }
  ReadNetworks("rate_limits.exempt_addresses", config.exempt_addresses, exempt_);
  std::vector<std::string> proxies = config.trusted_proxies;
  trusts_unix_ = std::erase(proxies, "unix") > 0;
  ReadNetworks("rate_limits.trusted_proxies", proxies, trusted_);
}

void Policy::AddTier(std::string_view key, std::string name, std::string_view limit, Tiers& out) {
  if (Trimmed(limit).empty()) return;
  const auto burst = bursts_.find(name);
  try {
    auto tier =
        std::make_shared<const Tier>(Tier::Options{.name = name,
                                                   .limit = ParseLimit(limit),
                                                   .algorithm = algorithm_,
                                                   .burst = burst == bursts_.end() ? 0 : burst->second,
                                                   .strict = name == kStrict});
    out.insert_or_assign(std::move(name), std::move(tier));
  } catch (const Error& error) {
    problems_.push_back({key, fmt::format("'{}': {}", limit, error.message)});
  }
}

void Policy::ReadRoutes(const RateLimitsConfig& config) {
  for (const std::string& text : config.routes) {
    const auto pair = SplitPair(text);
    if (!pair ||
        std::ranges::find(kTierSettings, pair->first, &TierSetting::tier) != std::end(kTierSettings)) {
      problems_.push_back(
          {"rate_limits.routes", fmt::format("'{}' is not like agents.list=10/second", text)});
    } else {
      AddTier("rate_limits.routes", pair->first, pair->second, of_routes_);
    }
  }
  for (const std::string& text : config.costs) {
    const auto pair = SplitPair(text);
    const auto cost = pair ? config::ParseInteger(pair->second) : std::nullopt;
    if (!cost || *cost < 1 || *cost > kCostMax) {
      problems_.push_back(
          {"rate_limits.costs", fmt::format("'{}' is not like dashboard.stats=5, up to {}", text, kCostMax)});
    } else {
      costs_[pair->first] = static_cast<std::uint32_t>(*cost);
    }
  }
  exempt_routes_ = config.exempt_routes;
}

void Policy::ReadNetworks(std::string_view key, const std::vector<std::string>& texts,
                          std::vector<Network>& out) {
  for (const std::string& text : texts) {
    if (const auto network = Network::Parse(text)) {
      out.push_back(*network);
    } else {
      problems_.push_back({key, fmt::format("'{}' is no network like 10.0.0.0/8", text)});
    }
  }
}

Rule Policy::RuleFor(std::string_view route, std::string_view tier) const {
  if (!enabled_ || Holds(exempt_routes_, route)) return {};
  Rule rule;
  if (const auto own = of_routes_.find(route); own != of_routes_.end()) {
    rule.tier = own->second;
  } else if (const auto shared = tiers_.find(tier); shared != tiers_.end()) {
    rule.tier = shared->second;
  } else {
    return {};
  }
  if (const auto cost = costs_.find(route); cost != costs_.end()) rule.cost = cost->second;
  rule.shadow = Holds(shadow_, rule.tier->name());
  return rule;
}

std::vector<std::string> Policy::NamedRoutes() const {
  std::vector<std::string> names = exempt_routes_;
  for (const auto& [name, tier] : of_routes_) names.push_back(name);
  for (const auto& [name, cost] : costs_) names.push_back(name);
  return names;
}

bool Policy::Exempts(const Address& address) const {
  return HoldAddress(exempt_, address);
}

bool Policy::Trusts(const Address& peer) const {
  return HoldAddress(trusted_, peer);
}

}  // namespace gathering::limits
