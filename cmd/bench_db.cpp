#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "cmd/bench_text.h"
#include "cmd/command.h"
#include "cmd/interrupt.h"
#include "cmd/terminal.h"
#include "cmd/tool_database.h"
#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/bench/condition.h"
#include "core/bench/place.h"
#include "core/bench/report.h"
#include "core/config/value.h"
#include "core/schema/writer.h"
#include "daemon/bench/bench.h"

namespace gathering::cmd {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kMembersMax = 10'000;
constexpr std::int64_t kSeedMax = 0xffff'ffff;
constexpr double kRateMax = 1e7;
constexpr milliseconds kDurationMin{100};
constexpr milliseconds kDurationMax{3'600'000};
constexpr milliseconds kRemoveLockTimeout{10'000};

struct BenchDbOptions {
  std::vector<std::string> scenarios;  // as typed
  std::string clients = "1,8,64";
  milliseconds duration{2'000};
  milliseconds warmup{400};
  std::string rate;
  std::uint32_t members = 20;
  std::uint32_t seed = 1;
  std::string output = "text";
  std::string compare;
  std::vector<std::string> fail_if;
  bool yes = false;
};

// --- what was asked for ----------------------------------------------------------------------------

// "point-read" or "point-read/pool", several with commas.  In the order of the table.
std::vector<bench::Variant> ChosenVariants(const std::vector<std::string>& typed) {
  std::set<std::string> words;
  for (const std::string& one : typed) {
    for (const std::string& word : Split(one, ',')) words.insert(word);
  }
  std::vector<bench::Variant> chosen;
  std::set<std::string> known;
  for (const bench::Variant& variant : bench::Variants()) {
    const std::string scenario{variant.scenario};
    const std::string name = fmt::format("{}/{}", variant.scenario, variant.name);
    known.insert(scenario);
    known.insert(name);
    if (words.empty() || words.contains(scenario) || words.contains(name)) chosen.push_back(variant);
  }
  for (const std::string& word : words) {
    if (known.contains(word)) continue;
    const std::vector<std::string_view> names{known.begin(), known.end()};
    throw UsageError{fmt::format("there is no scenario '{}'; there are {}{}", word, fmt::join(known, ", "),
                                 DidYouMean(word, names))};
  }
  return chosen;
}

std::vector<std::uint32_t> ChosenClients(const std::string& typed) {
  std::vector<std::uint32_t> clients;
  for (const std::string& word : Split(typed, ',')) {
    const auto number = config::ParseInteger(word);
    if (!number || *number < 1 || *number > bench::kClientsMax) {
      throw UsageError{fmt::format("'{}' is not a number of clients; give 1 to {}, as in 1,8,64", word,
                                   bench::kClientsMax)};
    }
    const auto count = static_cast<std::uint32_t>(*number);
    if (std::find(clients.begin(), clients.end(), count) == clients.end()) clients.push_back(count);
  }
  if (clients.empty()) throw UsageError{"--clients needs a number; give some, as in 1,8,64"};
  return clients;
}

std::optional<double> ChosenRate(const std::string& typed) {
  if (typed.empty()) return std::nullopt;
  double rate = 0;
  const auto [end, failure] = std::from_chars(typed.data(), typed.data() + typed.size(), rate);
  if (failure != std::errc{} || end != typed.data() + typed.size() || !(rate >= 0.1 && rate <= kRateMax)) {
    throw UsageError{
        fmt::format("'{}' is no rate; give operations a second, from 0.1 to {:.0f}", typed, kRateMax)};
  }
  return rate;
}

void RequireDuration(std::string_view option, milliseconds duration, milliseconds least) {
  if (duration >= least && duration <= kDurationMax) return;
  throw UsageError{fmt::format("{} is out of range; give {} to {}", option, config::ToText(least),
                               config::ToText(kDurationMax))};
}

// A condition that no result could meet is a mistake that would pass for a success.
std::vector<bench::Condition> ChosenConditions(const BenchDbOptions& options,
                                               const bench::BenchOptions& run) {
  std::vector<bench::Condition> conditions;
  for (const std::string& text : options.fail_if) {
    try {
      conditions.emplace_back(text);
    } catch (const Error& error) {
      throw UsageError{error.message};
    }
    const bench::Condition& condition = conditions.back();
    if (condition.compares() && options.compare.empty())
      throw UsageError{"--fail-if slower needs a run to compare with; add --compare FILE"};
    const bool concerned = std::ranges::any_of(run.variants, [&](const bench::Variant& variant) {
      return std::ranges::any_of(run.clients, [&](std::uint32_t clients) {
        return condition.Concerns(variant.scenario, variant.name, clients);
      });
    });
    if (!concerned)
      throw UsageError{
          fmt::format("'{}' is about nothing that is measured; see --scenario and --clients", text)};
  }
  return conditions;
}

std::optional<bench::Report> EarlierReport(const std::string& file) {
  if (file.empty()) return std::nullopt;
  std::ifstream in{file, std::ios::binary};
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || !text)
    throw UsageError{fmt::format("cannot read {}; --compare needs a file of an earlier run", file)};
  try {
    return bench::ReadReport(text.str());
  } catch (const Error&) {
    throw UsageError{fmt::format("{} is no report; make one with --output json", file)};
  }
}

// --- one run ---------------------------------------------------------------------------------------

bench::Host ThisHost(const Config& config) {
  utsname system{};
  const bool known = ::uname(&system) == 0;
  return {.version = GATHERING_VERSION,
          .kernel = known ? fmt::format("{} {}", system.sysname, system.release) : "",
          .cores = std::thread::hardware_concurrency(),
          .pool_connections = config.database.pool.connections_max,
          .loops = LoopCount(config),
          .pipeline_connections = config.database.pipeline.connections};
}

bench::Settings SettingsOf(const bench::BenchOptions& run) {
  return {.duration_ms = run.duration.count(),
          .warmup_ms = run.warmup.count(),
          .rate = run.rate,
          .circles = run.dimensions.circles,
          .members = run.dimensions.members,
          .batch = run.dimensions.batch,
          .seed = run.dimensions.seed};
}

class BenchDbCommand {
 public:
  BenchDbCommand(const Context& context, const BenchDbOptions& options)
      : context_(context), options_(options) {
    RequireDuration("--duration", options.duration, kDurationMin);
    RequireDuration("--warmup", options.warmup, milliseconds{0});
    run_.variants = ChosenVariants(options.scenarios);
    run_.clients = ChosenClients(options.clients);
    run_.rate = ChosenRate(options.rate);
    run_.duration = options.duration;
    run_.warmup = options.warmup;
    run_.dimensions.members = options.members;
    run_.dimensions.seed = options.seed;
    run_.stop = &stop_asked;
    run_.on_progress = [this](const bench::Progress& progress) { OnProgress(progress); };
    conditions_ = ChosenConditions(options, run_);
    earlier_ = EarlierReport(options.compare);
    if (earlier_) bench::RequireComparable(earlier_->settings, SettingsOf(run_));
  }

  Exit Run() {
    const ToolDatabase database{context_, clock_};
    run_.database = database.config().database;
    run_.loops = LoopCount(database.config());
    bench::Place place{{.url = run_.database.pool.url,
                        .application_name = "gathering bench-db",
                        .connect_timeout = run_.database.pool.connect_timeout,
                        .lock_timeout = kRemoveLockTimeout}};
    if (!Agreed(place)) {
      context_.Say("nothing was changed");
      return Exit::kFailure;
    }
    bench::Report report{.started_at = clock_.WallNow(),
                         .environment = place.ReadEnvironment(),
                         .host = ThisHost(database.config()),
                         .settings = SettingsOf(run_)};
    place.Make(run_.dimensions);
    started_ = clock_.Now();
    report.results = bench::RunBench(run_, clock_);
    ShowProgress("");
    report.interrupted = stop_asked;
    place.Remove();
    return Finish(report);
  }

 private:
  bool Agreed(const bench::Place& place) const {
    if (options_.yes || place.user_tables() == 0) return true;
    const std::string holds =
        fmt::format("the database {} has {} tables besides", place.database(), place.user_tables());
    const auto answer = Confirm(fmt::format("{}; load it with the benchmark nevertheless?", holds));
    if (!answer) throw UsageError{fmt::format("{}; add --yes if it may be loaded nevertheless", holds)};
    return *answer;
  }

  void OnProgress(const bench::Progress& progress) const {
    if (context_.verbosity == Verbosity::kQuiet) return;
    std::string left;
    if (progress.done > 0) {
      const std::chrono::duration<double> spent = clock_.Now() - started_;
      const double each = spent.count() / progress.done;
      left = fmt::format(", {:.0f} s left", std::ceil(each * (progress.all - progress.done)));
    }
    ShowProgress(fmt::format("{:3} %  {}/{} with {} clients{}", progress.done * 100 / progress.all,
                             progress.variant->scenario, progress.variant->name, progress.clients, left));
  }

  Exit Finish(bench::Report& report) const {
    if (earlier_ && !report.results.empty()) report.comparison = bench::CompareReports(*earlier_, report);
    for (const bench::Condition& condition : conditions_) {
      for (bench::Violation& violation : condition.Find(report))
        report.violations.push_back(std::move(violation));
    }
    Show(report);
    if (report.interrupted) {
      context_.Say("interrupted; what was measured until then is shown");
      return Exit::kInterrupted;
    }
    for (const bench::Violation& violation : report.violations) Complain(ViolationText(violation));
    const auto given_up = std::ranges::count_if(report.results, &bench::Result::given_up);
    if (given_up > 0) {
      Complain(fmt::format("{} results were given up after {} errors in a row", given_up,
                           bench::kErrorsInARowMax));
      return Exit::kFailure;
    }
    return report.violations.empty() ? Exit::kOk : Exit::kDifference;
  }

  void Show(const bench::Report& report) const {
    if (options_.output == "json") return Print(schema::ToJson(report) + "\n");
    const std::string comparison = earlier_ ? ComparisonText(report, options_.compare) : "";
    if (options_.output == "text") return Print(BenchText(report) + comparison);
    Print(BenchCsv(report));
    Tell(comparison);
  }

  const Context& context_;
  const BenchDbOptions& options_;
  const SystemClock clock_;
  bench::BenchOptions run_;
  std::vector<bench::Condition> conditions_;
  std::optional<bench::Report> earlier_;
  Clock::Steady started_{};
};

}  // namespace

Action DeclareBenchDb(Syntax syntax, Context& context) {
  auto options = std::make_shared<BenchDbOptions>();
  AddConfigFlags(syntax, context, ConfigFlags::kDatabase);
  syntax.Texts(
      "--scenario", options->scenarios, "SCENARIO",
      "Only point-read, circle-members, task-insert or mixed, or one way to do it, as point-read/pool; "
      "may be given several times");
  syntax.Text("--clients", options->clients, "LIST", "How many work at the same time; default 1,8,64");
  syntax.Duration("--duration", options->duration, "Measure each result so long; default 2s");
  syntax.Duration("--warmup", options->warmup, "Before that, let it run so long; default 400ms");
  syntax.Text(
      "--rate", options->rate, "RATE",
      "Begin so many operations a second, whether others have ended or not; default as fast as they can");
  syntax.Number("--members", options->members, {1, kMembersMax}, "Agents in each circle; default 20");
  syntax.Number("--seed", options->seed, {0, kSeedMax}, "Of what is drawn by lot; default 1");
  syntax.Choice("--output", options->output, {"text", "json", "csv"},
                "How to print the result; JSON has \"schema\": 1");
  syntax.Text("--compare", options->compare, "FILE", "Tell what differs from an earlier run's JSON");
  syntax.Texts(
      "--fail-if", options->fail_if, "CONDITION",
      "Exit 3 when it holds, as 'p99>20ms' or 'point-read/pool@64:rate<5000' or 'slower'; may be given "
      "several times");
  syntax.Flag("-y,--yes", options->yes, "Do not ask before a database with tables is loaded");
  return [options, &context] {
    WatchInterrupts();
    return BenchDbCommand{context, *options}.Run();
  };
}

}  // namespace gathering::cmd
