#include "core/base/log.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include "core/base/big_reader_lock.h"
#include "core/base/clock.h"
#include "core/base/utf8.h"
#include "core/config/config.h"

namespace gathering::log {
namespace {

constexpr std::size_t kLineBytesMax = 16 * 1024;
constexpr std::size_t kLineBytesUsual = 512;
constexpr std::size_t kEscapedMax = 6;      // bytes that one byte can become
constexpr std::size_t kTailBytes = 32;      // kept free for `"cut":true}` and the end of the line
constexpr std::size_t kChunkBytes = 4'096;  // a pipe that polls writable takes this much without blocking
constexpr std::size_t kGatheredBytesMax = 32 * 1024;
constexpr int kPollMilliseconds = 200;
constexpr std::chrono::milliseconds kWritesApart{1};
constexpr std::size_t kRestingQueueMin = 1'024;  // a smaller one could fill meanwhile
constexpr int kFarewellPolls = 5;                // at Stop a reader who is stuck gets a second, not more

constexpr std::chrono::seconds kDroppedInterval{1};  // between two lines about lines that were dropped

constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
constexpr std::string_view kConsoleNames[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
constexpr std::string_view kPriorities[] = {"<7>", "<6>", "<4>", "<3>"};  // of syslog

thread_local const Context* current_context = nullptr;

// How lines look.  Aligned to its size, or clang reads it by a call of libatomic.
struct alignas(2) Layout {
  bool json = false;
  bool priorities = false;
};

// $JOURNAL_STREAM is inherited also by those whose stderr has become something else.
bool IsJournal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return stream == fmt::format("{}:{}", status.st_dev, status.st_ino);
}

Layout LayoutFor(LogFormat format) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  return {.json = format == LogFormat::kJson || (format == LogFormat::kAuto && !terminal),
          .priorities = IsJournal()};
}

// --- one line ----------------------------------------------------------------------------------------

// Appends to a line until it is full; whole characters only.
class Line {
 public:
  // `reserved` bytes are kept free for what comes at the end in any case.
  explicit Line(std::size_t reserved) : bytes_max_(kLineBytesMax - kTailBytes - reserved) {
    text_.reserve(kLineBytesUsual);
  }

  [[nodiscard]] std::size_t room() const { return bytes_max_ - std::min(text_.size(), bytes_max_); }
  [[nodiscard]] bool full() const { return full_; }
  [[nodiscard]] std::string& text() { return text_; }

  void Fill() { full_ = true; }

  void Raw(std::string_view text) {
    if (text.size() > room()) full_ = true;
    if (!full_) text_ += text;
  }

  void Escaped(std::string_view text) {
    while (!text.empty() && !full_) {
      const auto plain =
          static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), IsPlain) - text.begin());
      if (plain > 0) {
        const std::size_t taken = std::min(plain, room());
        text_.append(text.substr(0, taken));
        full_ = plain > taken;
        text.remove_prefix(plain);
        continue;
      }
      const std::size_t bytes = Utf8Length(text);
      if (bytes == 0) {
        Raw("\\ufffd");
      } else {
        AppendCharacter(text.substr(0, bytes));
      }
      text.remove_prefix(std::max<std::size_t>(bytes, 1));
    }
  }

 private:
  static bool IsPlain(char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

  void AppendCharacter(std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    if (first == '"') return Raw("\\\"");
    if (first == '\\') return Raw("\\\\");
    if (first == '\n') return Raw("\\n");
    if (first < 0x20 || first == 0x7F) return Raw(fmt::format("\\u{:04x}", first));
    const bool c1_control = first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
    if (c1_control) return Raw(fmt::format("\\u{:04x}", static_cast<unsigned char>(character[1])));
    Raw(character);
  }

  const std::size_t bytes_max_;
  std::string text_;
  bool full_ = false;
};

std::string_view TextOf(const auto& characters) {
  return {characters.data(), characters.size()};
}

// For whom a line is written: what stands before, between and behind the three names.
class Tail {
 public:
  explicit Tail(const std::array<std::string_view, 4>& around) {
    if (current_context == nullptr || current_context->request_id.empty()) return;
    parts_ = {around[0], current_context->request_id,      around[1], TextOf(current_context->trace_id),
              around[2], TextOf(current_context->span_id), around[3]};
  }

  [[nodiscard]] std::size_t size() const {
    std::size_t bytes = 0;
    for (const std::string_view part : parts_) bytes += part.size();
    return bytes;
  }
  void AppendTo(std::string& text) const {
    for (const std::string_view part : parts_) text += part;
  }

 private:
  std::array<std::string_view, 7> parts_;
};
constexpr std::array<std::string_view, 4> kAroundJson = {R"(,"request_id":")", R"(","trace_id":")",
                                                         R"(","span_id":")", R"(")"};
constexpr std::array<std::string_view, 4> kAroundConsole = {" request_id=", " trace_id=", " span_id=", ""};

void AppendJson(Line& line, const decltype(Field::value)& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    line.Raw("\"");
    line.Escaped(*text);
    line.text() += '"';  // in the room kept for the tail
  } else if (const auto* number = std::get_if<double>(&value)) {
    std::array<char, 32> digits{};
    const char* const end = fmt::format_to_n(digits.data(), digits.size(), "{}", *number).out;
    line.Raw(std::isfinite(*number) ? std::string_view{digits.data(), end} : "null");
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    const fmt::format_int digits{*integer};
    line.Raw({digits.data(), digits.size()});
  } else {
    line.Raw(std::get<bool>(value) ? "true" : "false");
  }
}

std::string JsonLine(std::string_view start, LogLevel level, std::string_view message, Fields fields) {
  const Tail tail{kAroundJson};
  Line line{tail.size()};
  line.Raw(start);
  line.Raw(R"({"time":")");
  line.Raw(ToText(SystemClock{}.WallNow()));
  line.Raw(R"(","level":")");
  line.Raw(kNames[static_cast<int>(level)]);
  line.Raw(R"(","msg":)");
  AppendJson(line, message);
  for (const Field& field : fields) {
    if (line.full()) break;
    if (std::holds_alternative<std::monostate>(field.value)) continue;
    // A name goes in only with room for some of its value.
    if (kEscapedMax * field.name.size() + kTailBytes * 2 > line.room()) {
      line.Fill();
      break;
    }
    line.Raw(",\"");
    line.Escaped(field.name);
    line.Raw("\":");
    AppendJson(line, field.value);
  }
  tail.AppendTo(line.text());
  line.text() += line.full() ? R"(,"cut":true})" : "}";
  return std::move(line.text());
}

bool PlainWord(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7F && c != '"' && c != '=' && c != '\\';
  });
}

std::string ConsoleLine(std::string_view start, LogLevel level, std::string_view message, Fields fields) {
  constexpr std::int64_t kMillisPerDay = 86'400'000;
  const Timestamp now = SystemClock{}.WallNow();
  const std::int64_t millis = ((now.micros / 1'000) % kMillisPerDay + kMillisPerDay) % kMillisPerDay;
  const Tail tail{kAroundConsole};
  Line line{tail.size()};
  line.Raw(start);
  line.Raw(fmt::format("{:02}:{:02}:{:02}.{:03} {} ", millis / 3'600'000, millis / 60'000 % 60,
                       millis / 1'000 % 60, millis % 1'000, kConsoleNames[static_cast<int>(level)]));
  line.Escaped(message);
  for (const Field& field : fields) {
    if (line.full()) break;
    if (std::holds_alternative<std::monostate>(field.value)) continue;
    line.Raw(" ");
    line.Escaped(field.name);
    line.Raw("=");
    const auto* text = std::get_if<std::string_view>(&field.value);
    if (text && PlainWord(*text)) {
      line.Raw(*text);
    } else {
      AppendJson(line, field.value);
    }
  }
  tail.AppendTo(line.text());
  if (line.full()) line.text() += " (cut)";
  return std::move(line.text());
}

std::string LineOf(Layout layout, LogLevel level, std::string_view message, Fields fields) {
  const std::string_view start = layout.priorities ? kPriorities[static_cast<int>(level)] : "";
  return layout.json ? JsonLine(start, level, message, fields) : ConsoleLine(start, level, message, fields);
}

// --- the way out ---------------------------------------------------------------------------------------

// Writes whole lines to stderr, in pieces that do not block: a reader who is stuck or gone costs lines, never
// the process.  Lines that wait in the queue are gathered and written together; so are those that come soon
// after others were written, because waking the writer and writing cost more than the line itself.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit StderrSink(Layout layout) : layout_(layout) {}

  // `queue`, of `lines_max`, outlives the sink's last line.  Once nothing more comes from it, flush() writes
  // the rest.
  void GatherFrom(spdlog::details::thread_pool& queue, std::size_t lines_max) {
    queue_ = &queue;
    rests_ = lines_max >= kRestingQueueMin;
  }
  void StartFarewell() {
    {
      const std::scoped_lock lock{farewell_mutex_};
      farewell_ = true;
    }
    farewell_begins_.notify_all();
  }
  [[nodiscard]] std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

  // The last word, once nothing more comes from the queue, which had dropped `overrun` lines.
  void Conclude(std::uint64_t overrun) {
    const std::scoped_lock lock{mutex_};
    queue_ = nullptr;
    flush_();
    TellDropped(overrun);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    gathered_.append(message.payload.data(), message.payload.size());
    gathered_ += '\n';
    if (MoreWaits()) return;
    AwaitTimeToWrite();
    if (MoreWaits()) return;
    flush_();
    const std::uint64_t overrun = queue_ != nullptr ? queue_->overrun_counter() : 0;
    if (overrun + lost() == told_) return;
    const Clock::Steady now = SystemClock{}.Now();
    if (told_at_ && now - *told_at_ < kDroppedInterval) return;
    told_at_ = now;
    TellDropped(overrun);
  }
  void flush_() override {
    written_at_ = SystemClock{}.Now();
    const std::string_view unwritten = WriteAll(gathered_);
    stuck_ = !unwritten.empty();
    lost_.fetch_add(static_cast<std::uint64_t>(std::ranges::count(unwritten, '\n')),
                    std::memory_order_relaxed);
    gathered_.clear();
  }

 private:
  bool MoreWaits() {
    return queue_ != nullptr && gathered_.size() < kGatheredBytesMax && queue_->queue_size() > 0;
  }

  void AwaitTimeToWrite() {
    if (queue_ == nullptr || !rests_ || gathered_.size() >= kGatheredBytesMax) return;
    std::unique_lock lock{farewell_mutex_};
    farewell_begins_.wait_until(lock, written_at_ + kWritesApart, [this] { return farewell_; });
  }

  // Whole lines where they fit, so that what others write to the same pipe does not come in between.
  static std::size_t ChunkOf(std::string_view text) {
    if (text.size() <= kChunkBytes) return text.size();
    const std::size_t end = text.rfind('\n', kChunkBytes - 1);
    return end == std::string_view::npos ? kChunkBytes : end + 1;
  }

  // Only to a reader who takes what is written; until then the number grows.
  void TellDropped(std::uint64_t overrun) {
    const std::uint64_t dropped = overrun + lost();
    if (dropped == told_ || stuck_) return;
    const Scope nobody{nullptr};
    const std::string line =
        LineOf(layout_, LogLevel::kWarning, "log lines were dropped", {{"lines", dropped - told_}}) + '\n';
    if (WriteAll(line).empty()) told_ = dropped;
  }

  // Answers what could not be written.
  std::string_view WriteAll(std::string_view text) {
    while (!text.empty()) {
      if (!WaitUntilWritable()) return text;
      const ssize_t written = ::write(STDERR_FILENO, text.data(), ChunkOf(text));
      if (written < 0 && errno != EINTR && errno != EAGAIN) return text;
      if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
    return text;
  }

  bool WaitUntilWritable() {
    while (true) {
      const bool over = farewell_polls_ >= kFarewellPolls;
      pollfd watched{STDERR_FILENO, POLLOUT, 0};
      const int ready = ::poll(&watched, 1, over ? 0 : kPollMilliseconds);
      if (ready > 0) return (watched.revents & POLLOUT) != 0;
      if (over || (ready < 0 && errno != EINTR)) return false;
      if (SaysFarewell()) ++farewell_polls_;
    }
  }

  bool SaysFarewell() {
    const std::scoped_lock lock{farewell_mutex_};
    return farewell_;
  }

  std::mutex farewell_mutex_;
  std::condition_variable farewell_begins_;
  bool farewell_ = false;  // guarded by its mutex
  std::atomic<std::uint64_t> lost_{0};
  const Layout layout_;
  // Guarded by the base's mutex.
  std::uint64_t told_ = 0;  // of the lines dropped and lost
  std::optional<Clock::Steady> told_at_;
  bool stuck_ = false;  // the last lines found no reader
  int farewell_polls_ = 0;
  spdlog::details::thread_pool* queue_ = nullptr;
  bool rests_ = false;
  std::string gathered_;
  Clock::Steady written_at_{};
};

// What the process logs through.
struct Writer {
  ~Writer() {
    sink->StartFarewell();
    threads.reset();
    sink->flush();
    logger.reset();
  }

  struct Nothing {};
  using Lock = BigReaderLock<Nothing>;

  Lock lock;  // guards the pointers; read while a line is queued
  std::shared_ptr<spdlog::details::thread_pool> threads;
  std::shared_ptr<StderrSink> sink = std::make_shared<StderrSink>(LayoutFor(LogFormat::kAuto));
  std::shared_ptr<spdlog::logger> logger;
  std::uint64_t dropped_before = 0;  // by writers that have stopped
  std::atomic<LogLevel> level{LogLevel::kInfo};
  std::atomic<Layout> layout{LayoutFor(LogFormat::kAuto)};
};

Writer& TheWriter() {
  static Writer writer;
  return writer;
}

std::uint64_t DroppedBy(const Writer& writer) {
  return writer.dropped_before + writer.sink->lost() +
         (writer.threads ? writer.threads->overrun_counter() : 0);
}

bool Enabled(LogLevel level) {
  return level >= TheWriter().level.load(std::memory_order_relaxed);
}

void Write(LogLevel level, std::string_view message, Fields fields) {
  Writer& writer = TheWriter();
  const std::string line = LineOf(writer.layout.load(std::memory_order_relaxed), level, message, fields);
  const spdlog::string_view_t text{line.data(), line.size()};
  std::shared_ptr<StderrSink> at_once;
  {
    const Writer::Lock::Reading lock{writer.lock};
    if (writer.logger) return writer.logger->log(spdlog::level::critical, text);
    at_once = writer.sink;
  }
  at_once->log(spdlog::details::log_msg{{}, {}, spdlog::level::critical, text});
}

void Log(LogLevel level, std::string_view message, Fields fields) {
  if (Enabled(level)) Write(level, message, fields);
}

}  // namespace

Scope::Scope(const Context* context) : before_(std::exchange(current_context, context)) {}

Scope::~Scope() {
  current_context = before_;
}

const Context* Current() {
  return current_context;
}

void Start(const LogConfig& config) {
  Stop();
  Writer& writer = TheWriter();
  writer.level.store(config.level, std::memory_order_relaxed);
  const Layout layout = LayoutFor(config.format);
  writer.layout.store(layout, std::memory_order_relaxed);
  const Writer::Lock::Writing lock{writer.lock};
  writer.sink = std::make_shared<StderrSink>(layout);
  writer.threads = std::make_shared<spdlog::details::thread_pool>(config.queue_max, 1);
  writer.sink->GatherFrom(*writer.threads, config.queue_max);
  writer.logger = std::make_shared<spdlog::async_logger>("gathering", writer.sink, writer.threads,
                                                         spdlog::async_overflow_policy::overrun_oldest);
}

void Stop() {
  Writer& writer = TheWriter();
  const Writer::Lock::Writing lock{writer.lock};
  if (!writer.threads) return;
  writer.sink->StartFarewell();
  const std::uint64_t overrun = writer.threads->overrun_counter();
  writer.threads.reset();  // writes what waits and joins the thread
  writer.sink->Conclude(overrun);
  writer.logger.reset();  // the queue refers to it, so only now
  writer.dropped_before += overrun + writer.sink->lost();
  writer.sink = std::make_shared<StderrSink>(writer.layout.load(std::memory_order_relaxed));
  writer.sink->StartFarewell();
}

void SetLevel(LogLevel level) {
  TheWriter().level.store(level, std::memory_order_relaxed);
}

std::uint64_t Dropped() {
  Writer& writer = TheWriter();
  const Writer::Lock::Reading lock{writer.lock};
  return DroppedBy(writer);
}

void Debug(std::string_view message, Fields fields) {
  Log(LogLevel::kDebug, message, fields);
}
void Info(std::string_view message, Fields fields) {
  Log(LogLevel::kInfo, message, fields);
}
void Warn(std::string_view message, Fields fields) {
  Log(LogLevel::kWarning, message, fields);
}
void Error(std::string_view message, Fields fields) {
  Log(LogLevel::kError, message, fields);
}
void Answer(std::string_view message, Fields fields) {
  Write(LogLevel::kInfo, message, fields);
}
bool DebugEnabled() {
  return Enabled(LogLevel::kDebug);
}
bool InfoEnabled() {
  return Enabled(LogLevel::kInfo);
}

}  // namespace gathering::log
