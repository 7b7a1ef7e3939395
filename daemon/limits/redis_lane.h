#pragma once
// A limiter on Redis on an event loop: what its Owner must do, done with the loop's epoll, timers and turns.
// Decisions gathered in one turn leave at its end in one write.  Belongs to the loop's thread, Stats apart.
#include <memory>
#include <string_view>

#include "core/base/guarded.h"
#include "core/base/worker_pool.h"
#include "core/limits/redis_limiter.h"
#include "daemon/loop/loop.h"

namespace gathering {

class RedisLane final : private limits::RedisLimiter::Owner,
                        private loop::Watcher,
                        private loop::Timer,
                        private loop::TurnEnd {
 public:
  // Names are looked up on `resolver`, which is borrowed like everything in `parts`.
  RedisLane(limits::RedisLimiterOptions options, loop::Loop& loop, WorkerPool& resolver,
            const limits::RedisLimiter::Parts& parts);
  ~RedisLane() override;

  // Both put the calling fiber to sleep for at most the deadline of a decision.
  [[nodiscard]] limits::Decision Take(const std::shared_ptr<const limits::Tier>& tier,
                                      std::string_view subject, std::uint32_t cost);
  [[nodiscard]] limits::LockoutAnswer Try(std::string_view account);

  void Forget(std::string_view account) { limiter_.Forget(account); }
  void Undo(std::string_view account) { limiter_.Undo(account); }

  [[nodiscard]] limits::RedisLimiterStats Stats() const { return limiter_.Stats(); }

 private:
  void ResolveWanted() override;
  void Watch(int descriptor, bool output) override;
  void Unwatch(int descriptor) override { loop_.Unwatch(descriptor); }
  void FlushWanted() override { loop_.AtTurnEnd(*this); }

  void OnEvents(std::uint32_t events) override;
  void OnTurnEnd() override;
  void OnDeadline() override;
  void CheckInTime();

  loop::Loop& loop_;
  WorkerPool& resolver_;
  const limits::RedisEndpoint& endpoint_;
  limits::RedisLimiter limiter_;
  // Where the resolver's thread finds us; empty when we are gone.
  const std::shared_ptr<Guarded<RedisLane*>> door_;
};

}  // namespace gathering
