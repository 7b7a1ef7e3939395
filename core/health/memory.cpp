#include "core/health/memory.h"

#include <charconv>

#include "core/base/text.h"

namespace gathering::health {
namespace {

constexpr std::uint64_t kKiB = 1'024;

std::optional<std::uint64_t> ToNumber(std::string_view text) {
  text = Trimmed(text);
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{} || end == text.data()) return std::nullopt;
  return number;
}

// What follows a name at the beginning of a line.
std::optional<std::uint64_t> Named(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with(name)) return ToNumber(line.substr(name.size()));
  }
  return std::nullopt;
}

// Where this process' group is mounted; empty: nowhere.
std::string GroupDirectory() {
  for (const std::string& line : Split(ReadText("/proc/self/cgroup"), '\n')) {
    if (line.starts_with("0::")) return "/sys/fs/cgroup" + line.substr(3);
  }
  return {};
}

}  // namespace

std::optional<MemoryUse> ParseMachine(std::string_view text) {
  const auto total = Named(text, "MemTotal:");
  const auto available = Named(text, "MemAvailable:");
  if (!total || !available || *available > *total) return std::nullopt;
  return MemoryUse{.used = (*total - *available) * kKiB, .max = *total * kKiB};
}

std::optional<MemoryUse> ParseGroup(std::string_view max, std::string_view current, std::string_view stat) {
  const auto limit = ToNumber(max);
  const auto used = ToNumber(current);
  if (!limit || !used) return std::nullopt;
  const std::uint64_t files = Named(stat, "inactive_file ").value_or(0);
  return MemoryUse{.used = *used - std::min(*used, files), .max = *limit};
}

std::optional<MemoryUse> ReadMemoryUse() {
  const auto machine = ParseMachine(ReadText("/proc/meminfo"));
  const std::string directory = GroupDirectory();
  if (directory.empty()) return machine;
  const auto group = ParseGroup(ReadText(directory + "/memory.max"), ReadText(directory + "/memory.current"),
                                ReadText(directory + "/memory.stat"));
  if (!group || (machine && machine->part() > group->part())) return machine;
  return group;
}

}  // namespace gathering::health
