#include "core/limits/policy.h"

#include <catch2/catch.hpp>

namespace gathering::limits {
namespace {

std::string FirstProblem(const RateLimitsConfig& config) {
  const Policy policy{config};
  return policy.problems().empty()
             ? ""
             : std::string{policy.problems().front().key} + " " + policy.problems().front().what;
}

std::string LimitText(const Policy& policy, std::string_view route, std::string_view tier) {
  const Rule rule = policy.RuleFor(route, tier);
  return rule.tier ? ToText(rule.tier->options().limit) : "none";
}

}  // namespace

TEST_CASE("the default tiers are those that users know", "[policy]") {
  const Policy policy{RateLimitsConfig{}};
  CHECK(policy.problems().empty());
  CHECK(LimitText(policy, "auth.login", "auth") == "5/minute");
  CHECK(LimitText(policy, "agents.create", "write") == "30/minute");
  CHECK(LimitText(policy, "agents.get", "read") == "120/minute");
  CHECK(LimitText(policy, "health.live", "health") == "300/minute");
  CHECK(LimitText(policy, "docs.page", "none") == "none");
  CHECK(policy.RuleFor("auth.login", "auth").tier->strict());
  CHECK_FALSE(policy.RuleFor("agents.get", "read").tier->strict());
}

TEST_CASE("a route may have a limit, a cost, or nothing of its own", "[policy]") {
  RateLimitsConfig config;
  config.routes = {"agents.list=10/second;100/hour"};
  config.costs = {"dashboard.stats=5"};
  config.exempt_routes = {"health.live"};
  config.default_limit = "7/minute";
  config.bursts = {"read=20", "write=3"};
  config.shadow = {"write", "agents.list"};
  const Policy policy{config};
  CHECK(policy.problems().empty());
  CHECK(LimitText(policy, "agents.list", "read") == "10/second;100/hour");
  CHECK(policy.RuleFor("agents.list", "read").shadow);
  CHECK(policy.RuleFor("dashboard.stats", "read").cost == 5);
  CHECK(policy.RuleFor("agents.get", "read").cost == 1);
  CHECK(policy.RuleFor("agents.get", "read").tier->quotas()[0].burst == 20);
  CHECK_FALSE(policy.RuleFor("agents.get", "read").shadow);
  CHECK(policy.RuleFor("agents.create", "write").shadow);
  CHECK(LimitText(policy, "health.live", "health") == "none");
  CHECK(LimitText(policy, "docs.page", "none") == "7/minute");
  CHECK(policy.NamedRoutes() == std::vector<std::string>{"health.live", "agents.list", "dashboard.stats"});
}

TEST_CASE("switched off, nothing is limited", "[policy]") {
  RateLimitsConfig config;
  config.enabled = false;
  CHECK(LimitText(Policy{config}, "auth.login", "auth") == "none");
}

TEST_CASE("a setting that cannot be used is named with its key", "[policy]") {
  const auto with = [](auto change) {
    RateLimitsConfig config;
    change(config);
    return FirstProblem(config);
  };
  CHECK(with([](auto& c) { c.read = "often"; }).starts_with("rate_limits.read 'often': "));
  CHECK(with([](auto& c) { c.routes = {"agents.list"}; }).find("is not like agents.list=10/second") !=
        std::string::npos);
  CHECK(with([](auto& c) { c.routes = {"read=5/minute"}; }).starts_with("rate_limits.routes"));
  CHECK(with([](auto& c) { c.costs = {"agents.list=0"}; }).starts_with("rate_limits.costs"));
  CHECK(with([](auto& c) { c.bursts = {"read=many"}; }).starts_with("rate_limits.bursts"));
  CHECK(with([](auto& c) { c.bursts = {"reed=5"}; }).find("'reed', which has no limit") != std::string::npos);
  CHECK(with([](auto& c) { c.shadow = {"reed"}; }).starts_with("rate_limits.shadow"));
  CHECK(
      with([](auto& c) { c.exempt_addresses = {"10.0.0.1/8"}; }).starts_with("rate_limits.exempt_addresses"));
  CHECK(with([](auto& c) { c.trusted_proxies = {"proxy"}; }).starts_with("rate_limits.trusted_proxies"));
  CHECK(with([](auto&) {}).empty());
}

}  // namespace gathering::limits
