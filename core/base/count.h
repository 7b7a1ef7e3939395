#pragma once
// A count that one thread writes and any thread reads.
#include <atomic>
#include <cstdint>

namespace gathering {

class Count {
 public:
  void Add(std::uint64_t more = 1) { Set(Get() + more); }
  void Set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace gathering
