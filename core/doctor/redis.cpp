#include "core/doctor/redis.h"

#include <poll.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/config/value.h"
#include "core/limits/redis_link.h"

namespace gathering::doctor {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int kRoundTrips = 9;
constexpr std::int64_t kMajorMin = 5;
constexpr std::string_view kWhatToDo = "see that it runs and that rate_limits.redis_url is right";

class RedisLook {
 public:
  RedisLook(const RedisOptions& options, const Clock& clock)
      : endpoint_(limits::ParseRedisUrl(options.url)),
        options_(options),
        clock_(clock),
        give_up_at_(clock.Now() + options.deadline) {}

  void Run(const Tell& tell) {
    const Clock::Steady begin = clock_.Now();
    Connect();
    Ask({"PING"});  // a connection alone may be one to somebody who never answers
    const auto took = std::chrono::ceil<milliseconds>(clock_.Now() - begin);
    tell(Ok("redis.connect", fmt::format("{}, in {} ms", limits::ToText(endpoint_.url()), took.count())));
    tell(JudgeRedisVersion(InfoField(Ask({"INFO", "server"}), "redis_version")));
    const std::string memory = Ask({"INFO", "memory"});
    tell(JudgeEviction(InfoField(memory, "maxmemory"), InfoField(memory, "maxmemory_policy")));
    tell(JudgeRoundTrip(MedianRoundTrip(), options_.timeout));
  }

 private:
  void Connect() {
    std::string cause;
    for (const limits::RedisAddress& address : endpoint_.Resolve()) {
      link_ = std::make_unique<limits::RedisLink>(endpoint_, address);
      while (link_->state() == limits::RedisLink::State::kConnecting) Await();
      if (link_->state() == limits::RedisLink::State::kReady) return;
      cause = link_->cause();
    }
    Give(cause);
  }

  std::string Ask(std::initializer_list<std::string_view> words) {
    link_->Append(words);
    link_->Flush();
    for (;;) {
      if (const limits::RedisReply* const reply = link_->Next()) {
        if (reply->kind == limits::RedisReply::Kind::kError)
          throw Error{Code::kRejected,
                      fmt::format("Redis refuses {}: {}; let its user do that", *words.begin(), reply->text)};
        return reply->text;
      }
      if (link_->state() == limits::RedisLink::State::kLost) Give(link_->cause());
      Await();
    }
  }

  // Until there is something to go on with.
  void Await() {
    const auto left = std::chrono::ceil<milliseconds>(give_up_at_ - clock_.Now());
    if (left.count() <= 0) Give(fmt::format("no answer within {}", config::ToText(options_.deadline)));
    pollfd watched{.fd = link_->descriptor(), .events = POLLIN, .revents = 0};
    if (link_->wants_output()) watched.events |= POLLOUT;
    if (::poll(&watched, 1, static_cast<int>(left.count())) > 0) link_->Advance();
  }

  [[noreturn]] void Give(const std::string& cause) const {
    throw Error{Code::kUnavailable,
                fmt::format("{}: {}; {}", limits::ToText(endpoint_.url()), cause, kWhatToDo)};
  }

  microseconds MedianRoundTrip() {
    std::vector<microseconds> all;
    for (int i = 0; i < kRoundTrips; ++i) {
      const Clock::Steady begin = clock_.Now();
      Ask({"PING"});
      all.push_back(std::chrono::ceil<microseconds>(clock_.Now() - begin));
    }
    const auto middle = all.begin() + kRoundTrips / 2;
    std::nth_element(all.begin(), middle, all.end());
    return *middle;
  }

  const limits::RedisEndpoint endpoint_;
  const RedisOptions& options_;
  const Clock& clock_;
  const Clock::Steady give_up_at_;
  std::unique_ptr<limits::RedisLink> link_;
};

}  // namespace

std::string InfoField(std::string_view info, std::string_view name) {
  for (const std::string& line : Split(info, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && std::string_view{line}.substr(0, colon) == name)
      return line.substr(colon + 1);
  }
  return {};
}

Finding JudgeRedisVersion(const std::string& version) {
  const auto major = config::ParseInteger(std::string_view{version}.substr(0, version.find('.')));
  if (!major) return Skipped("redis.version", "it does not tell");
  const std::string found = fmt::format("Redis {}", version);
  if (*major >= kMajorMin) return Ok("redis.version", found);
  return Failed("redis.version", found, fmt::format("upgrade it to Redis {} or newer", kMajorMin));
}

Finding JudgeEviction(std::string_view maxmemory_bytes, std::string_view policy) {
  const std::string name = "redis.eviction";
  if (policy.empty()) return Skipped(name, "it does not tell");
  if (maxmemory_bytes == "0") return Ok(name, fmt::format("maxmemory is not set, nothing is evicted"));
  const std::string found = fmt::format("maxmemory-policy {} at {} bytes", policy, maxmemory_bytes);
  if (policy == "noeviction" || policy == "volatile-ttl") return Ok(name, found);
  return Warning(name, found + ": when it is full, clients beyond their limits are forgotten",
                 "set maxmemory-policy to noeviction or volatile-ttl");
}

Finding JudgeRoundTrip(microseconds median, milliseconds timeout) {
  const std::string name = "redis.latency";
  const std::string found =
      fmt::format("{:.2f} ms for a round trip; a decision may take {}",
                  std::chrono::duration<double, std::milli>{median}.count(), config::ToText(timeout));
  if (2 * median <= timeout) return Ok(name, found);
  return Warning(name, found,
                 "bring it nearer, or raise rate_limits.redis_timeout: late decisions are local");
}

Subject RedisSubject(RedisOptions options, const Clock& clock) {
  return {.checks = {"redis.connect", "redis.version", "redis.eviction", "redis.latency"},
          .look = [options = std::move(options), &clock](const Tell& tell) {
            RedisLook{options, clock}.Run(tell);
          }};
}

}  // namespace gathering::doctor
