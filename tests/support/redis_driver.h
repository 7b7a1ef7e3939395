#pragma once
// An instance of the daemon as far as limits go: a limiter, the process's local store, and poll(2) on the
// test's own thread.
#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/limits/redis_limiter.h"

namespace gathering::test {

class RedisDriver final : private limits::RedisLimiter::Owner {
 public:
  explicit RedisDriver(const std::string& url, limits::RedisLimiterOptions options = {},
                       limits::StoreOptions store = {});
  ~RedisDriver();

  // One question with what became of it.
  struct Asked final : limits::DecisionPending {
    void OnDecided() override { decided = true; }
    bool decided = false;
    Clock::Steady asked_at{};
  };
  struct Tried final : limits::LockoutPending {
    void OnDecided() override { decided = true; }
    bool decided = false;
  };

  // Asks without waiting.
  void Ask(const std::shared_ptr<const limits::Tier>& tier, std::string_view subject, std::uint32_t cost,
           Asked& asked);
  // Asks and turns until it is decided.
  limits::Decision Take(const std::shared_ptr<const limits::Tier>& tier, std::string_view subject,
                        std::uint32_t cost = 1);
  limits::LockoutAnswer Try(std::string_view account);

  // Once around: waits for the descriptor at most `patience`, and not beyond the limiter's next check.
  void Turn(std::chrono::milliseconds patience = std::chrono::milliseconds{5});
  // Turns until `done`; throws after 10 s.
  void Until(const std::function<bool()>& done);
  void UntilUsed();  // Redis decides
  // Until all of several Asked or Tried are decided.
  template <class Questions>
  void UntilDecided(const Questions& questions) {
    Until([&] { return std::ranges::all_of(questions, [](const auto& one) { return one.decided; }); });
  }

  [[nodiscard]] limits::RedisLimiter& limiter() { return limiter_; }
  [[nodiscard]] limits::Store& local() { return local_; }
  [[nodiscard]] limits::Lockout& lockout() { return lockout_; }
  [[nodiscard]] limits::RedisLimiterStats stats() const { return limiter_.Stats(); }
  [[nodiscard]] Clock::Steady now() const { return clock_.Now(); }
  [[nodiscard]] int resolved() const { return resolved_; }

 private:
  void ResolveWanted() override { resolve_wanted_ = true; }
  void Watch(int descriptor, bool output) override;
  void Unwatch(int) override { descriptor_ = -1; }
  void FlushWanted() override { flush_wanted_ = true; }

  SystemClock clock_;
  limits::RedisEndpoint endpoint_;
  limits::Store local_;
  limits::Lockout lockout_;
  int descriptor_ = -1;
  bool output_ = false;
  bool resolve_wanted_ = false;
  bool flush_wanted_ = false;
  int resolved_ = 0;
  limits::RedisLimiter limiter_;
};

[[nodiscard]] std::shared_ptr<const limits::Tier> MakeTier(
    std::string name, std::string_view limit, limits::Algorithm algorithm = limits::Algorithm::kGcra,
    bool strict = false);

}  // namespace gathering::test
