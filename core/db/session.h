#pragma once
// One connection whose owner watches every statement: its progress, the server's
// notices, the place of an error; and who can cancel it from a signal handler.
// This is what migrations run on; requests use Pool, tools without such needs Connection.
//
// Nothing is reconnected: a lost session stays lost.  Not thread-safe, except for Interrupt; every member
// that talks to the server blocks.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/db/params.h"
#include "core/db/query.h"
#include "core/db/row.h"

namespace gathering::db {

// What every connection of ours sets: times and dates as we read them, and plans that use indexes from the
// first day (ARCHITECTURE.md).
inline constexpr std::string_view kSessionSettings =
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET enable_seqscan = off; SET jit = off";

struct SessionOptions {
  std::string url;  // libpq URL or keyword string; what it says wins over the options below
  std::string application_name = "gathering";
  std::chrono::milliseconds connect_timeout{3'000};  // libpq counts whole seconds and at least two
  // Becomes true to cancel the running statement; looked at on every signal and at least every 100 ms.
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(std::string_view)> on_notice = {};
};

struct Notification {
  std::string_view channel;
  std::string_view payload;
};

// An error the server answered a statement with.
class SqlError : public Error {
 public:
  SqlError(Code code_in, std::string message_in, std::string cause_in)
      : Error(code_in, std::move(message_in), std::move(cause_in)) {}

  std::string text;          // "relation \"agents\" does not exist", then detail and hint
  std::size_t position = 0;  // in characters of the statement, from 1; 0: unknown
};

class Session {
 public:
  // Throws Error kUnavailable when the server cannot be reached or refuses us.
  explicit Session(const SessionOptions& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Runs statements without parameters; the answers are dropped.  Several in one text are one
  // transaction unless one is open.  Throws SqlError; Error kUnavailable when the connection is
  // lost, or kInDoubt when it was lost under a COMMIT.
  void Execute(std::string_view sql);

  // Runs one statement.  Throws as Execute does.
  Rows Query(const db::Query& query, const Params& params = {});

  // Waits; ends early on any signal, when the server has something to say, and when `descriptor`, if there is
  // one, is readable.  Throws kUnavailable when the server goes meanwhile.
  void Pause(std::chrono::milliseconds duration, int descriptor = -1);

  // What other sessions have said (LISTEN) since the last call: how often, and each to `hear`.
  std::size_t TakeNotifications(const std::function<void(const Notification&)>& hear = {});

  // From another thread, while the session lives: cuts the connection, so that whoever waits for the server
  // fails.
  void Interrupt() noexcept;

  [[nodiscard]] bool in_transaction() const;  // also in one that failed
  [[nodiscard]] int backend_pid() const;

 private:
  class Driver;
  std::unique_ptr<Driver> driver_;
};

}  // namespace gathering::db
