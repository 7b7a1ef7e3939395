#include "daemon/loop/heartbeat.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <vector>

#include "tests/support/eventually.h"
#include "tests/support/manual_clock.h"

namespace gathering::loop {
namespace {

using namespace std::chrono_literals;

// Two loops whose clock stands still, and a heartbeat every 100 ms of it.
class TwoLoops {
 public:
  TwoLoops() {
    first_.Start();
    second_.Start();
    first_.Post([this] {
      heartbeat_ =
          std::make_unique<Heartbeat>(std::vector<Loop*>{&first_, &second_}, 100ms, [this] { ++beats_; });
    });
  }
  ~TwoLoops() {
    first_.Post([this] { heartbeat_.reset(); });
    first_.Stop();
    second_.Stop();
  }

  [[nodiscard]] Loop& second() { return second_; }
  [[nodiscard]] int beats() const { return beats_; }

  // The time passes and the first loop has looked at its timers.
  void Pass(std::chrono::milliseconds time) {
    clock_.Advance(time);
    for (int i = 0; i < 2; ++i) {
      std::promise<void> done;
      first_.Post([&] { done.set_value(); });
      done.get_future().wait();
    }
  }

 private:
  test::ManualClock clock_;
  Loop first_{clock_, {.name = "first", .cpu = {}, .fibers = {}}};
  Loop second_{clock_, {.name = "second", .cpu = {}, .fibers = {}}};
  std::atomic<int> beats_{0};
  std::unique_ptr<Heartbeat> heartbeat_;  // on the first
};

}  // namespace

TEST_CASE("a heart beats at once and then once in each interval", "[heartbeat]") {
  TwoLoops loops;
  REQUIRE(test::Eventually([&] { return loops.beats() == 1; }));
  loops.Pass(50ms);
  CHECK(loops.beats() == 1);
  loops.Pass(50ms);
  REQUIRE(test::Eventually([&] { return loops.beats() == 2; }));
  loops.Pass(100ms);
  CHECK(test::Eventually([&] { return loops.beats() == 3; }));
}

TEST_CASE("a loop that hangs stops the heart, and it beats again when that turns", "[heartbeat]") {
  TwoLoops loops;
  REQUIRE(test::Eventually([&] { return loops.beats() == 1; }));
  std::promise<void> hangs;
  std::promise<void> enough;
  loops.second().Post([&hangs, until = enough.get_future().share()] {
    hangs.set_value();
    until.wait();
  });
  hangs.get_future().wait();
  for (int i = 0; i < 5; ++i) loops.Pass(100ms);
  CHECK(loops.beats() == 1);
  enough.set_value();
  REQUIRE(test::Eventually([&] { return loops.beats() == 2; }));
  loops.Pass(100ms);
  CHECK(test::Eventually([&] { return loops.beats() == 3; }));
}

}  // namespace gathering::loop
