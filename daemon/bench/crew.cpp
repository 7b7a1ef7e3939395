#include "daemon/bench/crew.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "daemon/loop/loop.h"

namespace gathering::bench {
namespace {

constexpr std::uint64_t kReadTrips = 2;   // BEGIN and COMMIT
constexpr std::uint64_t kWriteTrips = 3;  // and the wait for the disk
constexpr std::chrono::seconds kPatience{30};

// Runs the statements of another one and counts them.
class Counting final : public db::Executor {
 public:
  explicit Counting(db::Executor& inner) : inner_(inner) {}
  db::Rows Execute(const db::Query& query, const db::Params& params) override {
    ++count_;
    return inner_.Execute(query, params);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }

 private:
  db::Executor& inner_;
  std::uint64_t count_ = 0;
};

// The first thing that went wrong in several threads.
class FirstFailure {
 public:
  void Note(std::exception_ptr failure = std::current_exception()) {
    std::scoped_lock lock{mutex_};
    if (!failure_) failure_ = std::move(failure);
  }
  void Rethrow() {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  std::mutex mutex_;
  std::exception_ptr failure_;
};

// What the crews of threads have in common.
class ThreadCrew : public Crew {
 public:
  void Run(std::uint32_t clients, const std::function<void(std::uint32_t, Port&)>& body) final {
    FirstFailure failure;
    {
      std::vector<std::jthread> threads;
      threads.reserve(clients);
      for (std::uint32_t client = 0; client < clients; ++client) {
        threads.emplace_back([&, client] {
          try {
            ThreadPort port{*this};
            body(client, port);
          } catch (...) {
            failure.Note();
          }
        });
      }
    }
    failure.Rethrow();
  }

 protected:
  virtual void PerformOne(const Operation& operation) = 0;

 private:
  class ThreadPort final : public Port {
   public:
    explicit ThreadPort(ThreadCrew& crew) : crew_(crew) {}
    void Perform(const Operation& operation) override { crew_.PerformOne(operation); }
    void WaitUntil(Clock::Steady moment) override { std::this_thread::sleep_until(moment); }

   private:
    ThreadCrew& crew_;
  };
};

// One connection, and whoever wants it in the order they came.
class ConnectionCrew final : public ThreadCrew {
 public:
  ConnectionCrew(const db::ConnectionOptions& options, const Dimensions& dimensions, const Clock& clock)
      : dimensions_(dimensions), clock_(clock), options_(options) {}

  Spent Read() const override {
    std::scoped_lock lock{mutex_};
    return spent_;
  }

 private:
  struct Turn {
    std::condition_variable come;
  };

  class Direct final : public db::Executor {
   public:
    explicit Direct(db::Connection& connection) : connection_(connection) {}
    db::Rows Execute(const db::Query& query, const db::Params& params) override {
      return connection_.Execute(query, params);
    }

   private:
    db::Connection& connection_;
  };

  void PerformOne(const Operation& operation) override {
    const auto asked_at = clock_.Now();
    Take();
    const auto begun_at = clock_.Now();
    std::uint64_t statements = 0;
    try {
      statements = OnConnection(operation);
    } catch (...) {
      GiveBack(statements, begun_at - asked_at);
      throw;
    }
    GiveBack(statements, begun_at - asked_at);
  }

  std::uint64_t OnConnection(const Operation& operation) {
    if (!connection_ || !connection_->open()) connection_ = std::make_unique<db::Connection>(options_);
    Direct direct{*connection_};
    Counting counting{direct};
    bench::Perform(counting, operation, dimensions_);
    return counting.count();
  }

  void Take() {
    std::unique_lock lock{mutex_};
    if (!std::exchange(taken_, true)) return;
    Turn mine;
    waiting_.push_back(&mine);
    // Whoever hands it over takes us off the list.
    mine.come.wait(lock,
                   [&] { return std::find(waiting_.begin(), waiting_.end(), &mine) == waiting_.end(); });
  }

  void GiveBack(std::uint64_t statements, Clock::Steady::duration waited) {
    std::scoped_lock lock{mutex_};
    ++spent_.operations;
    spent_.round_trips += statements;
    spent_.waited += std::chrono::duration_cast<std::chrono::microseconds>(waited);
    taken_ = !waiting_.empty();
    if (!taken_) return;
    Turn& next = *waiting_.front();
    waiting_.pop_front();
    next.come.notify_one();
  }

  const Dimensions& dimensions_;
  const Clock& clock_;
  const db::ConnectionOptions options_;
  std::unique_ptr<db::Connection> connection_;  // of whoever has taken it
  mutable std::mutex mutex_;                    // of the rest
  bool taken_ = false;
  std::deque<Turn*> waiting_;
  Spent spent_;
};

class PoolCrew final : public ThreadCrew {
 public:
  PoolCrew(const db::PoolOptions& options, const Dimensions& dimensions, const Clock& clock)
      : dimensions_(dimensions), pool_(options, clock) {}

  Spent Read() const override {
    const db::PoolStats stats = pool_.Stats();
    return {.operations = stats.acquired, .round_trips = round_trips_, .waited = stats.waited};
  }

 private:
  void PerformOne(const Operation& operation) override {
    const db::Mode mode = operation.writes() ? db::Mode::kWrite : db::Mode::kRead;
    pool_.Run(
        mode,
        [&](db::Tx& tx) {
          Counting counting{tx};
          bench::Perform(counting, operation, dimensions_);
          round_trips_ += counting.count() + (operation.writes() ? kWriteTrips : kReadTrips);
        },
        std::nullopt);
  }

  const Dimensions& dimensions_;
  db::Pool pool_;
  std::atomic<std::uint64_t> round_trips_{0};
};

// One loop with its pipelines.
class PipelineCrew final : public Crew {
 public:
  PipelineCrew(const DatabaseConfig& config, std::uint32_t loops, const Dimensions& dimensions,
               const Clock& clock)
      : dimensions_(dimensions), clock_(clock), config_(config), database_(config_, clock) {
    for (std::uint32_t i = 0; i < loops; ++i) {
      loops_.push_back(std::make_unique<loop::Loop>(
          clock, loop::LoopOptions{.name = fmt::format("bench-{}", i), .cpu = {}, .fibers = {}}));
      loops_.back()->Post([this, &loop = *loops_.back()] { database_.Attach(loop); });
      loops_.back()->Start();
    }
  }

  void Run(std::uint32_t clients, const std::function<void(std::uint32_t, Port&)>& body) override {
    Round round{*this, body, clients};
    for (std::uint32_t client = 0; client < clients; ++client) {
      loop::Loop& loop = *loops_[client % loops_.size()];
      loop.Post([&round, &loop, client] { round.Start(loop, client); });
    }
    round.Await();
  }

  Spent Read() const override {
    const DatabaseStats stats = database_.Stats();
    Spent spent{
        .operations = 0, .round_trips = kReadTrips * stats.pool.acquired, .waited = stats.pool.waited};
    for (const LaneStats& lane : stats.lanes) spent.round_trips += lane.pipeline.batches;
    for (const db::QueryCost& cost : stats.queries) {
      spent.operations += cost.count;
      spent.waited += std::chrono::microseconds{cost.wait_micros};
    }
    return spent;
  }

 private:
  class FiberPort final : public Port, private db::Executor {
   public:
    FiberPort(PipelineCrew& crew, loop::Loop& loop) : crew_(crew), loop_(loop) {}
    void Perform(const Operation& operation) override { bench::Perform(*this, operation, crew_.dimensions_); }
    void WaitUntil(Clock::Steady moment) override {
      Alarm alarm{loop_};
      alarm.SetDeadline(moment);
      loop_.fibers().Suspend({.what = "its moment"});
    }

   private:
    class Alarm final : public loop::Timer {
     public:
      explicit Alarm(loop::Loop& loop) : Timer(loop.timers()), loop_(loop), fiber_(loop.fibers().current()) {}

     private:
      void OnDeadline() override { loop_.fibers().Resume(*fiber_); }
      loop::Loop& loop_;
      loop::Fiber* const fiber_;
    };

    db::Rows Execute(const db::Query& query, const db::Params& params) override {
      return crew_.database_.Execute(query, params, crew_.clock_.Now() + kPatience);
    }

    PipelineCrew& crew_;
    loop::Loop& loop_;
  };

  // The clients of one Run.
  class Round {
   public:
    Round(PipelineCrew& crew, const std::function<void(std::uint32_t, Port&)>& body, std::uint32_t clients)
        : crew_(crew), body_(body), left_(clients) {}

    // On the loop's thread.
    void Start(loop::Loop& loop, std::uint32_t client) {
      auto job = std::make_unique<Job>(*this, loop, client);
      if (loop.fibers().Start(*job)) {
        static_cast<void>(job.release());  // OnFiberDone deletes it
        return;
      }
      failure_.Note(
          std::make_exception_ptr(Unavailable("no memory for so many clients", std::chrono::seconds{1})));
      End();
    }

    void Await() {
      std::unique_lock lock{mutex_};
      ended_.wait(lock, [this] { return left_ == 0; });
      failure_.Rethrow();
    }

   private:
    class Job final : public loop::FiberJob {
     public:
      Job(Round& round, loop::Loop& loop, std::uint32_t client)
          : round_(round), loop_(loop), client_(client) {}
      void OnFiber() noexcept override {
        try {
          FiberPort port{round_.crew_, loop_};
          round_.body_(client_, port);
        } catch (...) {
          round_.failure_.Note();
        }
      }
      void OnFiberDone() override {
        Round& round = round_;
        delete this;
        round.End();
      }
      [[nodiscard]] std::string_view Label() const override { return "bench"; }

     private:
      Round& round_;
      loop::Loop& loop_;
      const std::uint32_t client_;
    };

    void End() {
      std::scoped_lock lock{mutex_};
      if (--left_ == 0) ended_.notify_one();
    }

    PipelineCrew& crew_;
    const std::function<void(std::uint32_t, Port&)>& body_;
    FirstFailure failure_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::uint32_t left_;
  };

  const Dimensions& dimensions_;
  const Clock& clock_;
  const DatabaseConfig config_;
  Database database_;
  std::vector<std::unique_ptr<loop::Loop>> loops_;  // end before the database does
};

}  // namespace

std::unique_ptr<Crew> MakeConnectionCrew(const db::ConnectionOptions& options, const Dimensions& dimensions,
                                         const Clock& clock) {
  return std::make_unique<ConnectionCrew>(options, dimensions, clock);
}

std::unique_ptr<Crew> MakePoolCrew(const db::PoolOptions& options, const Dimensions& dimensions,
                                   const Clock& clock) {
  return std::make_unique<PoolCrew>(options, dimensions, clock);
}

std::unique_ptr<Crew> MakePipelineCrew(const DatabaseConfig& config, std::uint32_t loops,
                                       const Dimensions& dimensions, const Clock& clock) {
  return std::make_unique<PipelineCrew>(config, loops, dimensions, clock);
}

}  // namespace gathering::bench
