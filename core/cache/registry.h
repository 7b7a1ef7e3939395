#pragma once
// Every bounded store of the process, by name, for those who look from outside.
#include <utility>
#include <vector>

#include "core/cache/statistics.h"

namespace gathering::cache {

// Safe from any thread.  What is in it must outlive it.
class Registry {
 public:
  explicit Registry(std::vector<Observed*> stores) : stores_(std::move(stores)) {}

  [[nodiscard]] const std::vector<Observed*>& stores() const { return stores_; }

  [[nodiscard]] std::vector<Snapshot> Look() const {
    std::vector<Snapshot> all;
    for (const Observed* const store : stores_) all.push_back(store->Look());
    return all;
  }

 private:
  const std::vector<Observed*> stores_;
};

}  // namespace gathering::cache
