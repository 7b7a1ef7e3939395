#include "daemon/limits/limiter.h"

#include <algorithm>
#include <cstring>
#include <random>

#include <fmt/format.h>

#include "core/auth/token.h"
#include "core/base/log.h"
#include "daemon/loop/fiber.h"

namespace gathering {
namespace {

constexpr std::size_t kInstanceIdBytes = 8;
constexpr std::string_view kSecretPurpose = "rate limits";

// From the daemons' common secret, and of no use to who would like to have that.
SipKey KeyFrom(std::string_view secret) {
  const auth::Sha256 digest = auth::Sha256Of(fmt::format("{}\n{}", kSecretPurpose, secret));
  SipKey key;
  static_assert(sizeof key <= sizeof digest);
  std::memcpy(&key, digest.data(), sizeof key);
  return key;
}

std::uint64_t NextVersion() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::shared_ptr<const limits::Policy> PolicyFrom(const RateLimitsConfig& config) {
  auto policy = std::make_shared<const limits::Policy>(config);
  if (policy->problems().empty()) return policy;
  const limits::Policy::Problem& first = policy->problems().front();
  throw Error{Code::kInvalid, fmt::format("{} {}", first.key, first.what)};
}

}  // namespace

thread_local RedisLane* Limiter::here_ = nullptr;

Limiter::Limiter(const RateLimitsConfig& config, std::string_view secret, WorkerPool& resolver,
                 const Clock& clock)
    : clock_(clock),
      resolver_(resolver),
      store_({.keys_max = config.keys_max}),
      lockout_({.policy = {.free = config.login_failures_max}, .accounts_max = config.keys_max}),
      redis_options_{.secret = KeyFrom(secret),
                     .instance = auth::RandomHex(kInstanceIdBytes),
                     .deadline = config.redis_timeout} {
  // Even while nothing is limited: that may change.
  if (!config.redis_url.empty())
    endpoint_ = std::make_unique<const limits::RedisEndpoint>(limits::ParseRedisUrl(config.redis_url));
  Reload(config);
}

Limiter::~Limiter() = default;

void Limiter::Attach(loop::Loop& loop) {
  if (!endpoint_) return;
  auto lane = std::make_unique<RedisLane>(
      redis_options_, loop, resolver_,
      limits::RedisLimiter::Parts{
          .endpoint = *endpoint_, .local = store_, .lockout = lockout_, .clock = clock_});
  here_ = lane.get();
  loop.AtExit([this] {
    RedisLane* const mine = std::exchange(here_, nullptr);
    // Closed here, on the loop's thread; destroyed outside of the lock.
    std::unique_ptr<RedisLane> gone;
    lanes_.With([&](auto& lanes) {
      const auto found = std::ranges::find_if(lanes, [&](const auto& one) { return one.get() == mine; });
      gone = std::move(*found);
      lanes.erase(found);
    });
  });
  lanes_.With([&](auto& lanes) { lanes.push_back(std::move(lane)); });
}

void Limiter::Reload(const RateLimitsConfig& config) {
  auto policy = PolicyFrom(config);
  jitter_percent_.store(config.retry_jitter_percent, std::memory_order_relaxed);
  policy_.With([&](auto& current) { current = std::move(policy); });
  version_.store(NextVersion(), std::memory_order_release);
}

std::shared_ptr<const limits::Policy> Limiter::policy() const {
  return policy_.With([](const auto& current) { return current; });
}

RouteLimit Limiter::LimitOf(const limits::Policy& policy, std::string_view route, std::string_view tier) {
  RouteLimit limit{.rule = policy.RuleFor(route, tier)};
  if (!limit.rule.tier) return limit;
  const std::string& name = limit.rule.tier->name();
  limit.counts = counts_.With([&](auto& counts) {
    const auto known = std::ranges::find_if(counts, [&](const auto& one) { return one->name == name; });
    if (known != counts.end()) return known->get();
    counts.push_back(std::make_unique<TierCounts>(name));
    return counts.back().get();
  });
  return limit;
}

limits::Decision Limiter::Decide(const RouteLimit& limit, std::string_view subject) {
  const limits::Rule& rule = limit.rule;
  const bool shared = here_ != nullptr && loop::OnFiber();
  limits::Decision decision = shared ? here_->Take(rule.tier, subject, rule.cost)
                                     : store_.Take(*rule.tier, subject, rule.cost, clock_.Now());
  if (decision.allowed) {
    limit.counts->allowed.fetch_add(1, std::memory_order_relaxed);
    return decision;
  }
  limit.counts->limited.fetch_add(1, std::memory_order_relaxed);
  if (!rule.shadow) return decision;
  limit.counts->shadowed.fetch_add(1, std::memory_order_relaxed);
  decision.allowed = true;
  return decision;
}

limits::LockoutAnswer Limiter::TryAccount(std::string_view account) {
  if (here_ != nullptr && loop::OnFiber()) return here_->Try(account);
  return lockout_.Try(account, clock_.Now());
}

void Limiter::ForgetAccount(std::string_view account) {
  if (here_ != nullptr) return here_->Forget(account);
  lockout_.Forget(account, clock_.Now());
}

void Limiter::UndoAccount(std::string_view account) {
  if (here_ != nullptr) return here_->Undo(account);
  lockout_.Undo(account, clock_.Now());
}

std::chrono::nanoseconds Limiter::WithJitter(std::chrono::nanoseconds wait) const {
  const std::uint32_t percent = jitter_percent_.load(std::memory_order_relaxed);
  if (percent == 0) return wait;
  thread_local std::minstd_rand random{std::random_device{}()};
  const double share = std::uniform_real_distribution<double>{0, percent / 100.0}(random);
  return wait + std::chrono::duration_cast<std::chrono::nanoseconds>(wait * share);
}

LimiterStats Limiter::Stats() const {
  const Clock::Steady now = clock_.Now();
  LimiterStats stats{.tiers = {},
                     .exempt = exempt_.load(std::memory_order_relaxed),
                     .store = store_.Stats(now),
                     .lockout = lockout_.Stats(now),
                     .lanes = {}};
  counts_.With([&](const auto& counts) {
    for (const auto& one : counts) {
      stats.tiers.push_back({.name = one->name,
                             .allowed = one->allowed.load(std::memory_order_relaxed),
                             .limited = one->limited.load(std::memory_order_relaxed),
                             .shadowed = one->shadowed.load(std::memory_order_relaxed)});
    }
  });
  lanes_.With([&](const auto& lanes) {
    for (const auto& lane : lanes) stats.lanes.push_back(lane->Stats());
  });
  return stats;
}

}  // namespace gathering
