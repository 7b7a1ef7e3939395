#pragma once
// What the configuration says about limits, made ready for deciding.
//
// A route draws on a tier: that of its row, or one of its own, named like the route, when the configuration
// gives it a limit.  Everything in a policy is fixed; a changed configuration makes a new one, whose tiers
// find the counters of the old ones by their names.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/network.h"
#include "core/config/config.h"
#include "core/limits/tier.h"

namespace gathering::limits {

// How one route is limited.
struct Rule {
  std::shared_ptr<const Tier> tier;  // null: not at all
  std::uint32_t cost = 1;            // of a request
  bool shadow = false;               // counted, and let through
};

class Policy {
 public:
  // What is wrong with a setting.
  struct Problem {
    std::string_view key;  // "rate_limits.read"
    std::string what;      // follows the key's name: "is …"
  };

  // What cannot be read is left out and listed in problems().
  explicit Policy(const RateLimitsConfig& config);

  [[nodiscard]] const std::vector<Problem>& problems() const { return problems_; }
  [[nodiscard]] bool enabled() const { return enabled_; }

  // `tier` is the name in the route's row: "auth", "write", "read", "health" or "none".
  [[nodiscard]] Rule RuleFor(std::string_view route, std::string_view tier) const;

  // The routes that settings name, to be checked against those that exist.
  [[nodiscard]] std::vector<std::string> NamedRoutes() const;

  // Clients that are never limited.
  [[nodiscard]] bool Exempts(const Address& address) const;

  // Whether what this peer says of the client's address is believed.
  [[nodiscard]] bool Trusts(const Address& peer) const;
  [[nodiscard]] bool trusts_unix_peers() const { return trusts_unix_; }

 private:
  using Tiers = std::map<std::string, std::shared_ptr<const Tier>, std::less<>>;

  void AddTier(std::string_view key, std::string name, std::string_view limit, Tiers& out);
  void ReadRoutes(const RateLimitsConfig& config);
  void ReadNetworks(std::string_view key, const std::vector<std::string>& texts, std::vector<Network>& out);

  const bool enabled_;
  const Algorithm algorithm_;
  std::map<std::string, std::int64_t, std::less<>> bursts_;  // by tier
  Tiers tiers_;                                              // of the routes' rows
  Tiers of_routes_;                                          // by route
  std::map<std::string, std::uint32_t, std::less<>> costs_;  // by route
  std::vector<std::string> exempt_routes_;
  std::vector<std::string> shadow_;  // tiers
  std::vector<Network> exempt_;
  std::vector<Network> trusted_;
  bool trusts_unix_ = false;
  std::vector<Problem> problems_;
};

}  // namespace gathering::limits
