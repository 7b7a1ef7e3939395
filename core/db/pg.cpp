#include "core/db/connection.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/db/pg_conninfo.h"
#include "core/db/pg_driver.h"
#include "core/db/pg_error.h"
#include "core/db/pg_result.h"

namespace gathering::db {
namespace {

// An empty state is how the driver reports a broken network in the middle of a statement.
std::string StateOf(const std::exception& error) {
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error)) return sql->sqlstate();
  if (dynamic_cast<const pqxx::serialization_failure*>(&error) != nullptr) return "40001";
  if (dynamic_cast<const pqxx::deadlock_detected*>(&error) != nullptr) return "40P01";
  if (dynamic_cast<const pqxx::transaction_rollback*>(&error) != nullptr) return "40000";
  if (dynamic_cast<const pqxx::too_many_connections*>(&error) != nullptr) return "53300";
  if (dynamic_cast<const pqxx::broken_connection*>(&error) != nullptr) return "08006";
  return "XX000";
}

// The driver drops the server's structured fields but keeps the verbose text, where this line comes
// after everything a client could have written.
std::string ConstraintOf(std::string_view verbose) {
  constexpr std::string_view kLabel = "\nCONSTRAINT NAME:  ";
  const std::size_t at = verbose.rfind(kLabel);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = verbose.substr(at + kLabel.size());
  return std::string{rest.substr(0, rest.find('\n'))};
}

// "ERROR:  23505: duplicate key …" without what comes first, and without the lines behind it.
std::string_view PrimaryOf(std::string_view verbose) {
  verbose = verbose.substr(0, verbose.find('\n'));
  constexpr std::size_t kStateBytes = 5;
  const std::size_t severity = verbose.find(":  ");
  const std::size_t text = severity == std::string_view::npos ? severity : severity + 3 + kStateBytes;
  if (text == std::string_view::npos || verbose.substr(std::min(text, verbose.size()), 2) != ": ")
    return verbose;
  return verbose.substr(text + 2);
}

class DriverResult final : public Result {
 public:
  explicit DriverResult(pqxx::result result) : result_(std::move(result)) {}

  std::size_t rows() const override { return result_.size(); }
  std::size_t columns() const override { return result_.columns(); }
  std::size_t affected() const override { return result_.affected_rows(); }
  std::string_view column_name(std::size_t column) const override {
    return result_.column_name(static_cast<pqxx::row_size_type>(column));
  }
  std::optional<std::string_view> text(std::size_t row, std::size_t column) const override {
    const auto field =
        result_[static_cast<pqxx::result_size_type>(row)][static_cast<pqxx::row_size_type>(column)];
    if (field.is_null()) return std::nullopt;
    return std::string_view{field.c_str(), field.size()};
  }

 private:
  pqxx::result result_;
};

}  // namespace

class Connection::Driver {
 public:
  explicit Driver(const ConnectionOptions& options)
      : session(ConnInfo(options), [](std::string_view message) {
          // Behind the first line may stand values.
          log::Debug("notice from the database", {{"notice", message.substr(0, message.find('\n'))}});
        }) {
    interrupt_fd = fcntl(session.connection.sock(), F_DUPFD_CLOEXEC, 0);
  }
  ~Driver() {
    if (interrupt_fd >= 0) close(interrupt_fd);
  }

  DriverSession session;
  int interrupt_fd =
      -1;  // the same socket under a number that libpq cannot close and the kernel not give away
};

Connection::Connection(const ConnectionOptions& options) {
  try {
    driver_ = std::make_unique<Driver>(options);
    driver_->session.Run(SessionSettings(options));
  } catch (const pqxx::failure& error) {
    throw Unavailable("the database is away", kRetryAfter, error.what());
  }
}

Connection::~Connection() = default;

Rows Connection::Execute(const Query& query, const Params& params) {
  const std::vector<const char*> values = Pointers(params);
  try {
    const std::string name{query.name};
    driver_->session.PrepareOnce(name, std::string{query.text});
    return Rows{std::make_unique<DriverResult>(driver_->session.RunPrepared(name, values))};
  } catch (const pqxx::failure& error) {
    Translate(error, query.name);
  }
}

void Connection::Prepare(const Query& query) {
  try {
    driver_->session.PrepareOnce(std::string{query.name}, std::string{query.text});
  } catch (const pqxx::failure& error) {
    Translate(error, query.name);
  }
}

Rows Connection::Execute(std::string_view sql, const Params& params) {
  const std::vector<const char*> values = Pointers(params);
  try {
    return Rows{std::make_unique<DriverResult>(driver_->session.Run(std::string{sql}, values))};
  } catch (const pqxx::failure& error) {
    Translate(error, "statement");
  }
}

void Connection::Script(std::string_view sql) {
  try {
    driver_->session.Run(std::string{sql});
  } catch (const pqxx::failure& error) {
    Translate(error, "script");
  }
}

void Connection::Translate(const std::exception& error, std::string_view what) {
  const std::string state = open() ? StateOf(error) : "";
  const Meaning meaning = MeaningOf(state);
  failure_ = std::max(failure_, meaning.failure);
  Error translated{meaning.code, std::string{meaning.message}, CauseOf(what, state, PrimaryOf(error.what()))};
  translated.sqlstate = state;
  if (state.starts_with("23")) translated.constraint = ConstraintOf(error.what());
  if (meaning.code == Code::kUnavailable) translated.retry_after = kRetryAfter;
  throw translated;
}

bool Connection::open() const {
  return driver_->session.connection.is_open();
}

bool Connection::Quiet() const {
  pollfd watched{.fd = driver_->session.connection.sock(), .events = POLLIN, .revents = 0};
  return open() && poll(&watched, 1, 0) == 0;
}

bool Connection::Ping() {
  try {
    driver_->session.Run("SELECT 1");
    return true;
  } catch (const pqxx::failure&) {
    failure_ = Failure::kLost;
    return false;
  }
}

void Connection::Interrupt() noexcept {
  shutdown(driver_->interrupt_fd, SHUT_RDWR);
}

int Connection::backend_pid() const {
  return driver_->session.connection.backendpid();
}

}  // namespace gathering::db

#if defined(__SANITIZE_ADDRESS__)
// libpqxx 6.4 forgets the last answer of a connection that was lost.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:PQmakeEmptyPGresult\n";
}
#endif
