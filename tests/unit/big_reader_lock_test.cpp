#include "core/base/big_reader_lock.h"

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "tests/support/eventually.h"

namespace gathering {
namespace {

struct Count {
  std::uint64_t reads = 0;
};
using Lock = BigReaderLock<Count>;

}  // namespace

TEST_CASE("readers see whole changes, and what they leave behind is complete", "[big-reader-lock]") {
  constexpr std::uint64_t kChanges = 500;
  constexpr std::size_t kReaders = Lock::kStripes;
  Lock lock;
  std::array<std::uint64_t, 512> alike{};
  std::atomic<std::uint64_t> torn = 0;
  std::atomic<std::uint64_t> reads = 0;
  std::atomic<bool> changed = false;
  std::vector<std::jthread> readers;
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      do {
        const Lock::Reading reading{lock};
        if (alike.front() != alike.back()) ++torn;
        ++reading.part().reads;
        ++reads;
      } while (!changed);
    });
  }
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 2; ++i) {
      writers.emplace_back([&] {
        for (std::uint64_t change = 0; change < kChanges; ++change) {
          const Lock::Writing writing{lock};
          for (std::uint64_t& one : alike) ++one;
        }
      });
    }
  }
  changed = true;
  readers.clear();
  CHECK(torn == 0);
  CHECK(alike.back() == 2 * kChanges);
  std::uint64_t left_behind = 0;
  const Lock::Quiet quiet{lock};
  quiet.ForEachPart([&](const Count& count) { left_behind += count.reads; });
  CHECK(left_behind == reads);
}

TEST_CASE("readers read beside each other and beside who keeps writers out; a writer waits for all of them",
          "[big-reader-lock]") {
  Lock lock;
  std::atomic<bool> written = false;
  std::atomic<bool> too_early = false;
  std::latch read{1};
  std::latch go_on{1};
  std::jthread reader{[&] {
    const Lock::Reading reading{lock};
    read.count_down();
    go_on.wait();
    too_early = written.load();
  }};
  read.wait();
  {
    const Lock::Quiet quiet{lock};
    std::jthread{[&] { const Lock::Reading beside{lock}; }};
  }
  std::jthread writer{[&] {
    const Lock::Writing writing{lock};
    written = true;
  }};
  go_on.count_down();
  CHECK(test::Eventually([&] { return written.load(); }));
  CHECK_FALSE(too_early);
}

TEST_CASE("when every stripe is taken, a reader waits for one", "[big-reader-lock]") {
  Lock lock;
  std::latch taken{static_cast<std::ptrdiff_t>(Lock::kStripes)};
  std::latch go_on{1};
  std::vector<std::jthread> readers;
  for (std::size_t i = 0; i < Lock::kStripes; ++i) {
    readers.emplace_back([&] {
      const Lock::Reading reading{lock};
      taken.count_down();
      go_on.wait();
      ++reading.part().reads;
    });
  }
  taken.wait();
  std::atomic<std::uint64_t> seen = 0;
  std::jthread late{[&] {
    const Lock::Reading reading{lock};
    seen = reading.part().reads;
  }};
  go_on.count_down();
  CHECK(test::Eventually([&] { return seen.load() == 1; }));  // its stripe's holder was done
}

}  // namespace gathering
