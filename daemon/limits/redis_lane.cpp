#include "daemon/limits/redis_lane.h"

#include <sys/epoll.h>

#include <utility>
#include <variant>

#include "core/base/log.h"

namespace gathering {
namespace {

// A fiber that sleeps until its question is answered.
template <class Base>
class Waiting final : public Base {
 public:
  explicit Waiting(loop::Loop& loop) : loop_(loop), fiber_(loop.fibers().current()) {}

  void Sleep() { loop_.fibers().Suspend({.what = "shared rate limit"}); }

 private:
  void OnDecided() override { loop_.fibers().Resume(*fiber_); }

  loop::Loop& loop_;
  loop::Fiber* const fiber_;
};

}  // namespace

RedisLane::RedisLane(limits::RedisLimiterOptions options, loop::Loop& loop, WorkerPool& resolver,
                     const limits::RedisLimiter::Parts& parts)
    : Timer(loop.timers()),
      loop_(loop),
      resolver_(resolver),
      endpoint_(parts.endpoint),
      limiter_(std::move(options), *this, parts),
      door_(std::make_shared<Guarded<RedisLane*>>(this)) {
  limiter_.Start();
  CheckInTime();
}

RedisLane::~RedisLane() {
  door_->With([](RedisLane*& lane) { lane = nullptr; });
}

limits::Decision RedisLane::Take(const std::shared_ptr<const limits::Tier>& tier, std::string_view subject,
                                 std::uint32_t cost) {
  Waiting<limits::DecisionPending> waiting{loop_};
  if (const auto decision = limiter_.Take(tier, subject, cost, waiting)) return *decision;
  CheckInTime();
  waiting.Sleep();
  return waiting.decision;
}

limits::LockoutAnswer RedisLane::Try(std::string_view account) {
  Waiting<limits::LockoutPending> waiting{loop_};
  if (const auto answer = limiter_.Try(account, waiting)) return *answer;
  CheckInTime();
  waiting.Sleep();
  return waiting.answer;
}

void RedisLane::ResolveWanted() {
  using Outcome = std::variant<std::vector<limits::RedisAddress>, Error>;
  const bool posted = resolver_.TryPost([door = door_, &endpoint = endpoint_] {
    auto outcome = std::make_shared<Outcome>();
    try {
      *outcome = endpoint.Resolve();
    } catch (const Error& error) {
      *outcome = error;
    }
    door->With([&](RedisLane*& lane) {
      if (lane == nullptr) return;
      // The lane may go while this is on its way.
      lane->loop_.Post([door, outcome] {
        RedisLane* const here = door->With([](RedisLane*& still) { return still; });
        if (here == nullptr) return;
        if (auto* addresses = std::get_if<std::vector<limits::RedisAddress>>(outcome.get())) {
          here->limiter_.Resolved(std::move(*addresses));
        } else {
          here->limiter_.ResolveFailed(std::get<Error>(*outcome));
        }
        here->CheckInTime();
      });
    });
  });
  if (posted) return;
  loop_.Post([door = door_] {
    RedisLane* const here = door->With([](RedisLane*& still) { return still; });
    if (here == nullptr) return;
    here->limiter_.ResolveFailed(Error{Code::kUnavailable, "too many names are being looked up"});
    here->CheckInTime();
  });
}

void RedisLane::Watch(int descriptor, bool output) {
  const std::uint32_t events = output ? EPOLLIN | EPOLLOUT : EPOLLIN;
  // Decisions then run into their deadlines, and are made here.
  if (!loop_.Watch(descriptor, events, *this))
    log::Error("the event loop cannot watch the connection to Redis", {{"descriptor", descriptor}});
}

void RedisLane::OnEvents(std::uint32_t /*events*/) {
  limiter_.OnReady();
  CheckInTime();
}

void RedisLane::OnTurnEnd() {
  limiter_.Flush();
  CheckInTime();
}

void RedisLane::OnDeadline() {
  limiter_.Check();
  CheckInTime();
}

void RedisLane::CheckInTime() {
  SetDeadline(limiter_.next_check());
}

}  // namespace gathering
