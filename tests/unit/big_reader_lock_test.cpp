#include "core/base/big_reader_lock.h"

#include <catch2/catch.hpp>

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
  constexpr std::uint64_t kReads = 20'000;
  constexpr std::uint64_t kChanges = 2'000;
  constexpr std::size_t kReaders = Lock::kStripes + 4;
  Lock lock;
  std::uint64_t one = 0;
  std::uint64_t two = 0;
  std::atomic<std::uint64_t> torn = 0;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kReaders; ++i) {
      threads.emplace_back([&] {
        for (std::uint64_t read = 0; read < kReads; ++read) {
          const Lock::Reading reading{lock};
          if (one != two) ++torn;
          ++reading.part().reads;
        }
      });
    }
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        for (std::uint64_t change = 0; change < kChanges; ++change) {
          const Lock::Writing writing{lock};
          ++one;
          ++two;
        }
      });
    }
  }
  CHECK(torn == 0);
  CHECK(one == 2 * kChanges);
  std::uint64_t reads = 0;
  const Lock::Quiet quiet{lock};
  quiet.ForEachPart([&](const Count& count) { reads += count.reads; });
  CHECK(reads == kReaders * kReads);
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
