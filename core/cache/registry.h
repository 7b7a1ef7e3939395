#pragma once
// Every bounded store of the process, by name, for those who look from outside.
#include <vector>

#include "core/cache/statistics.h"

namespace gathering::cache {

// Filled before anybody looks; then safe from any thread.  What is in it must outlive it.
class Registry {
 public:
  void Add(const Observed& store) { stores_.push_back(&store); }

  [[nodiscard]] std::vector<Snapshot> Look() const {
    std::vector<Snapshot> all;
    for (const Observed* const store : stores_) all.push_back(store->Look());
    return all;
  }

 private:
  std::vector<const Observed*> stores_;
};

}  // namespace gathering::cache
