#pragma once
// The log: one line an event, as JSON or for a reader's eyes, on stderr.
//
//   log::Info("migration applied", {{"version", 3}, {"duration_ms", 41}});
//
// Lines wait in a bounded queue for one writer thread, which writes those that come quickly together, once a
// millisecond; when the queue is full the oldest line is dropped and counted, never the caller held up.  Once
// there is room again a line tells how many were lost, at most one a second.  Control bytes in values are
// escaped, a line is cut at 16 KiB.  Before Start and after Stop lines are written at once by the caller.
// Safe from any thread.
//
// A line that is written on behalf of a request says which one, also when it was cut:
// whoever serves a request sets a Scope, which goes with its fiber (daemon/loop/fibers.h)
// and with the work it gives to others (daemon/loop/fiber.h).
//
// Where stderr is the journal of systemd ($JOURNAL_STREAM), each line begins with its
// priority, "<4>" for a warning: the journal takes that off and keeps it.
#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace gathering {
struct LogConfig;
enum class LogLevel : std::uint8_t;
}  // namespace gathering

namespace gathering::log {

struct Field {
  std::string_view name;
  std::variant<std::monostate, std::string_view, std::int64_t, double, bool> value;

  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string_view{v}) {}
  Field(std::string_view n, const std::string& v) : name(n), value(std::string_view{v}) {}
  Field(std::string_view n, const std::optional<std::string>& v) : name(n) {  // without a value: left out
    if (v) value = std::string_view{*v};
  }
  Field(std::string_view n, bool v) : name(n), value(v) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Field(std::string_view n, T v)
      : name(n), value(static_cast<std::int64_t>(v)) {}
};
using Fields = std::initializer_list<Field>;

// On whose behalf lines are written: hex digits and hyphens only.
struct Context {
  std::string request_id;              // empty: nobody's yet, and nothing is added to lines
  std::array<char, 32> trace_id = {};  // W3C Trace Context
  std::array<char, 16> span_id = {};   // of this daemon's part of the trace
};

// While it lives, this thread writes for `context`, which may be null.  They nest.
class Scope {
 public:
  explicit Scope(const Context* context);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  const Context* const before_;
};
[[nodiscard]] const Context* Current();  // of this thread; null: nobody

void Start(const LogConfig& config);
void Stop();  // writes what waits
void SetLevel(LogLevel level);
[[nodiscard]] std::uint64_t Dropped();

void Debug(std::string_view message, Fields fields = {});
void Info(std::string_view message, Fields fields = {});
void Warn(std::string_view message, Fields fields = {});
void Error(std::string_view message, Fields fields = {});
// At level info and written whatever the level is: what somebody asked for.
void Answer(std::string_view message, Fields fields = {});
[[nodiscard]] bool DebugEnabled();
[[nodiscard]] bool InfoEnabled();

}  // namespace gathering::log
