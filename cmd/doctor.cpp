#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/daemon_client.h"
#include "cmd/doctor_text.h"
#include "cmd/terminal.h"
#include "cmd/tool_database.h"
#include "core/base/clock.h"
#include "core/config/value.h"
#include "core/doctor/configuration.h"
#include "core/doctor/doctor.h"
#include "core/schema/reader.h"
#include "daemon/api/table.h"

namespace gathering::cmd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTimeoutMin{100};
constexpr milliseconds kTimeoutMax{300'000};
constexpr milliseconds kDaemonPatience{1'500};  // longer than a daemon waits for its database here
constexpr std::size_t kColumns = 80;

struct DoctorOptions {
  Output output = Output::kText;
  bool strict = false;
  milliseconds timeout{5'000};
};

struct AboutDaemon {
  std::string version;
  std::int64_t agents_count = 0;

  static void Fields(auto& self, auto& visit) {
    visit("version", self.version, {.required = true});
    visit("agents_count", self.agents_count, {.required = true});
  }
};

std::optional<std::string> AskDaemon(const std::string& address) {
  try {
    const std::string body = DaemonClient::At(address, kDaemonPatience).Get("/health");
    std::vector<FieldError> errors;
    AboutDaemon about = schema::ReadJson<AboutDaemon>(schema::ParseJson(body, {}), "answer", errors);
    if (errors.empty()) return std::move(about.version);
  } catch (const Error&) {
    // Somebody who does not speak as a daemon of ours does.
  }
  return std::nullopt;
}

// What keeps this configuration from being used, by any command or by the daemon.
std::vector<std::string> Problems(const LoadAttempt& attempt) {
  if (!attempt.problems.empty()) return attempt.problems;
  try {
    RequireServable(attempt.loaded, &http::IsRoute);
  } catch (const ConfigError& error) {
    return error.problems;
  }
  return {};
}

bool Coloured(const Environment& environment) {
  const auto is = [&](std::string_view name, std::string_view value) {
    const auto found = environment.find(name);
    return found != environment.end() && (value.empty() ? !found->second.empty() : found->second == value);
  };
  return ::isatty(STDOUT_FILENO) != 0 && !is("NO_COLOR", {}) && !is("TERM", "dumb");
}

Exit ExitOf(const std::vector<doctor::Finding>& findings, bool usable, bool strict) {
  if (!usable) return Exit::kConfig;
  const doctor::Verdict bad = strict ? doctor::Verdict::kWarning : doctor::Verdict::kFailed;
  return doctor::Gravest(findings) >= bad ? Exit::kFailure : Exit::kOk;
}

Exit Doctor(const Context& context, const DoctorOptions& options) {
  if (options.timeout < kTimeoutMin || options.timeout > kTimeoutMax) {
    throw UsageError{fmt::format("--timeout takes {} to {}; give one of them, as 5s",
                                 config::ToText(kTimeoutMin), config::ToText(kTimeoutMax))};
  }
  const SystemClock clock;
  const LoadAttempt attempt = context.TryLoad();
  const std::vector<std::string> problems = Problems(attempt);
  const Config& config = attempt.loaded.config;
  const doctor::Patient patient{.attempt = attempt,
                                .embedded = EmbeddedOptionsOf(config),
                                .loops = LoopCount(config),
                                .deadline = options.timeout,
                                .ask = &AskDaemon};
  std::vector<doctor::Finding> findings = doctor::JudgeConfiguration(attempt, problems);
  auto rest = doctor::Examine(doctor::Subjects(patient, clock), options.timeout, clock);
  std::ranges::move(rest, std::back_inserter(findings));
  Print(options.output == Output::kJson ? DoctorJson(findings) + "\n"
                                        : DoctorText(findings, kColumns, Coloured(context.environment)));
  return ExitOf(findings, problems.empty(), options.strict);
}

}  // namespace

Action DeclareDoctor(Syntax syntax, Context& context) {
  auto options = std::make_shared<DoctorOptions>();
  AddConfigFlags(syntax, context, ConfigFlags::kDaemon);
  AddOutputFlag(syntax, options->output);
  syntax.Flag("--strict", options->strict, "End with 1 for warnings, too");
  syntax.Duration("--timeout", options->timeout, "Give each subject so long to answer; default 5s");
  return [options, &context] { return Doctor(context, *options); };
}

}  // namespace gathering::cmd
