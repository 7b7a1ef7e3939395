#include "core/health/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <system_error>
#include <vector>

#include "core/base/text.h"

namespace gathering::health {
namespace {

// Columns behind the command, as proc(5) numbers them less the three before: the state is the first.
constexpr std::size_t kUserTicks = 11;
constexpr std::size_t kSystemTicks = 12;
constexpr std::size_t kThreads = 17;
constexpr std::size_t kStartTicks = 19;
constexpr std::size_t kVirtualBytes = 20;
constexpr std::size_t kResidentPages = 21;

std::vector<std::string_view> Words(std::string_view text) {
  constexpr std::string_view kSpaces = " \n";
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = text.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    words.push_back(text.substr(0, text.find_first_of(kSpaces)));
    text.remove_prefix(words.back().size());
  }
}

std::optional<std::int64_t> Number(std::string_view word) {
  std::int64_t value = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<std::int64_t> At(const std::vector<std::string_view>& words, std::size_t index) {
  return index < words.size() ? Number(words[index]) : std::nullopt;
}

KernelUnits UnitsOfThisKernel() {
  return {.ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK)),
          .page_bytes = ::sysconf(_SC_PAGESIZE)};
}

std::optional<std::int64_t> CountOpen(const std::string& directory) {
  std::error_code error;
  std::int64_t count = 0;
  for (std::filesystem::directory_iterator at{directory, error}, end; !error && at != end;
       at.increment(error))
    ++count;
  if (error || count == 0) return std::nullopt;
  return count - 1;  // one of them was for looking
}

std::optional<std::int64_t> MostOpen() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return static_cast<std::int64_t>(limit.rlim_cur);
}

}  // namespace

void ParseProcessStat(std::string_view text, const KernelUnits& units,
                      std::optional<double> boot_time_seconds, ProcessMetrics& metrics) {
  const std::size_t command_end = text.rfind(')');  // a command may hold spaces and parentheses
  if (command_end == std::string_view::npos) return;
  const std::vector<std::string_view> words = Words(text.substr(command_end + 1));
  const auto user = At(words, kUserTicks);
  const auto system = At(words, kSystemTicks);
  if (user && system) metrics.cpu_seconds = static_cast<double>(*user + *system) / units.ticks_per_second;
  if (const auto start = At(words, kStartTicks); start && boot_time_seconds)
    metrics.start_time_seconds = *boot_time_seconds + static_cast<double>(*start) / units.ticks_per_second;
  metrics.threads = At(words, kThreads);
  metrics.virtual_memory_bytes = At(words, kVirtualBytes);
  if (const auto pages = At(words, kResidentPages)) metrics.resident_memory_bytes = *pages * units.page_bytes;
}

std::optional<double> ParseBootTime(std::string_view text) {
  constexpr std::string_view kName = "\nbtime ";
  const std::size_t begin = text.find(kName);
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin + kName.size());
  const auto seconds = Number(text.substr(0, text.find('\n')));
  if (!seconds) return std::nullopt;
  return static_cast<double>(*seconds);
}

ProcessMetrics ReadProcess(const std::string& proc_dir) {
  ProcessMetrics metrics;
  ParseProcessStat(ReadText(proc_dir + "/self/stat"), UnitsOfThisKernel(),
                   ParseBootTime(ReadText(proc_dir + "/stat")), metrics);
  metrics.open_fds = CountOpen(proc_dir + "/self/fd");
  metrics.max_fds = MostOpen();
  return metrics;
}

}  // namespace gathering::health
