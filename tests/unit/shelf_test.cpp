// Which entry leaves: every policy beside a slow one written the plain way, and on published traces.
#include "core/cache/shelf.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace gathering::cache {
namespace {

// Asks for a key, and adds it when it is not there: whether it was.
class Asked {
 public:
  Asked(Policy policy, std::uint32_t entries_max) : shelf_(policy, {.entries_max = entries_max}) {}

  bool operator()(std::uint64_t key) {
    const Shelf::Slot slot = shelf_.Find(key, [&](Shelf::Slot one) { return shelf_.HashOf(one) == key; });
    if (slot != Shelf::kNone) {
      shelf_.Use({&slot, 1});
      return true;
    }
    while (shelf_.Full(1)) shelf_.Evict();
    shelf_.Add(key, 1);
    return false;
  }

 private:
  Shelf shelf_;
};

struct Entry {
  std::uint64_t key;
  int uses = 0;
};
using Entries = std::list<Entry>;  // the newest first

Entries::iterator Find(Entries& entries, std::uint64_t key) {
  return std::ranges::find(entries, key, &Entry::key);
}

class PlainLru {
 public:
  explicit PlainLru(std::size_t room) : room_(room) {}
  bool operator()(std::uint64_t key) {
    const auto found = Find(entries_, key);
    const bool hit = found != entries_.end();
    if (hit) entries_.erase(found);
    if (entries_.size() == room_) entries_.pop_back();
    entries_.push_front({key});
    return hit;
  }

 private:
  std::size_t room_;
  Entries entries_;
};

// After the pseudocode of the paper, with the hand as an index from the oldest.
class PlainSieve {
 public:
  explicit PlainSieve(std::size_t room) : room_(room) {}
  bool operator()(std::uint64_t key) {
    const auto found = std::ranges::find(entries_, key, &Entry::key);
    if (found != entries_.end()) {
      found->uses = 1;
      return true;
    }
    if (entries_.size() == room_) {
      while (entries_[hand_].uses == 1) {
        entries_[hand_].uses = 0;
        hand_ = (hand_ + 1) % entries_.size();
      }
      entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(hand_));
      if (hand_ == entries_.size()) hand_ = 0;
    }
    entries_.push_back({key});
    return false;
  }

 private:
  std::size_t room_;
  std::vector<Entry> entries_;  // the oldest first
  std::size_t hand_ = 0;
};

// After the pseudocode of the paper.
class PlainS3Fifo {
 public:
  explicit PlainS3Fifo(std::size_t room) : room_(room), small_room_(std::max<std::size_t>(1, room / 10)) {}
  bool operator()(std::uint64_t key) {
    for (Entries* const queue : {&small_, &main_}) {
      const auto found = Find(*queue, key);
      if (found == queue->end()) continue;
      found->uses = std::min(found->uses + 1, 3);
      return true;
    }
    while (small_.size() + main_.size() >= room_) Evict();
    const auto ghost = std::ranges::find(ghosts_, key);
    (ghost == ghosts_.end() ? small_ : main_).push_front({key});
    if (ghost != ghosts_.end()) ghosts_.erase(ghost);
    return false;
  }

 private:
  void Evict() {
    for (;;) {
      const bool from_small = !small_.empty() && (main_.empty() || small_.size() >= small_room_);
      Entries& queue = from_small ? small_ : main_;
      Entry entry = queue.back();
      queue.pop_back();
      if (from_small && entry.uses > 1) {
        main_.push_front({entry.key});
      } else if (!from_small && entry.uses > 0) {
        main_.push_front({entry.key, entry.uses - 1});
      } else {
        if (from_small) {
          if (ghosts_.size() == room_ - room_ / 10) ghosts_.pop_back();
          ghosts_.push_front(entry.key);
        }
        return;
      }
    }
  }

  std::size_t room_;
  std::size_t small_room_;
  Entries small_;
  Entries main_;
  std::deque<std::uint64_t> ghosts_;
};

// Numbers of 32 bits.
auto Random(unsigned seed) {
  return [engine = std::make_shared<std::mt19937>(seed)] { return static_cast<std::uint32_t>((*engine)()); };
}

template <class Plain>
void Compare(Policy policy) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    const auto random = Random(seed);
    const std::uint32_t room = 1 + random() % 60;
    Asked asked{policy, room};
    Plain plain{room};
    for (int i = 0; i < 3'000; ++i) {
      const std::uint64_t key =
          i % 97 < 20 ? 1'000U + static_cast<unsigned>(i) % 200U : std::min(random() % 100, random() % 100);
      if (asked(key) == plain(key)) continue;
      FAIL("seed " << seed << ", access " << i << ", room " << room);
    }
  }
  SUCCEED();
}

// Block numbers of a published trace; none where the traces are not beside the sources.
std::vector<std::uint64_t> Trace(const std::string& name) {
  const std::string path = std::string{GATHERING_SOURCE_DIR} + "/../shared/traces/" + name + ".trace.gz";
  if (!std::filesystem::exists(path)) return {};
  std::istringstream lines{test::Run("/usr/bin/gzip", {.arguments = {"-dc", path}}).out};
  std::vector<std::uint64_t> trace;
  for (std::string line; std::getline(lines, line);) {
    std::uint64_t block = 0;
    if (std::istringstream{line} >> block) trace.push_back(block);
  }
  return trace;
}

std::uint64_t Hits(const std::vector<std::uint64_t>& trace, Policy policy, std::uint32_t room) {
  Asked asked{policy, room};
  return static_cast<std::uint64_t>(
      std::ranges::count_if(trace, [&](std::uint64_t block) { return asked(block); }));
}

}  // namespace

TEST_CASE("LRU takes what a plain one takes") {
  Compare<PlainLru>(Policy::kLru);
}

TEST_CASE("SIEVE takes what the paper's takes") {
  Compare<PlainSieve>(Policy::kSieve);
}

TEST_CASE("S3-FIFO takes what the paper's takes") {
  Compare<PlainS3Fifo>(Policy::kS3Fifo);
}

TEST_CASE("on published traces LRU counts the known hits to the last one") {
  struct Known {
    const char* trace;
    std::size_t accesses;
    std::map<std::uint32_t, std::uint64_t> hits;  // by entries
  };
  const Known known[] = {
      {"gli", 6'015, {{250, 55}, {500, 57}, {1'000, 674}, {2'000, 3'453}}},
      {"cpp", 9'047, {{20, 56}, {50, 838}, {100, 6'307}, {200, 7'433}, {300, 7'553}}},
      {"2_pools", 100'000, {{50, 11'804}, {100, 21'946}, {200, 36'794}, {400, 49'153}}},
      {"multi3", 30'241, {{200, 4'459}, {600, 10'175}, {1'500, 13'343}, {2'500, 13'765}}},
      {"ps", 10'448, {{100, 770}, {300, 1'706}, {500, 5'072}}},
      {"sprite", 133'996, {{100, 28'917}, {400, 94'834}, {1'000, 121'452}}},
  };
  for (const Known& one : known) {
    const auto trace = Trace(one.trace);
    if (trace.empty()) {
      WARN("skipped: no traces beside the sources");
      return;
    }
    CHECK(trace.size() == one.accesses);
    for (const auto& [entries, hits] : one.hits) {
      INFO(one.trace << " at " << entries);
      CHECK(Hits(trace, Policy::kLru, entries) == hits);
    }
  }
}

TEST_CASE("on published traces SIEVE and S3-FIFO hit as often as published") {
  struct Known {
    const char* trace;
    std::uint32_t entries;
    double sieve;  // hits in 100
    double s3_fifo;
  };
  const Known known[] = {{"gli", 1'000, 31.3, 35.0},
                         {"cpp", 200, 83.9, 84.6},
                         {"2_pools", 200, 50.3, 50.3},
                         {"sprite", 1'000, 87.0, 89.2}};
  for (const Known& one : known) {
    const auto trace = Trace(one.trace);
    if (trace.empty()) {
      WARN("skipped: no traces beside the sources");
      return;
    }
    INFO(one.trace);
    const auto percent = [&](Policy policy) {
      return 100.0 * static_cast<double>(Hits(trace, policy, one.entries)) /
             static_cast<double>(trace.size());
    };
    CHECK(percent(Policy::kSieve) == Approx(one.sieve).margin(0.05));
    CHECK(percent(Policy::kS3Fifo) == Approx(one.s3_fifo).margin(0.2));
  }
}

TEST_CASE("a shelf never holds more than its bounds, whatever is added, removed and weighed anew") {
  for (const Policy policy : {Policy::kLru, Policy::kSieve, Policy::kS3Fifo}) {
    const auto random = Random(7);
    Shelf shelf{policy, {.entries_max = 50, .bytes_max = 1'000}};
    std::map<Shelf::Slot, std::uint64_t> held;
    for (int i = 0; i < 50'000; ++i) {
      const std::uint64_t bytes = random() % 120;
      const unsigned what = random() % 10;
      auto some = held.begin();
      if (!held.empty()) std::advance(some, random() % held.size());
      if (what < 6) {
        while (shelf.Full(bytes)) REQUIRE(held.erase(shelf.Evict()) == 1);
        REQUIRE(held.emplace(shelf.Add(random() % 64, bytes), bytes).second);
      } else if (!held.empty() && what < 7) {
        shelf.Remove(some->first);
        held.erase(some);
      } else if (!held.empty() && what < 8) {
        shelf.Reweigh(some->first, bytes);
        some->second = bytes;
        while (shelf.Over()) REQUIRE(held.erase(shelf.Evict()) == 1);
      } else if (!held.empty()) {
        shelf.Use({&some->first, 1});
      }
      if (i % 5'000 == 4'999) {
        shelf.SetBounds({.entries_max = 1 + random() % 80, .bytes_max = 500 + random() % 1'000});
        while (shelf.Over()) REQUIRE(held.erase(shelf.Evict()) == 1);
      }
      std::uint64_t sum = 0;
      for (const auto& [slot, weight] : held) sum += weight;
      REQUIRE(shelf.entries() == held.size());
      REQUIRE(shelf.bytes() == sum);
      REQUIRE(shelf.entries() <= shelf.bounds().entries_max);
      REQUIRE(shelf.bytes() <= shelf.bounds().bytes_max);
    }
  }
}

}  // namespace gathering::cache
