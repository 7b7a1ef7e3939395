#pragma once
// What every cache counts, and how it is looked after from outside: the words are Caffeine's where it has
// one.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/cache/advisor.h"
#include "core/cache/shelf.h"

namespace gathering::cache {

struct Options {
  std::string name = {};  // what cache-stats prints
  Policy policy = Policy::kLru;
  Bounds bounds = {};                         // of all shards together
  std::chrono::milliseconds ttl{0};           // since an answer was true; 0: for ever
  std::chrono::milliseconds idle{0};          // since the last use; 0: for ever
  std::chrono::milliseconds negative_ttl{0};  // of "there is no such thing"; 0: not remembered
  std::uint32_t jitter_percent = 0;           // a lifetime is shorter by up to this, each its own
  std::uint32_t shards = 16;                  // at most; small caches have fewer
};

// Since the start.
struct Statistics {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;               // absent or too old
  std::uint64_t loads = 0;                // that answered
  std::uint64_t load_failures = 0;        // that threw
  std::uint64_t joined = 0;               // callers who had the answer of somebody else's load
  std::chrono::nanoseconds load_time{0};  // of both kinds together
  std::uint64_t evicted_for_entries = 0;
  std::uint64_t evicted_for_bytes = 0;
  std::uint64_t expired = 0;
  std::uint64_t invalidated = 0;
  std::uint64_t evicted_bytes = 0;  // for either bound
  std::uint64_t refused = 0;        // too large by itself
  std::uint64_t outdated = 0;       // answers that came after what made them wrong
};

struct Snapshot {
  std::string name;
  std::string_view policy;  // of what leaves first
  Bounds bounds;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;              // keys, values and what keeping them costs
  std::chrono::milliseconds oldest{0};  // age of the oldest answer
  Statistics statistics;
  std::vector<Advice> advice = {};  // what other sizes would bring; empty: nobody knows
};

// A store, whatever is in it.  Safe from any thread.
class Observed {
 public:
  virtual ~Observed() = default;

  [[nodiscard]] virtual Snapshot Look() const = 0;

  // Its own bounds, of which SetPart gives it a part.
  [[nodiscard]] virtual Bounds OwnBounds() const = 0;

  // Of its own bounds it has so much now, up to 1; what is too much leaves at once.  A store that does not
  // give way takes no notice.
  virtual void SetPart(double /*part*/) {}
};

}  // namespace gathering::cache
