#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cmd/command.h"
#include "cmd/help.h"
#include "cmd/interrupt.h"
#include "cmd/replay_text.h"
#include "cmd/terminal.h"
#include "cmd/tool_database.h"
#include "core/base/clock.h"
#include "core/config/value.h"
#include "core/db/migrate.h"
#include "core/db/queries.h"
#include "core/db/session.h"
#include "core/replay/jsonl_source.h"
#include "core/replay/log_source.h"
#include "core/replay/replay.h"
#include "core/replay/what_if.h"
#include "core/schema/writer.h"

namespace gathering::cmd {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kLimitMax = 0xffff'ffff;
constexpr double kSpeedMin = 0.001;
constexpr double kSpeedMax = 1e6;
constexpr std::int64_t kComplaintsShown = 20;
constexpr milliseconds kProgressEvery{100};
constexpr milliseconds kLookEvery{50};  // at whether to stop, should the signal hit another thread

struct ReplayEventsOptions {
  std::string input;  // empty: the log
  std::string output;
  bool dry_run = false;
  std::string what_if;
  milliseconds handler_time{1};
  std::string from;
  std::string to;
  std::vector<std::string> types;
  std::string circle;
  std::string agent;
  std::uint32_t limit = 0;  // 0: none
  std::string speed = "max";
  milliseconds gap_max{-1};  // none
  std::string resume;
  bool strict = false;
  std::string summary = "text";
};

// --- what was asked for ----------------------------------------------------------------------------

std::optional<replay::Bound> ChosenBound(std::string_view option, const std::string& typed) {
  if (typed.empty()) return std::nullopt;
  const auto bound = replay::ParseBound(typed);
  if (!bound) {
    throw UsageError{
        fmt::format("{}: '{}' is neither a sequence number nor a time; give 1234 or 2026-11-23T09:36:00Z",
                    option, typed)};
  }
  return bound;
}

std::optional<double> ChosenSpeed(const std::string& typed) {
  if (typed == "max") return std::nullopt;
  double speed = 0;
  const auto [end, failure] = std::from_chars(typed.data(), typed.data() + typed.size(), speed);
  if (failure != std::errc{} || end != typed.data() + typed.size() ||
      !(speed >= kSpeedMin && speed <= kSpeedMax)) {
    throw UsageError{fmt::format("'{}' is no speed; give max, or a number from {} to {:.0f}, as 1 or 10",
                                 typed, kSpeedMin, kSpeedMax)};
  }
  return speed;
}

std::optional<std::int64_t> ChosenAgent(const std::string& typed) {
  if (typed.empty()) return std::nullopt;
  const auto id = config::ParseInteger(typed);
  if (!id) throw UsageError{fmt::format("--agent: '{}' is no agent's id; give a number", typed)};
  return id;
}

std::vector<replay::WhatIf> ChosenWhatIf(const ReplayEventsOptions& options) {
  if (options.what_if.empty()) return {};
  if (options.handler_time > replay::kHandlerTimeMax) {
    throw UsageError{
        fmt::format("--handler-time is too long; give up to {}", config::ToText(replay::kHandlerTimeMax))};
  }
  try {
    return replay::ParseWhatIf(options.what_if);
  } catch (const Error& error) {
    throw UsageError{"--what-if: " + error.message};
  }
}

void RequireOneOutput(const ReplayEventsOptions& options) {
  const int outputs =
      (options.output.empty() ? 0 : 1) + (options.dry_run ? 1 : 0) + (options.what_if.empty() ? 0 : 1);
  if (outputs > 1) throw UsageError{"--output, --dry-run and --what-if exclude each other; give one of them"};
  if (!options.resume.empty() && (options.dry_run || !options.what_if.empty()))
    throw UsageError{"--resume remembers what was delivered, and here nothing is; leave it out"};
}

replay::Filter ChosenFilter(const ReplayEventsOptions& options) {
  replay::Filter filter{.from = ChosenBound("--from", options.from),
                        .to = ChosenBound("--to", options.to),
                        .types = options.types,
                        .source_agent_id = ChosenAgent(options.agent)};
  if (options.circle.empty()) return filter;
  if (const auto id = config::ParseInteger(options.circle)) {
    filter.circle_ids = {*id};
  } else {
    filter.circle_name = options.circle;
  }
  return filter;
}

std::string FullPath(const std::string& file) {
  return std::filesystem::weakly_canonical(file).string();
}

Fd OpenInput(const std::string& file) {
  if (file == "-") return Fd{::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)};
  Fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0 || S_ISDIR(status.st_mode))
    throw UsageError{fmt::format("cannot read {}; give a file of events, or - for standard input", file)};
  return fd;
}

// --- one run ---------------------------------------------------------------------------------------

class ReplayEventsCommand {
 public:
  ReplayEventsCommand(const Context& context, const ReplayEventsOptions& options)
      : context_(context), options_(options), what_if_(ChosenWhatIf(options)) {
    RequireOneOutput(options);
    run_.filter = ChosenFilter(options);
    if (options.limit > 0) run_.limit = options.limit;
    run_.pace.speed = ChosenSpeed(options.speed);
    if (options.gap_max >= milliseconds{0}) run_.pace.gap_max = options.gap_max;
    if (options.dry_run || !what_if_.empty()) run_.pace.speed.reset();
    run_.strict = options.strict;
    run_.stop = &stop_asked;
    run_.rest = [this](Clock::Steady until) { Rest(until); };
    run_.on_place = [this](const replay::Place& place) { Remember(place); };
    run_.on_complaint = [this](const replay::Complaint& complaint) { OnComplaint(complaint); };
    run_.on_progress = [this](const replay::Progress& progress) { OnProgress(progress); };
  }

  Exit Run() {
    Fd input;
    if (!FromLog()) input = OpenInput(options_.input);
    if (FromLog() || ToSystem()) Connect();
    position_.input = FromLog()               ? "the log of database " + Identity()
                      : options_.input == "-" ? "standard input"
                                              : "file " + FullPath(options_.input);
    position_.output = ToSystem()               ? "the log of database " + Identity()
                       : options_.output == "-" ? "standard output"
                                                : "file " + FullPath(options_.output);
    if (!options_.resume.empty()) resumed_ = replay::Load(options_.resume, position_);
    started_ = clock_.Now();
    if (!OpenSource(std::move(input))) return Finish(replay::Ending::kStopped);
    OpenSink();
    if (!options_.resume.empty()) Remember(source_->place());
    try {
      return Finish(TryAll(replay::Replay(*source_, *sink_, run_, clock_)));
    } catch (const Error&) {
      ShowProgress("");
      Show(false);
      throw;
    }
  }

 private:
  [[nodiscard]] bool FromLog() const { return options_.input.empty(); }
  [[nodiscard]] bool ToSystem() const {
    return options_.output.empty() && !options_.dry_run && options_.what_if.empty();
  }

  void Connect() {
    database_.emplace(context_, clock_);
    const std::string& url = database_->config().database.pool.url;
    db::Migrator{{.url = url, .stop = &stop_asked, .cancel = &cancel_asked}, clock_}.RequireCurrent();
    session_.emplace(db::SessionOptions{
        .url = url, .application_name = "gathering replay-events", .cancel = &cancel_asked});
    session_->Execute(db::kSessionSettings);
  }

  std::string Identity() { return session_->Query(sql::kReplayIdentity).As<std::string>(0); }

  // False when it was interrupted.
  bool OpenSource(Fd input) {
    if (FromLog()) return OpenLog();
    auto source = std::make_unique<replay::JsonlSource>(std::move(input), options_.input, stop_asked);
    if (resumed_ && !source->GoTo(resumed_->place)) {
      if (stop_asked) return false;
      throw Error{Code::kRejected,
                  fmt::format("{} belongs to another input: {} has other lines now; name another file, or "
                              "remove it to begin at the beginning",
                              options_.resume, options_.input)};
    }
    source_ = std::move(source);
    return true;
  }

  bool OpenLog() {
    if (run_.filter.circle_name) ResolveCircle();
    const auto end = replay::SettledEnd(*session_, clock_, stop_asked);
    if (!end) return false;
    std::int64_t after = 0;
    std::int64_t up_to = *end;
    if (run_.filter.from)
      if (const auto* number = std::get_if<std::int64_t>(&*run_.filter.from))
        after = std::min(*number - 1, *end);
    if (run_.filter.to)
      if (const auto* number = std::get_if<std::int64_t>(&*run_.filter.to)) up_to = std::min(up_to, *number);
    if (resumed_) {
      RequireDrawn(resumed_->place.sequence);
      after = std::max(after, resumed_->place.sequence);
    }
    source_ = std::make_unique<replay::LogSource>(*session_, after, up_to);
    return true;
  }

  // A database that went back in time would otherwise look like one where nothing happened.
  void RequireDrawn(std::int64_t sequence) {
    if (sequence <= session_->Query(sql::kEventsDrawn).As<std::int64_t>(0)) return;
    throw Error{
        Code::kRejected,
        fmt::format("{} is ahead of the log, which is an older copy now; name another file, or remove "
                    "it to begin at the beginning",
                    options_.resume)};
  }

  void ResolveCircle() {
    const db::Rows rows = session_->Query(sql::kReplayCircles, db::ToParams(options_.circle));
    for (std::size_t i = 0; i < rows.size(); ++i) run_.filter.circle_ids.push_back(rows.As<std::int64_t>(i));
    run_.filter.circle_name.reset();
    if (rows.empty()) {
      throw UsageError{
          fmt::format("no circle is or was called '{}'; give a name or a number", options_.circle)};
    }
  }

  void OpenSink() {
    if (ToSystem()) {
      sink_ = std::make_unique<replay::SystemSink>(*session_);
    } else if (!what_if_.empty()) {
      sink_ = std::make_unique<replay::WhatIfSink>();
    } else if (options_.dry_run) {
      sink_ = std::make_unique<replay::NoSink>();
    } else if (options_.output == "-") {
      sink_ = std::make_unique<replay::FileSink>(STDOUT_FILENO, "standard output");
    } else {
      sink_ = std::make_unique<replay::FileSink>(
          options_.output, options_.resume.empty() ? replay::Keep::kNothing : replay::Keep::kPart,
          resumed_ ? resumed_->written : std::nullopt);
    }
  }

  // The poll ends with the signal when this thread gets it.
  void Rest(Clock::Steady until) const {
    while (!stop_asked && clock_.Now() < until) {
      const auto left = std::chrono::ceil<milliseconds>(until - clock_.Now());
      ::poll(nullptr, 0, static_cast<int>(std::min(left, kLookEvery).count()));
    }
  }

  void Remember(const replay::Place& place) {
    if (options_.resume.empty()) return;
    position_.place = place;
    sink_->Note(position_);
    replay::Save(options_.resume, position_);
  }

  void OnComplaint(const replay::Complaint& complaint) {
    if (++complaints_ > kComplaintsShown) {
      if (complaints_ == kComplaintsShown + 1) context_.Say("what else is wrong is only counted");
      return;
    }
    ShowProgress("");
    Complain(fmt::format("{} {}: {}", source_->unit(), complaint.number, complaint.what));
  }

  void OnProgress(const replay::Progress& progress) {
    progress_ = progress;
    if (context_.verbosity == Verbosity::kQuiet || clock_.Now() < next_progress_) return;
    next_progress_ = clock_.Now() + kProgressEvery;
    ShowProgress(ProgressText(progress.counts, Rate()));
  }

  [[nodiscard]] std::chrono::duration<double> Spent() const {
    return ended_.value_or(clock_.Now()) - started_;
  }
  [[nodiscard]] double Rate() const {
    const std::chrono::duration<double> spent = Spent();
    return static_cast<double>(progress_.counts.read) / std::max(spent.count(), 1e-6);
  }

  // The simulations, once the events are there.
  replay::Ending TryAll(replay::Ending ending) {
    ended_ = clock_.Now();
    const auto* collected = dynamic_cast<const replay::WhatIfSink*>(sink_.get());
    if (collected == nullptr || ending != replay::Ending::kDone) return ending;
    for (const replay::WhatIf& settings : what_if_) {
      if (context_.verbosity != Verbosity::kQuiet)
        ShowProgress(fmt::format("combination {} of {}", results_.size() + 1, what_if_.size()));
      const auto result = replay::RunWhatIf(collected->events(), settings, options_.handler_time, stop_asked);
      if (!result) return replay::Ending::kStopped;
      results_.push_back(*result);
    }
    return ending;
  }

  Exit Finish(replay::Ending ending) {
    ShowProgress("");
    const bool interrupted = ending == replay::Ending::kStopped;
    Show(interrupted);
    if (interrupted) {
      context_.Say(options_.resume.empty() ? std::string{"interrupted"}
                                           : "interrupted; the same command goes on from there");
      return Exit::kInterrupted;
    }
    return ending == replay::Ending::kStrict ? Exit::kFailure : Exit::kOk;
  }

  void Show(bool interrupted) {
    ReplaySummary summary{.interrupted = interrupted,
                          .counts = progress_.counts,
                          .elapsed_ms = std::chrono::duration_cast<milliseconds>(Spent()).count(),
                          .rate = Rate(),
                          .what_if = results_};
    if (FromLog() && progress_.latest)
      summary.lag_ms = (clock_.WallNow().micros - progress_.latest->micros) / 1'000;
    if (options_.summary == "json") {
      const std::string text = schema::ToJson(summary) + "\n";
      return options_.output == "-" ? Tell(text) : Print(text);
    }
    if (!results_.empty()) Print(WhatIfText(results_));
    context_.Say(SummaryText(summary));
  }

  const Context& context_;
  const ReplayEventsOptions& options_;
  const SystemClock clock_;
  const std::vector<replay::WhatIf> what_if_;
  replay::ReplayOptions run_;
  std::optional<ToolDatabase> database_;
  std::optional<db::Session> session_;
  std::optional<replay::Position> resumed_;
  replay::Position position_;
  std::unique_ptr<replay::Source> source_;
  std::unique_ptr<replay::Sink> sink_;
  replay::Progress progress_;
  std::vector<replay::WhatIfResult> results_;
  std::int64_t complaints_ = 0;
  Clock::Steady started_{};
  std::optional<Clock::Steady> ended_;  // of the replay itself
  Clock::Steady next_progress_{};
};

// Nobody types events.
bool ReadsTerminal(const ReplayEventsOptions& options) {
  return options.input == "-" && ::isatty(STDIN_FILENO) != 0;
}

Exit Run(const Context& context, const ReplayEventsOptions& options) {
  ReplayEventsCommand command{context, options};
  if (ReadsTerminal(options)) {
    const CommandInfo root = Tree{{}}.Describe();
    Tell(HelpText(*Find(root, {"replay-events"})));
    return Exit::kUsage;
  }
  WatchInterrupts();
  try {
    return command.Run();
  } catch (const std::exception& error) {
    const Exit exit = ReportError(error);
    return stop_asked ? Exit::kInterrupted : exit;
  }
}

// --- the command line ------------------------------------------------------------------------------

void AddFilters(Syntax syntax, ReplayEventsOptions& options) {
  syntax.Text("--from", options.from, "WHERE",
              "Begin at this sequence number or time (RFC 3339), itself included");
  syntax.Text("--to", options.to, "WHERE",
              "End with this sequence number, itself included, or before this time");
  syntax.Texts("--type", options.types, "GLOB", "Only these types, as 'task.*'; may be given several times");
  syntax.Text("--circle", options.circle, "CIRCLE",
              "Only this circle, by name (deleted ones too) or number; in a file a name is compared with "
              "data.circle, a number with circle_id");
  syntax.Text("--agent", options.agent, "ID", "Only what this agent did");
  syntax.Number("--limit", options.limit, {1, kLimitMax}, "At most so many of what is left then");
}

}  // namespace

Action DeclareReplayEvents(Syntax syntax, Context& context) {
  auto options = std::make_shared<ReplayEventsOptions>();
  AddConfigFlags(syntax, context, ConfigFlags::kDatabase);
  syntax.Text("--input", options->input, "FILE",
              "Read events from this file, one as JSON on each line, - for standard input; default the log");
  syntax.Text("--output", options->output, "FILE",
              "Write them to this file, - for standard output; default the running system");
  syntax.Flag("--dry-run", options->dry_run, "Only read, filter and count, without pauses");
  syntax.Text(
      "--what-if", options->what_if, "SPEC",
      "Try the bus with these settings, as 'window=50ms,100ms;batch=100;dedup=1s,5s;queue=1000', every "
      "combination");
  syntax.Duration("--handler-time", options->handler_time,
                  "With --what-if: what a call of the handler takes; default 1ms");
  AddFilters(syntax, *options);
  syntax.Text("--speed", options->speed, "RATE",
              "1 as it happened, 10 ten times as fast; default max, without pauses");
  syntax.Duration("--max-gap", options->gap_max, "No pause longer than this, at any speed");
  syntax.Text("--resume", options->resume, "FILE",
              "Remember there how far it came, after each batch, and go on behind that");
  syntax.Flag("--strict", options->strict, "End with exit 1 at the first line that is no event");
  syntax.Choice("--summary", options->summary, {"text", "json"},
                "How to print what was done; JSON has \"schema\": 1");
  return [options, &context] { return Run(context, *options); };
}

}  // namespace gathering::cmd
