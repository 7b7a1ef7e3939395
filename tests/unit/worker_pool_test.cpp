#include "core/base/worker_pool.h"

#include <pthread.h>

#include <array>
#include <atomic>
#include <latch>

#include <catch2/catch.hpp>

namespace gathering::test {
namespace {

// Keeps one thread of a pool busy until released.
class Plug {
 public:
  explicit Plug(WorkerPool& pool) {
    accepted_ = pool.TryPost([this] {
      started_.count_down();
      released_.wait();
    });
    if (accepted_) started_.wait();
  }
  ~Plug() { Release(); }
  void Release() {
    if (!std::exchange(done_, true)) released_.count_down();
  }
  bool accepted() const { return accepted_; }

 private:
  std::latch started_{1};
  std::latch released_{1};
  bool done_ = false;
  bool accepted_ = false;
};

}  // namespace

TEST_CASE("jobs run in order on one thread, under the pool's name", "[worker_pool]") {
  WorkerPool pool{{.name = "kitchen", .threads = 1}};
  std::vector<int> order;
  std::latch done{5};
  std::array<char, 16> name{};
  for (int i = 0; i < 5; ++i) {
    REQUIRE(pool.TryPost([&, i] {
      pthread_getname_np(pthread_self(), name.data(), name.size());
      order.push_back(i);
      done.count_down();
    }));
  }
  done.wait();
  CHECK(order == std::vector{0, 1, 2, 3, 4});
  CHECK(std::string{name.data()} == "kitchen-0");
}

TEST_CASE("as many jobs run at once as there are threads", "[worker_pool]") {
  WorkerPool pool{{.name = "pair", .threads = 2}};
  std::latch both{2};
  std::latch done{2};
  for (int i = 0; i < 2; ++i) {
    REQUIRE(pool.TryPost([&] {
      both.arrive_and_wait();
      done.count_down();
    }));
  }
  done.wait();
  SUCCEED("both met");
}

TEST_CASE("a full queue refuses at once and counts it", "[worker_pool]") {
  WorkerPool pool{{.name = "full", .threads = 1, .queue_max = 2}};
  Plug plug{pool};
  REQUIRE(plug.accepted());
  std::atomic<int> ran = 0;
  CHECK(pool.TryPost([&] { ++ran; }));
  CHECK(pool.TryPost([&] { ++ran; }));
  CHECK_FALSE(pool.TryPost([&] { ran += 100; }));
  const WorkerPoolStats stats = pool.Stats();
  CHECK(stats.threads == 1);
  CHECK(stats.running == 1);
  CHECK(stats.waiting == 2);
  CHECK(stats.refused == 1);
  plug.Release();
  pool.Stop();
  CHECK(ran == 2);
  CHECK(pool.Stats().done == 3);
  CHECK(pool.Stats().running == 0);
}

TEST_CASE("a stopped pool has finished what it accepted and takes no more", "[worker_pool]") {
  WorkerPool pool{{.name = "stop", .threads = 2, .queue_max = 1'000}};
  std::atomic<int> ran = 0;
  for (int i = 0; i < 500; ++i) REQUIRE(pool.TryPost([&] { ++ran; }));
  pool.Stop();
  CHECK(ran == 500);
  CHECK_FALSE(pool.TryPost([&] { ++ran; }));
  pool.Stop();
  CHECK(ran == 500);
}

TEST_CASE("a job may post another", "[worker_pool]") {
  WorkerPool pool{{.name = "chain", .threads = 1}};
  std::latch done{1};
  std::atomic<bool> accepted = false;
  REQUIRE(pool.TryPost([&] { accepted = pool.TryPost([&] { done.count_down(); }); }));
  done.wait();
  pool.Stop();
  CHECK(accepted);
}

}  // namespace gathering::test
