#pragma once
// One connection to PostgreSQL, outside any pool.
//
// The daemon's work goes through Pool; this is what a Pool is made of, and what
// tools use that need a session of their own: migrations, tests, advisory locks.
// Nothing is reconnected behind the owner's back: a lost connection stays lost.
// Not thread-safe, except for Interrupt; every member that talks to the server blocks.
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/db/params.h"
#include "core/db/query.h"
#include "core/db/row.h"

namespace gathering::db {

// When to come back who found the database away or busy.
inline constexpr std::chrono::seconds kRetryAfter{1};

struct ConnectionOptions {
  std::string url;  // libpq URL or keyword string; what it says wins over the options below
  std::string application_name = "gathering";
  std::chrono::milliseconds connect_timeout{3'000};  // libpq counts whole seconds and at least two
  std::chrono::milliseconds tcp_user_timeout{10'000};
  // Zero: no limit.
  std::chrono::milliseconds statement_timeout{0};
  std::chrono::milliseconds lock_timeout{0};
  std::chrono::milliseconds idle_in_transaction_timeout{0};
  // What it changes of circles it tells by events; the database need not (core/events/changes.h).
  bool tells = false;
};

// The configured URL is neither a URL nor keywords.  Says nothing of its text, which may hold a password.
class UnreadableUrl : public Error {
 public:
  UnreadableUrl()
      : Error(Code::kInvalid,
              "database.url is neither a PostgreSQL URL nor \"keyword=value …\"; check its quotes and "
              "escapes") {}
};

// What a failed statement means for the transaction around it.
enum class Failure : std::uint8_t {
  kNone,
  kStatement,  // only the statement is at fault
  kConflict,   // serialization failure or deadlock: the whole transaction may be run again
  kStale,      // the session's prepared statements no longer fit the schema: a new session will do
  kLost,       // the connection is gone, and the transaction with it
};

class Connection {
 public:
  // Connects.  Throws Error kUnavailable when the server cannot be reached or refuses us,
  // UnreadableUrl when the URL cannot be read.
  explicit Connection(const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs a named statement, prepared at its first use.  Throws as Tx::Execute does.
  Rows Execute(const Query& query, const Params& params);

  // Has the server read a named statement without running it.
  void Prepare(const Query& query);

  // Runs one statement given as text; nothing is prepared.
  Rows Execute(std::string_view sql, const Params& params = {});

  // Runs any number of statements, without parameters and without an answer.  Outside of
  // BEGIN and COMMIT all but some (CREATE INDEX CONCURRENTLY alone, for example) are one transaction.
  void Script(std::string_view sql);

  // The worst failure since ClearFailure.
  [[nodiscard]] Failure failure() const { return failure_; }
  void ClearFailure() { failure_ = Failure::kNone; }
  void Abandon() { failure_ = Failure::kLost; }  // its state is not known any more

  [[nodiscard]] bool open() const;

  // Nothing unexpected has arrived from the server, such as its good-bye.  Asks only the kernel.
  [[nodiscard]] bool Quiet() const;

  // Asks the server whether it is still there.
  [[nodiscard]] bool Ping();

  // Cuts the connection under a statement that has waited too long; the owner's call then fails
  // as lost.  May be called from another thread while the connection lives.
  void Interrupt() noexcept;

  [[nodiscard]] int backend_pid() const;

 private:
  class Driver;
  [[noreturn]] void Translate(const std::exception& error, std::string_view what);

  std::unique_ptr<Driver> driver_;
  Failure failure_ = Failure::kNone;
};

}  // namespace gathering::db
