#include "core/db/session.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "core/base/fd.h"
#include "core/db/pg_conninfo.h"
#include "core/db/pg_error.h"
#include "core/db/pg_result.h"

namespace gathering::db {
namespace {

constexpr int kCancelCheckMs = 100;
constexpr std::string_view kCommit = "COMMIT";

ConnOwner Connect(const SessionOptions& options) {
  [[maybe_unused]] const auto readable = ParseConnInfo(options.url);  // else libpq would quote it
  using std::chrono::ceil;
  const std::string timeout = fmt::format("{}", ceil<std::chrono::seconds>(options.connect_timeout).count());
  // Later keywords win, and "dbname" is replaced by all that the URL says.
  constexpr std::array kKeywords = {
      "application_name", "connect_timeout", "keepalives_idle", "keepalives_interval",
      "keepalives_count", "dbname",          "client_encoding", static_cast<const char*>(nullptr)};
  const std::array values = {
      options.application_name.c_str(), timeout.c_str(), "10", "3", "3", options.url.c_str(), "UTF8",
      static_cast<const char*>(nullptr)};
  static_assert(kKeywords.size() == std::tuple_size_v<decltype(values)>);
  constexpr int kExpandDbname = 1;
  ConnOwner connection{PQconnectdbParams(kKeywords.data(), values.data(), kExpandDbname), PQfinish};
  if (!connection) throw Unavailable("the database is away", kRetryAfter, "no memory for a connection");
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    throw Unavailable("the database is away", kRetryAfter, Complaint(connection.get()));
  }
  return connection;
}

}  // namespace

class Session::Driver {
 public:
  explicit Driver(const SessionOptions& options)
      : connection_(Connect(options)),
        interrupt_(fcntl(PQsocket(connection_.get()), F_DUPFD_CLOEXEC, 0)),
        cancel_(options.cancel),
        on_notice_(options.on_notice) {
    PQsetNoticeReceiver(connection_.get(), &Driver::Notice, this);
  }

  PGconn* connection() const { return connection_.get(); }

  // Takes the answers of what was sent; the last one is returned, the first error thrown once all are in.
  ResultOwner Finish(bool sent, std::string_view sql) {
    if (!sent) ThrowLost(sql);
    ResultOwner last{nullptr, PQclear};
    ResultOwner failed{nullptr, PQclear};
    for (;;) {
      AwaitAnswer(sql);
      ResultOwner result{PQgetResult(connection()), PQclear};
      if (!result) break;
      const ExecStatusType status = PQresultStatus(result.get());
      if (status == PGRES_COPY_IN) {
        PQputCopyEnd(connection(), "COPY FROM STDIN has no input here");
      } else if (status == PGRES_COPY_OUT) {
        DropCopy();
      } else if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
        if (!failed) failed = std::move(result);
      } else {
        last = std::move(result);
      }
    }
    if (failed) Throw(failed.get(), sql);
    if (PQstatus(connection()) != CONNECTION_OK) ThrowLost(sql);
    return last;
  }

  void Pause(std::chrono::milliseconds duration, int descriptor) {
    // poll takes no notice of a descriptor that is negative.
    std::array<pollfd, 2> watched{pollfd{.fd = PQsocket(connection()), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = descriptor, .events = POLLIN, .revents = 0}};
    const int ready = poll(watched.data(), watched.size(), static_cast<int>(duration.count()));
    if (ready > 0 && watched[0].revents != 0 && PQconsumeInput(connection()) == 0) ThrowLost({});
  }

  std::size_t TakeNotifications(const std::function<void(const Notification&)>& hear) {
    using Owner = std::unique_ptr<PGnotify, void (*)(void*)>;
    std::size_t taken = 0;
    while (const Owner notify{PQnotifies(connection()), PQfreemem}) {
      if (notify->be_pid == PQbackendPID(connection())) continue;
      ++taken;
      if (hear) hear({.channel = notify->relname, .payload = notify->extra});
    }
    return taken;
  }

  void Interrupt() noexcept { shutdown(interrupt_.get(), SHUT_RDWR); }

 private:
  static void Notice(void* self, const PGresult* result) noexcept {
    const auto& driver = *static_cast<Driver*>(self);
    if (driver.on_notice_) driver.on_notice_(FieldOf(result, PG_DIAG_MESSAGE_PRIMARY));
  }

  // Until PQgetResult would not block.
  void AwaitAnswer(std::string_view sql) {
    for (;;) {
      const int unsent = PQflush(connection());
      if (unsent < 0) ThrowLost(sql);
      if (unsent == 0 && PQisBusy(connection()) == 0) return;
      pollfd watched{.fd = PQsocket(connection()), .events = POLLIN, .revents = 0};
      if (unsent > 0) watched.events |= POLLOUT;
      const int ready = poll(&watched, 1, kCancelCheckMs);
      if (ready < 0 && errno != EINTR) throw std::system_error{errno, std::generic_category(), "poll"};
      if (ready <= 0) CancelIfAsked();
      // What the server said before it left is still to be read; PQgetResult then tells of the loss.
      if (ready > 0 && PQconsumeInput(connection()) == 0) return;
    }
  }

  // Again and again: a request that overtakes its statement has no effect.
  void CancelIfAsked() {
    if (cancel_ == nullptr || !cancel_->load(std::memory_order_relaxed)) return;
    const std::unique_ptr<PGcancel, void (*)(PGcancel*)> cancel{PQgetCancel(connection()), PQfreeCancel};
    std::array<char, 256> complaint{};
    if (cancel) PQcancel(cancel.get(), complaint.data(), static_cast<int>(complaint.size()));
  }

  void DropCopy() {
    char* line = nullptr;
    while (PQgetCopyData(connection(), &line, 0) > 0) PQfreemem(line);
  }

  [[noreturn]] void Throw(const PGresult* failed, std::string_view sql) {
    SqlError error = ToError(failed);
    if (PQstatus(connection()) != CONNECTION_OK || MeaningOf(error.sqlstate).failure == Failure::kLost) {
      if (sql == kCommit) throw InDoubt(error.cause);
      throw Unavailable("the connection to the database was lost", kRetryAfter, error.cause);
    }
    throw error;
  }

  [[noreturn]] void ThrowLost(std::string_view sql) {
    const std::string cause = Complaint(connection());
    if (sql == kCommit) throw InDoubt(cause);
    throw Unavailable("the connection to the database was lost", kRetryAfter, cause);
  }

  static Error InDoubt(const std::string& cause) {
    return Error{Code::kInDoubt, "the connection was lost during COMMIT: it may or may not have happened",
                 cause};
  }

  ConnOwner connection_;
  // The same socket under a number that libpq cannot close and the kernel not give away.
  Fd interrupt_;
  const std::atomic<bool>* cancel_;
  const std::function<void(std::string_view)> on_notice_;
};

Session::Session(const SessionOptions& options) : driver_(std::make_unique<Driver>(options)) {}

Session::~Session() = default;

void Session::Execute(std::string_view sql) {
  const std::string text{sql};
  driver_->Finish(PQsendQuery(driver_->connection(), text.c_str()) == 1, sql);
}

Rows Session::Query(const db::Query& query, const Params& params) {
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const auto& param : params) values.push_back(param ? param->c_str() : nullptr);
  const std::string text{query.text};
  constexpr int kTextResult = 0;
  const int sent = PQsendQueryParams(driver_->connection(), text.c_str(), static_cast<int>(values.size()),
                                     nullptr, values.data(), nullptr, nullptr, kTextResult);
  return ToRows(driver_->Finish(sent == 1, query.text));
}

void Session::Pause(std::chrono::milliseconds duration, int descriptor) {
  driver_->Pause(duration, descriptor);
}

std::size_t Session::TakeNotifications(const std::function<void(const Notification&)>& hear) {
  return driver_->TakeNotifications(hear);
}

void Session::Interrupt() noexcept {
  driver_->Interrupt();
}

bool Session::in_transaction() const {
  const PGTransactionStatusType status = PQtransactionStatus(driver_->connection());
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

int Session::backend_pid() const {
  return PQbackendPID(driver_->connection());
}

}  // namespace gathering::db
