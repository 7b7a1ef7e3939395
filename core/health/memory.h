#pragma once
// How much memory is in use of what there is for this process: of its control group (version 2) where that
// has a limit, else of the machine; of both, whichever is nearer to its end.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gathering::health {

struct MemoryUse {
  std::uint64_t used = 0;  // bytes that cannot simply be given back, as file pages can
  std::uint64_t max = 0;

  [[nodiscard]] double part() const {
    return max == 0 ? 0 : static_cast<double>(used) / static_cast<double>(max);
  }
};

// From the text of /proc/meminfo.
[[nodiscard]] std::optional<MemoryUse> ParseMachine(std::string_view text);

// From the texts of memory.max, memory.current and memory.stat.  None: there is no limit.
[[nodiscard]] std::optional<MemoryUse> ParseGroup(std::string_view max, std::string_view current,
                                                  std::string_view stat);

// None: neither can be read.  Reads files.
[[nodiscard]] std::optional<MemoryUse> ReadMemoryUse();

}  // namespace gathering::health
