#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cmd/cache_check.h"
#include "cmd/cache_look.h"
#include "cmd/cache_stats_text.h"
#include "cmd/command.h"
#include "cmd/daemon_client.h"
#include "cmd/interrupt.h"
#include "cmd/terminal.h"
#include "core/base/clock.h"
#include "core/config/value.h"
#include "core/schema/writer.h"

namespace gathering::cmd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kWatchMin{100};
constexpr milliseconds kWatchMax{3'600'000};
constexpr milliseconds kLookEvery{50};  // at whether to stop, should the signal hit another thread
constexpr std::int64_t kCountMax = 0xffff'ffff;
constexpr std::string_view kCleared = "\x1b[2J\x1b[H";  // the screen, and its first line

struct CacheStatsOptions {
  DaemonOptions daemon;
  bool all_instances = false;
  std::vector<std::string> caches;  // empty: all
  milliseconds watch{-1};           // negative: once
  std::uint32_t count = 0;          // 0: until it is stopped
  std::string output = "text";
  std::vector<std::string> check;

  [[nodiscard]] bool watches() const { return watch.count() >= 0; }
};

void RequireOneUse(const CacheStatsOptions& options) {
  const bool watches = options.watches();
  if (watches && (options.watch < kWatchMin || options.watch > kWatchMax)) {
    throw UsageError{fmt::format("--watch takes {} to {}; give one of them, as 1s", config::ToText(kWatchMin),
                                 config::ToText(kWatchMax))};
  }
  if (options.count > 0 && !watches) throw UsageError{"--count is how often --watch looks; give that, too"};
  if (watches && options.output == "prometheus")
    throw UsageError{"--output prometheus is one look; leave --watch out"};
  if (!options.check.empty() && (watches || options.output != "text"))
    throw UsageError{"--check prints one line of its own; leave --watch and --output out"};
}

class CacheStatsCommand {
 public:
  CacheStatsCommand(const Context& context, const CacheStatsOptions& options)
      : options_(options), client_(context, options.daemon) {}

  [[nodiscard]] CachesLook Look() const {
    const std::string target =
        options_.all_instances ? "/health/caches?all_instances=true" : "/health/caches";
    CachesLook look = ReadLook(client_.Get(target), clock_.WallNow());
    if (options_.all_instances) MergeInstances(look);
    KeepCaches(look, options_.caches);
    return look;
  }

  Exit Run() {
    std::optional<CachesLook> before;
    Clock::Steady before_at{};
    for (std::uint32_t looks = 1;; ++looks) {
      const Clock::Steady at = clock_.Now();
      CachesLook look = Look();
      if (before) AddRates(look, *before, at - before_at);
      Show(look, looks == 1);
      if (!options_.watches() || looks == options_.count) return Exit::kOk;
      before = std::move(look);
      before_at = at;
      if (!Rest(at + options_.watch)) return stop_asked ? Exit::kInterrupted : Exit::kOk;
    }
  }

 private:
  void Show(const CachesLook& look, bool first) const {
    if (options_.output == "json") {
      Print(schema::ToJson(look) + "\n");
    } else if (options_.output == "csv") {
      Print((first ? CachesCsvHeader() : std::string{}) + CachesCsv(look));
    } else if (options_.output == "prometheus") {
      Print(CachesPrometheus(look));
    } else {
      Print(Text(look));
    }
  }

  [[nodiscard]] std::string Text(const CachesLook& look) const {
    std::string text;
    if (options_.watches()) {
      if (::isatty(STDOUT_FILENO) != 0) text = kCleared;
      text += look.time + "\n";
    }
    text += CachesText(look);
    if (options_.caches.empty()) return text;
    for (const CacheLook& cache : look.caches) text += AdviceText(cache);
    return text;
  }

  // False when it is to end: a signal came, or nobody reads any more.
  [[nodiscard]] bool Rest(Clock::Steady until) const {
    while (!stop_asked && clock_.Now() < until) {
      const auto left = std::chrono::ceil<milliseconds>(until - clock_.Now());
      pollfd reader{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
      if (::poll(&reader, 1, static_cast<int>(std::clamp(left, milliseconds{0}, kLookEvery).count())) > 0)
        return false;
    }
    return !stop_asked;
  }

  const CacheStatsOptions& options_;
  const DaemonClient client_;
  const SystemClock clock_;
};

// Whatever goes wrong is a plugin's answer, too.
Exit Check(const Context& context, const CacheStatsOptions& options) {
  CheckResult result;
  try {
    RequireOneUse(options);
    std::vector<CacheCondition> conditions;
    for (const std::string& text : options.check) conditions.emplace_back(text);
    result = CheckCaches(conditions, CacheStatsCommand{context, options}.Look());
  } catch (const std::exception& error) {
    result = UnknownCaches(error.what());
  }
  Print(result.line + "\n");
  return static_cast<Exit>(result.health);
}

Exit Run(const Context& context, const CacheStatsOptions& options) {
  if (!options.check.empty()) return Check(context, options);
  RequireOneUse(options);
  CacheStatsCommand command{context, options};
  WatchInterrupts();
  try {
    return command.Run();
  } catch (const std::exception& error) {
    const Exit exit = ReportError(error);
    return stop_asked ? Exit::kInterrupted : exit;
  }
}

}  // namespace

Action DeclareCacheStats(Syntax syntax, Context& context) {
  auto options = std::make_shared<CacheStatsOptions>();
  AddDaemonFlags(syntax, context, options->daemon);
  syntax.Flag("--all-instances", options->all_instances, "Every daemon on the database, taken together");
  syntax.Texts("--cache", options->caches, "CACHE",
               "Only this cache, and what other sizes would bring; may be given several times");
  syntax.DurationOrAlone("--watch", options->watch, "1s", "Look again and again; default every 1s");
  syntax.Number("--count", options->count, {1, kCountMax}, "With --watch: end after so many looks");
  syntax.Choice("--output", options->output, {"text", "json", "csv", "prometheus"},
                "How to print the caches; JSON has \"schema\": 1");
  syntax.Texts(
      "--check", options->check, "CONDITION",
      "As a Nagios plugin: critical while this holds, as 'hit_ratio<0.6' or 'warn:tokens:fill>0.9'; may be "
      "given several times");
  return [options, &context] { return Run(context, *options); };
}

}  // namespace gathering::cmd
