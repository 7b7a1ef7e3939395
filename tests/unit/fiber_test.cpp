#include "daemon/loop/fiber.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "daemon/loop/loop.h"
#include "daemon/loop/timers.h"

namespace gathering::loop {
namespace {

using namespace std::chrono_literals;

// Stands still until told otherwise.
class StillClock final : public Clock {
 public:
  Steady Now() const override { return Steady{std::chrono::milliseconds{ms_.load()}}; }
  Timestamp WallNow() const override { return {}; }
  void Advance(std::chrono::milliseconds by) { ms_ += by.count(); }

 private:
  std::atomic<std::int64_t> ms_{1'000'000};
};

// Functions on fibers of one loop, and a wait for all of them.
class Fixture {
 public:
  Fixture() { loop_.Start(); }
  ~Fixture() { loop_.Stop(); }

  void Go(std::function<void()> body) {
    ++running_;
    loop_.Post([this, body = std::move(body)] {
      auto* const job = new Job{*this, body};
      if (!loop_.fibers().Start(*job)) std::terminate();
    });
  }
  void WaitForAll() {
    for (int left = running_.load(); left > 0; left = running_.load()) running_.wait(left);
  }
  void Run(std::function<void()> body) {
    Go(std::move(body));
    WaitForAll();
  }
  // Returns when the loop has done everything posted so far and looked at its timers.
  void Turn() {
    for (int i = 0; i < 2; ++i) {
      std::promise<void> done;
      loop_.Post([&] { done.set_value(); });
      done.get_future().wait();
    }
  }

  StillClock clock;
  Loop& loop() { return loop_; }

 private:
  struct Job final : FiberJob {
    Job(Fixture& fixture_in, std::function<void()> body_in) : fixture(fixture_in), body(std::move(body_in)) {}
    void OnFiber() noexcept override { body(); }
    void OnFiberDone() override {
      Fixture& owner = fixture;
      delete this;
      --owner.running_;
      owner.running_.notify_all();
    }
    std::string_view Label() const override { return "test"; }
    Fixture& fixture;
    const std::function<void()> body;
  };

  Loop loop_{clock, {.name = "test", .cpu = {}, .fibers = {.stack_bytes = 65'536, .parked_max = 4}}};
  std::atomic<int> running_{0};
};

// Keeps the threads of a pool busy until it is opened.
class Gatekeeper {
 public:
  explicit Gatekeeper(WorkerPool& pool) {
    std::promise<void> entered;
    REQUIRE(pool.TryPost([this, &entered] {
      entered.set_value();
      open_.get_future().wait();
    }));
    entered.get_future().wait();
  }
  void Open() { open_.set_value(); }

 private:
  std::promise<void> open_;
};

struct Pool {
  explicit Pool(std::uint32_t threads, std::uint32_t queue_max = 1'000)
      : pool({.name = "test", .threads = threads, .queue_max = queue_max}) {}
  WorkerPool pool;
};

template <class F>
std::optional<Code> CodeThrownBy(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.code;
  }
  return std::nullopt;
}

TEST_CASE("work runs on another thread and its value comes back to the fiber", "[fiber]") {
  Pool workers{2};
  Fixture fixture;
  std::thread::id on_loop, on_worker, after;
  std::string value;
  fixture.Run([&] {
    CHECK(OnFiber());
    on_loop = std::this_thread::get_id();
    value = RunOn(workers.pool, std::nullopt, [&] {
      CHECK_FALSE(OnFiber());
      on_worker = std::this_thread::get_id();
      return std::string(100, 'v');
    });
    after = std::this_thread::get_id();
  });
  CHECK(value == std::string(100, 'v'));
  CHECK(on_loop == after);
  CHECK(on_loop != on_worker);
}

TEST_CASE("whom log lines are written for stays with the fiber, and goes with its work", "[fiber]") {
  Pool workers{2};
  Fixture fixture;
  constexpr std::size_t kFibers = 8;
  std::array<log::Context, kFibers> contexts;
  std::atomic<int> wrong{0};
  for (const log::Context& mine : contexts) {
    fixture.Go([&] {
      const auto check = [&](const log::Context* expected) { wrong += log::Current() == expected ? 0 : 1; };
      check(nullptr);
      const log::Scope scope{&mine};
      for (int i = 0; i < 20; ++i) {
        SleepUntilWoken({.what = "a turn of the loop"},
                        [&](const std::function<void()>& wake) { fixture.loop().Post(wake); });
        check(&mine);
        RunOn(workers.pool, std::nullopt, [&] { check(&mine); });
        check(&mine);
      }
    });
  }
  fixture.WaitForAll();
  std::promise<const log::Context*> of_loop;
  fixture.loop().Post([&] { of_loop.set_value(log::Current()); });
  CHECK(of_loop.get_future().get() == nullptr);
  std::promise<const log::Context*> of_worker;
  REQUIRE(workers.pool.TryPost([&] { of_worker.set_value(log::Current()); }));
  CHECK(of_worker.get_future().get() == nullptr);
  CHECK(wrong == 0);
}

TEST_CASE("off a fiber work simply runs", "[fiber]") {
  Pool workers{1};
  const auto here = std::this_thread::get_id();
  CHECK_FALSE(OnFiber());
  CHECK(RunOn(workers.pool, std::nullopt, [&] { return std::this_thread::get_id() == here; }));
}

TEST_CASE("what work throws comes out of RunOn", "[fiber]") {
  Pool workers{1};
  Fixture fixture;
  std::string what;
  fixture.Run([&] {
    try {
      RunOn(workers.pool, std::nullopt, [] { throw std::runtime_error("from the worker"); });
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
  });
  CHECK(what == "from the worker");
}

TEST_CASE("an exception being handled stays with its fiber", "[fiber]") {
  Pool workers{4};
  Fixture fixture;
  std::atomic<int> right{0};
  for (int i = 0; i < 50; ++i) {
    fixture.Go([&, i] {
      const std::string mine = std::to_string(i);
      try {
        throw std::runtime_error(mine);
      } catch (const std::runtime_error&) {
        for (int k = 0; k < 5; ++k) RunOn(workers.pool, std::nullopt, [] {});
        try {
          throw;  // the one of this fiber, whatever others threw meanwhile
        } catch (const std::runtime_error& again) {
          if (again.what() == mine) ++right;
        }
      }
    });
  }
  fixture.WaitForAll();
  CHECK(right == 50);
}

TEST_CASE("a fiber may sleep while its stack is being unwound", "[fiber]") {
  Pool workers{2};
  Fixture fixture;
  struct Waits {
    WorkerPool& pool;
    std::atomic<int>& seen;
    ~Waits() {
      RunOn(pool, std::nullopt, [] {});
      if (std::uncaught_exceptions() == 1) ++seen;
    }
  };
  std::atomic<int> seen{0}, calm{0};
  for (int i = 0; i < 20; ++i) {
    fixture.Go([&] {
      try {
        const Waits waits{workers.pool, seen};
        throw std::runtime_error("unwinds");
      } catch (const std::runtime_error&) {
      }
    });
    fixture.Go([&] {
      RunOn(workers.pool, std::nullopt, [] {});
      if (std::uncaught_exceptions() == 0) ++calm;
    });
  }
  fixture.WaitForAll();
  CHECK(seen == 20);
  CHECK(calm == 20);
}

TEST_CASE("a full queue is told at once and when to come back", "[fiber]") {
  Pool workers{1, 1};
  Fixture fixture;
  Gatekeeper gatekeeper{workers.pool};
  bool ran = false;
  fixture.Go([&] { RunOn(workers.pool, std::nullopt, [] {}); });  // fills the queue
  fixture.Turn();
  fixture.Go([&] {
    try {
      RunOn(workers.pool, std::nullopt, [&] { ran = true; });
      FAIL_CHECK("the queue was not full");
    } catch (const Error& e) {
      CHECK(e.code == Code::kUnavailable);
      CHECK(e.retry_after == 1s);
    }
  });
  fixture.Turn();
  gatekeeper.Open();
  fixture.WaitForAll();
  CHECK_FALSE(ran);
}

TEST_CASE("work whose deadline passes in the queue never runs", "[fiber]") {
  Pool workers{1};
  Fixture fixture;
  Gatekeeper gatekeeper{workers.pool};
  std::atomic<bool> ran{false}, back{false};
  const auto deadline = fixture.clock.Now() + 100ms;
  fixture.Go([&] {
    CHECK(CodeThrownBy([&] { RunOn(workers.pool, deadline, [&] { ran = true; }); }) == Code::kTimeout);
    back = true;
  });
  fixture.clock.Advance(99ms);
  fixture.Turn();
  CHECK_FALSE(back);
  fixture.clock.Advance(1ms);
  fixture.Turn();
  CHECK(back);
  gatekeeper.Open();
  workers.pool.Stop();
  CHECK_FALSE(ran);
}

TEST_CASE("work that runs is waited for beyond its deadline", "[fiber]") {
  Pool workers{1};
  Fixture fixture;
  std::promise<void> started, finish;
  std::atomic<bool> back{false};
  const auto deadline = fixture.clock.Now() + 100ms;
  fixture.Go([&] {
    RunOn(workers.pool, deadline, [&] {
      started.set_value();
      finish.get_future().wait();
    });
    back = true;
  });
  started.get_future().wait();
  fixture.clock.Advance(1h);
  fixture.Turn();
  CHECK_FALSE(back);
  finish.set_value();
  fixture.WaitForAll();
  CHECK(back);
}

TEST_CASE("a thousand fibers sleep at once and each wakes with its own stack", "[fiber]") {
  Pool workers{2, 2'000};
  Fixture fixture;
  Gatekeeper first{workers.pool};
  Gatekeeper second{workers.pool};
  std::atomic<int> right{0};
  for (int i = 0; i < 1'000; ++i) {
    fixture.Go([&, i] {
      const std::vector<int> mine(100, i);
      int local[64];
      for (int& value : local) value = i;
      const int doubled = RunOn(workers.pool, std::nullopt, [&] { return mine[50] * 2; });
      bool same = doubled == 2 * i;
      for (const int value : local) same = same && value == i;
      if (same) ++right;
    });
  }
  fixture.Turn();
  CHECK(workers.pool.Stats().waiting == 1'000);
  first.Open();
  second.Open();
  fixture.WaitForAll();
  CHECK(right == 1'000);
  fixture.Turn();
}

TEST_CASE("fibers race with deadlines and every one gets exactly one outcome", "[fiber]") {
  Pool workers{2, 10'000};
  Fixture fixture;
  std::atomic<int> ran{0}, done{0}, late{0};
  for (int i = 0; i < 2'000; ++i) {
    fixture.Go([&] {
      const auto code = CodeThrownBy([&] { RunOn(workers.pool, fixture.clock.Now() + 1ms, [&] { ++ran; }); });
      ++(code == Code::kTimeout ? late : done);
    });
    if (i % 10 == 0) fixture.clock.Advance(1ms);
  }
  fixture.clock.Advance(1s);
  fixture.Turn();
  fixture.WaitForAll();
  CHECK(done + late == 2'000);
  CHECK(ran == done);
}

TEST_CASE("a fiber that holds its loop for too long is counted", "[fiber]") {
  Fixture fixture;
  fixture.Run([&] { fixture.clock.Advance(20ms); });
  CHECK(fixture.loop().stalls() == 0);
  fixture.Run([&] { fixture.clock.Advance(21ms); });
  CHECK(fixture.loop().stalls() == 1);
}

TEST_CASE("what threads post to a loop runs in the order of each thread", "[loop]") {
  const SystemClock clock;
  Loop loop{clock, {}};
  loop.Start();
  constexpr int kThreads = 4, kEach = 5'000;
  std::vector<std::vector<int>> seen(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i)
          loop.Post([&, t, i] { seen[static_cast<std::size_t>(t)].push_back(i); });
      });
    }
  }
  loop.Stop();
  for (const auto& numbers : seen) {
    REQUIRE(numbers.size() == kEach);
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
  }
}

class Recorder final : public Timer {
 public:
  Recorder(Timers& timers, int name, std::vector<int>& fired) : Timer(timers), name_(name), fired_(fired) {}

 protected:
  void OnDeadline() override { fired_.push_back(name_); }

 private:
  const int name_;
  std::vector<int>& fired_;
};

TEST_CASE("timers fire once, in the order of their deadlines, however often those move", "[loop]") {
  Timers timers;
  std::vector<int> fired;
  const Clock::Steady start{1'000s};
  Recorder one{timers, 1, fired}, two{timers, 2, fired}, three{timers, 3, fired};
  one.SetDeadline(start + 10ms);
  two.SetDeadline(start + 20ms);
  three.SetDeadline(start + 30ms);
  CHECK(timers.Next() == start + 10ms);
  one.SetDeadline(start + 40ms);   // later
  three.SetDeadline(start + 5ms);  // earlier
  timers.RunDue(start + 4ms);
  CHECK(fired.empty());
  timers.RunDue(start + 25ms);
  CHECK(fired == std::vector<int>{3, 2});
  timers.RunDue(start + 39ms);
  CHECK(fired.size() == 2);
  timers.RunDue(start + 1s);
  CHECK(fired == std::vector<int>{3, 2, 1});
  timers.RunDue(start + 2s);
  CHECK(fired.size() == 3);
  CHECK(timers.queued() == 0);
}

TEST_CASE("a timer that is cleared or destroyed does not fire", "[loop]") {
  Timers timers;
  std::vector<int> fired;
  const Clock::Steady start{1'000s};
  std::vector<std::unique_ptr<Recorder>> recorders;
  for (int i = 0; i < 100; ++i) {
    recorders.push_back(std::make_unique<Recorder>(timers, i, fired));
    recorders.back()->SetDeadline(start + std::chrono::milliseconds{(i * 37) % 100});
  }
  for (std::size_t i = 0; i < 100; i += 3) recorders[i]->ClearDeadline();
  for (std::size_t i = 1; i < 100; i += 3) recorders[i].reset();
  timers.RunDue(start + 1s);
  CHECK(fired.size() == 33);
  for (std::size_t i = 1; i < fired.size(); ++i) CHECK((fired[i - 1] * 37) % 100 < (fired[i] * 37) % 100);
  for (const int name : fired) CHECK(name % 3 == 2);
}

}  // namespace
}  // namespace gathering::loop
