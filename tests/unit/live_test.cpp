#include "core/base/live.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

namespace gathering {
namespace {

struct Pair {
  int one = 0;
  int same = 0;
};

}  // namespace

TEST_CASE("whoever reads a live value keeps what they read, and reads the next one next") {
  Live<Pair> live{Pair{1, 1}};
  const auto before = live.Get();
  live.Set({2, 2});
  CHECK(before->one == 1);
  CHECK(live.Get()->one == 2);
  CHECK(live.Get() == live.Get());
}

TEST_CASE("two live values of a type are never taken for each other") {
  Live<Pair> one{Pair{1, 1}};
  Live<Pair> other{Pair{2, 2}};
  for (int i = 0; i < 3; ++i) {
    CHECK(one.Get()->one == 1);
    CHECK(other.Get()->one == 2);
  }
}

TEST_CASE("many threads read a live value whole while it changes, and never an older one after a newer") {
  Live<Pair> live{Pair{}};
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 3; ++i) {
      readers.emplace_back([&](const std::stop_token& stop) {
        int last = 0;
        while (!stop.stop_requested()) {
          const auto value = live.Get();
          if (value->one != value->same || value->one < last) ++wrong;
          last = value->one;
        }
      });
    }
    for (int i = 1; i <= 2'000; ++i) live.Set({i, i});
  }
  CHECK(wrong == 0);
  CHECK(live.Get()->one == 2'000);
}

}  // namespace gathering
