#include "core/db/connection.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <pqxx/pqxx>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/db/pg_conninfo.h"
#include "core/db/pg_error.h"
#include "core/db/pg_result.h"

namespace gathering::db {
namespace {

constexpr std::chrono::seconds kRetryAfter{1};

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

class Notices final : public pqxx::errorhandler {
 public:
  explicit Notices(pqxx::connection_base& connection) : pqxx::errorhandler(connection) {}
  bool operator()(const char message[]) noexcept override {
    // Behind the first line may stand values.
    const std::string_view text{message};
    log::Debug("notice from the database", {{"notice", text.substr(0, text.find('\n'))}});
    return false;
  }
};

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
  explicit Driver(const ConnectionOptions& options) : connection(ConnInfo(options)), notices(connection) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored \
    "-Wdeprecated-declarations"  // gone in libpqxx 7, where this is the only behaviour
    connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
    connection.set_verbosity(pqxx::connection_base::verbose);
    interrupt_fd = fcntl(connection.sock(), F_DUPFD_CLOEXEC, 0);
  }
  ~Driver() {
    if (interrupt_fd >= 0) close(interrupt_fd);
  }

  pqxx::connection connection;
  int interrupt_fd =
      -1;  // the same socket under a number that libpq cannot close and the kernel not give away
  Notices notices;
  // BEGIN and COMMIT are sent as statements, so that each failure is seen where it happens.
  pqxx::nontransaction channel{connection};
};

Connection::Connection(const ConnectionOptions& options) {
  try {
    driver_ = std::make_unique<Driver>(options);
    driver_->channel.exec(SessionSettings(options));
  } catch (const pqxx::pqxx_exception& error) {
    throw Unavailable("the database is away", kRetryAfter, error.base().what());
  }
}

Connection::~Connection() = default;

Rows Connection::Execute(const Query& query, const Params& params) {
  const std::vector<const char*> values = Pointers(params);
  try {
    const std::string name{query.name};
    driver_->connection.prepare(name, std::string{query.text});
    return Rows{std::make_unique<DriverResult>(
        driver_->channel.exec_prepared(name, pqxx::prepare::make_dynamic_params(values)))};
  } catch (const pqxx::pqxx_exception& error) {
    Translate(error.base(), query.name);
  }
}

void Connection::Prepare(const Query& query) {
  try {
    const std::string name{query.name};
    driver_->connection.prepare(name, std::string{query.text});
    driver_->connection.prepare_now(name);
  } catch (const pqxx::pqxx_exception& error) {
    Translate(error.base(), query.name);
  }
}

Rows Connection::Execute(std::string_view sql, const Params& params) {
  const std::vector<const char*> values = Pointers(params);
  try {
    return Rows{std::make_unique<DriverResult>(
        driver_->channel.exec_params(std::string{sql}, pqxx::prepare::make_dynamic_params(values)))};
  } catch (const pqxx::pqxx_exception& error) {
    Translate(error.base(), "statement");
  }
}

void Connection::Script(std::string_view sql) {
  try {
    driver_->channel.exec(std::string{sql});
  } catch (const pqxx::pqxx_exception& error) {
    Translate(error.base(), "script");
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
  return driver_->connection.is_open();
}

bool Connection::Quiet() const {
  pollfd watched{.fd = driver_->connection.sock(), .events = POLLIN, .revents = 0};
  return open() && poll(&watched, 1, 0) == 0;
}

bool Connection::Ping() {
  try {
    driver_->channel.exec("SELECT 1");
    return true;
  } catch (const pqxx::pqxx_exception&) {
    failure_ = Failure::kLost;
    return false;
  }
}

void Connection::Interrupt() noexcept {
  shutdown(driver_->interrupt_fd, SHUT_RDWR);
}

int Connection::backend_pid() const {
  return driver_->connection.backendpid();
}

}  // namespace gathering::db

#if defined(__SANITIZE_ADDRESS__)
// libpqxx 6.4 forgets the last answer of a connection that was lost.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:PQmakeEmptyPGresult\n";
}
#endif
