#include "cmd/bench_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include <fmt/format.h>

namespace gathering::cmd {
namespace {

using bench::Result;

constexpr std::array<std::string_view, 9> kBlocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

std::string Duration(double micros) {
  const auto with = [](double value, std::string_view unit) {
    return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
  };
  if (micros < 999.5) return with(micros, "µs");
  if (micros < 999'500) return with(micros / 1e3, "ms");
  return with(micros / 1e6, "s");
}

std::string Thousands(double number) {
  std::string digits = fmt::format("{:.0f}", number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string Rate(double rate) {
  return rate < 10 ? fmt::format("{:.2f}", rate) : Thousands(rate);
}

std::string Trips(double trips) {
  return fmt::format("{:.{}f}", trips, trips < 10 ? 2 : 1);
}

// fmt pads by code points, which is by columns for everything used here.
std::string Right(std::string_view text, std::size_t columns) {
  return fmt::format("{:>{}}", text, columns);
}

// The results of one scenario stand together.
std::vector<std::vector<const Result*>> ByScenario(const bench::Report& report) {
  std::vector<std::vector<const Result*>> groups;
  for (const Result& result : report.results) {
    if (groups.empty() || groups.back().front()->scenario != result.scenario) groups.emplace_back();
    groups.back().push_back(&result);
  }
  return groups;
}

const Result* Find(const std::vector<const Result*>& group, std::string_view variant, std::int64_t clients) {
  for (const Result* result : group) {
    if (result->variant == variant && result->clients == clients) return result;
  }
  return nullptr;
}

// The latencies of a scenario's results on one logarithmic axis, a column for each half of a power of two.
class Axis {
 public:
  explicit Axis(const std::vector<const Result*>& group) {
    for (const Result* result : group) {
      for (const bench::LatencyClass& one : result->histogram) {
        if (one.count == 0) continue;
        first_ = std::min(first_, ColumnOf(one.up_to_us));
        last_ = std::max(last_, ColumnOf(one.up_to_us));
      }
    }
  }

  [[nodiscard]] std::string Legend() const {
    if (last_ < first_) return {};
    return fmt::format("{} … {}", Duration(std::exp2(first_ / 2.0)), Duration(std::exp2(last_ / 2.0)));
  }

  [[nodiscard]] std::string Bars(const Result& result) const {
    std::map<int, double> counts;
    double most = 0;
    for (const bench::LatencyClass& one : result.histogram) {
      double& count = counts[ColumnOf(one.up_to_us)];
      count += static_cast<double>(one.count);
      most = std::max(most, count);
    }
    std::string bars;
    for (int column = first_; column <= last_; ++column) {
      const double count = counts[column];
      // Whatever is there is seen.
      const double height = count == 0 ? 0 : std::max(1.0, std::round(count / most * 8));
      bars += kBlocks[static_cast<std::size_t>(height)];
    }
    bars.erase(bars.find_last_not_of(' ') + 1);
    return bars;
  }

 private:
  static int ColumnOf(double micros) { return static_cast<int>(std::lround(std::log2(micros) * 2)); }

  int first_ = 1'000;
  int last_ = -1'000;
};

std::string Head(const bench::Report& report) {
  const bench::Environment& at = report.environment;
  const bench::Settings& settings = report.settings;
  std::string text = fmt::format("PostgreSQL {}, {}{}, fsync {}, synchronous_commit {}, shared_buffers {}\n",
                                 at.server_version, at.server_address, at.tls ? " with TLS" : "",
                                 at.fsync ? "on" : "off", at.synchronous_commit, at.shared_buffers);
  text += fmt::format(
      "{} cores; pool of {} connections; {} loops with {} + {} pipelines each; {} circles of {} agents\n",
      report.host.cores, report.host.pool_connections, report.host.loops, report.host.pipeline_connections,
      report.host.pipeline_connections, settings.circles, settings.members);
  text += fmt::format("{} ms each, in rounds", settings.duration_ms);
  if (settings.rate) {
    text += fmt::format("; operations begin by a schedule, {} a second, and latency counts from there",
                        Rate(*settings.rate));
  }
  return text + "\n";
}

std::string Notes(const Result& result) {
  std::string notes;
  const auto add = [&](std::string note) { notes += (notes.empty() ? "" : ", ") + note; };
  if (result.missed > 0) add(fmt::format("{} missed", Thousands(static_cast<double>(result.missed))));
  for (const bench::ErrorCount& error : result.errors_by_state)
    add(fmt::format("{} x {}", Thousands(static_cast<double>(error.count)), error.state));
  if (result.given_up) add("given up: too many errors in a row");
  return notes.empty() ? notes : "      ! " + notes + "\n";
}

std::string Row(const std::vector<const Result*>& group, const Axis& axis, const Result& result) {
  const Result* base = Find(group, group.front()->variant, result.clients);
  const bool gains = base != nullptr && base->rate > 0;
  std::string row =
      fmt::format("  {:<12}{:>10}{:>10}{:>8}", result.variant, result.clients, Rate(result.rate),
                  gains ? fmt::format("{:.2f}x", result.rate / base->rate) : "");
  const bench::Latency& latency = result.latency_us;
  for (const double micros : {latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max})
    row += Right(Duration(micros), 9);
  row += Right(Trips(result.round_trips), 7) + Right(Duration(result.wait_us), 9) +
         Right(Duration(result.execution_us), 9);
  return row + "  " + axis.Bars(result) + "\n" + Notes(result);
}

// What the fastest way of a scenario gains over each of the others, with the most clients.
std::string Gain(const std::vector<const Result*>& group) {
  std::int64_t clients = 0;
  for (const Result* result : group) clients = std::max(clients, result->clients);
  std::vector<const Result*> ways;
  for (const Result* result : group) {
    if (result->clients == clients && result->rate > 0) ways.push_back(result);
  }
  if (ways.size() < 2) return {};
  std::stable_sort(ways.begin(), ways.end(), [](const auto* a, const auto* b) { return a->rate > b->rate; });
  std::string text = fmt::format("  With {} clients {} does", clients, ways.front()->variant);
  for (std::size_t i = 1; i < ways.size(); ++i) {
    text += fmt::format("{} {:.1f} times what {} does",
                        i == 1                 ? ""
                        : i + 1 == ways.size() ? " and"
                                               : ",",
                        ways.front()->rate / ways[i]->rate, ways[i]->variant);
  }
  return text + ".\n";
}

std::string Scenario(const std::vector<const Result*>& group) {
  const Axis axis{group};
  std::string text =
      fmt::format("\n{:<14}{:>10}{:>10}{:>8}", group.front()->scenario, "clients", "ops/s", "gain");
  for (const std::string_view name : {"p50", "p90", "p99", "p99.9", "max"}) text += Right(name, 9);
  text += Right("trips", 7) + Right("wait", 9) + Right("exec", 9) + "  " + axis.Legend() + "\n";
  for (const Result* result : group) text += Row(group, axis, *result);
  return text + Gain(group);
}

// What an operator should know before they believe the numbers.
std::string Advice(const bench::Report& report) {
  std::string text;
  if (!report.environment.fsync)
    text +=
        "\nfsync is off: a crash of the server's machine loses data, and inserts look faster than they "
        "are.\n";
  for (const Result& result : report.results) {
    if (result.variant != "pool" || result.wait_us < 2 * result.execution_us) continue;
    text += fmt::format(
        "\nWith {} clients on the pool's {} connections an operation waits {} and runs {}: the pool is "
        "full.\n",
        result.clients, report.host.pool_connections, Duration(result.wait_us),
        Duration(result.execution_us));
    break;
  }
  return text;
}

std::string Named(const auto& about) {
  return fmt::format("{}/{}@{}", about.scenario, about.variant, about.clients);
}

}  // namespace

std::string BenchText(const bench::Report& report) {
  std::string text = Head(report);
  for (const auto& group : ByScenario(report)) text += Scenario(group);
  return text + Advice(report);
}

std::string BenchCsv(const bench::Report& report) {
  std::string text =
      "scenario,variant,clients,operations,rate,missed,errors,mean_us,p50_us,p90_us,p99_us,p99.9_us,max_us,"
      "wait_us,execution_us,round_trips\n";
  for (const Result& one : report.results) {
    const bench::Latency& at = one.latency_us;
    text += fmt::format(
        "{},{},{},{},{:.2f},{},{},{:.2f},{:.2f},{:.2f},{:.2f},{:.2f},{:.2f},{:.2f},{:.2f},{:.4f}\n",
        one.scenario, one.variant, one.clients, one.operations, one.rate, one.missed, one.errors, at.mean,
        at.p50, at.p90, at.p99, at.p99_9, at.max, one.wait_us, one.execution_us, one.round_trips);
  }
  return text;
}

std::string ComparisonText(const bench::Report& report, std::string_view before_name) {
  std::string text = fmt::format("\nCompared with {}:\n", before_name);
  std::size_t different = 0;
  for (const bench::Comparison& one : report.comparison) {
    const bool differs = one.verdict != bench::Verdict::kNoDifference;
    different += differs ? 1 : 0;
    text += fmt::format("  {:<32}{} x {:.3f}  ({:.3f} … {:.3f})  {}", Named(one), one.measure, one.ratio,
                        one.ratio_low, one.ratio_high, schema::ToText(one.verdict));
    if (differs) text += fmt::format(", {:.2f} % sure", std::min(99.99, one.confidence * 100));
    text += "\n";
  }
  return text + fmt::format("  {} of {} differ.\n", different, report.comparison.size());
}

std::string ViolationText(const bench::Violation& violation) {
  return fmt::format("{}: '{}' holds, with {:.6g}", Named(violation), violation.condition, violation.value);
}

}  // namespace gathering::cmd
