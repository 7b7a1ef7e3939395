#pragma once
// A value that many read and that is now and then replaced as a whole.
//
// Whoever reads gets all of one value, which lives as long as they hold it.  A thread that has read this
// value before takes no lock and shares no counter with others; it lets go of the value it read last when it
// reads the next one, or ends.  Safe from any thread.
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/base/guarded.h"

namespace gathering {

template <class T>
class Live {
 public:
  explicit Live(T value) { Set(std::move(value)); }
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  [[nodiscard]] std::shared_ptr<const T> Get() const {
    thread_local Known known;
    if (known.version != version_.load(std::memory_order_acquire)) {
      known = current_.With([](const Known& current) { return current; });
      // With a counter of this thread's own.
      const auto shared = std::make_shared<const std::shared_ptr<const T>>(std::move(known.value));
      known.value = {shared, shared->get()};
    }
    return known.value;
  }

  void Set(T value) {
    Known next{.version = NextVersion(), .value = std::make_shared<const T>(std::move(value))};
    const std::uint64_t version = next.version;
    current_.With([&](Known& current) { current = std::move(next); });
    version_.store(version, std::memory_order_release);
  }

 private:
  // No two values have the same, whoever's they are.
  struct Known {
    std::uint64_t version = 0;
    std::shared_ptr<const T> value;
  };
  static std::uint64_t NextVersion() {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
  }

  Guarded<Known> current_;
  std::atomic<std::uint64_t> version_{0};
};

}  // namespace gathering
