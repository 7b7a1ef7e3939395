#include "tests/support/redis_driver.h"

#include <poll.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/base/error.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 10s;

limits::RedisLimiterOptions Named(limits::RedisLimiterOptions options, const void* self) {
  if (options.instance.empty()) options.instance = std::to_string(std::hash<const void*>{}(self));
  return options;
}

}  // namespace

RedisDriver::RedisDriver(const std::string& url, limits::RedisLimiterOptions options,
                         limits::StoreOptions store)
    : endpoint_(limits::ParseRedisUrl(url)),
      local_(store),
      limiter_(Named(std::move(options), this), *this,
               {.endpoint = endpoint_, .local = local_, .lockout = lockout_, .clock = clock_}) {
  limiter_.Start();
}

RedisDriver::~RedisDriver() = default;

void RedisDriver::Ask(const std::shared_ptr<const limits::Tier>& tier, std::string_view subject,
                      std::uint32_t cost, Asked& asked) {
  asked.decided = false;
  asked.asked_at = clock_.Now();
  if (const auto decision = limiter_.Take(tier, subject, cost, asked)) {
    asked.decision = *decision;
    asked.decided = true;
  }
}

limits::Decision RedisDriver::Take(const std::shared_ptr<const limits::Tier>& tier, std::string_view subject,
                                   std::uint32_t cost) {
  Asked asked;
  Ask(tier, subject, cost, asked);
  Until([&] { return asked.decided; });
  return asked.decision;
}

limits::LockoutAnswer RedisDriver::Try(std::string_view account) {
  Tried tried;
  if (const auto answer = limiter_.Try(account, tried)) return *answer;
  Until([&] { return tried.decided; });
  return tried.answer;
}

void RedisDriver::Turn(std::chrono::milliseconds patience) {
  if (std::exchange(resolve_wanted_, false)) {
    ++resolved_;
    try {
      limiter_.Resolved(endpoint_.Resolve());
    } catch (const Error& error) {
      limiter_.ResolveFailed(error);
    }
  }
  if (std::exchange(flush_wanted_, false)) limiter_.Flush();
  pollfd watched{.fd = descriptor_, .events = POLLIN, .revents = 0};
  if (output_) watched.events |= POLLOUT;
  const auto until_check = std::chrono::ceil<std::chrono::milliseconds>(std::min<Clock::Steady::duration>(
      patience, std::max<Clock::Steady::duration>(0ms, limiter_.next_check() - clock_.Now())));
  if (poll(&watched, descriptor_ < 0 ? 0 : 1, static_cast<int>(until_check.count())) > 0) limiter_.OnReady();
  if (clock_.Now() >= limiter_.next_check()) limiter_.Check();
}

void RedisDriver::Until(const std::function<bool()>& done) {
  const auto give_up_at = clock_.Now() + kPatience;
  while (!done()) {
    if (clock_.Now() > give_up_at) throw std::runtime_error{"the limiter did not get there in time"};
    Turn();
  }
}

void RedisDriver::UntilUsed() {
  Until([this] { return stats().breaker == limits::BreakerState::kClosed; });
}

void RedisDriver::Watch(int descriptor, bool output) {
  descriptor_ = descriptor;
  output_ = output;
}

std::shared_ptr<const limits::Tier> MakeTier(std::string name, std::string_view limit,
                                             limits::Algorithm algorithm, bool strict) {
  return std::make_shared<limits::Tier>(limits::Tier::Options{
      .name = std::move(name), .limit = limits::ParseLimit(limit), .algorithm = algorithm, .strict = strict});
}

}  // namespace gathering::test
