#pragma once
// What went wrong, in words that know no protocol.
//
// An operation that cannot go on throws Error.  Expected outcomes (absent,
// refused, already so) are return values instead.  Each boundary translates
// once: core/db/pg.cpp turns SQLSTATE into a Code, daemon/http/status.cpp turns
// a Code into an HTTP status, cmd turns it into an exit code.
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace gathering {

enum class Code : std::uint8_t {
  kInvalid,          // the input breaks its declared rules; `fields` says which
  kRejected,         // well-formed, but the state of things does not allow it
  kUnauthenticated,  // who is asking is not known
  kForbidden,        // who is asking may not
  kNotFound,
  kConflict,     // exists already, or changed meanwhile
  kTimeout,      // the caller's deadline passed
  kUnavailable,  // a bound is full or something we depend on is away: try again later
  kInDoubt,      // a write may or may not have happened: look before repeating it
  kInternal,     // our bug
};

// One element of the way to a field: a name, or an index into a list.
using FieldStep = std::variant<std::string, std::int64_t>;

// One broken rule of the input.  `input` and `context` are JSON texts; `context` may be empty.
struct FieldError {
  std::string type;  // e.g. "missing", "string_too_short"
  std::vector<FieldStep> location;
  std::string message;
  std::string input;
  std::string context;
};

class Error : public std::exception {
 public:
  // `message` may be read by a client; `cause` is only for the log.
  explicit Error(Code code_in, std::string message_in, std::string cause_in = {})
      : code(code_in), message(std::move(message_in)), cause(std::move(cause_in)) {}
  explicit Error(std::vector<FieldError> fields_in)
      : code(Code::kInvalid), message("the input is not valid"), fields(std::move(fields_in)) {}

  const char* what() const noexcept override { return message.c_str(); }

  // For the log and for who administers the machine.
  [[nodiscard]] const std::string& reason() const { return cause.empty() ? message : cause; }
  [[nodiscard]] std::string MessageAndCause() const {
    return cause.empty() ? message : message + " (" + cause + ")";
  }

  Code code;
  std::string message;
  std::string cause;
  std::vector<FieldError> fields;                   // only with kInvalid
  std::optional<std::chrono::seconds> retry_after;  // only with kUnavailable
  std::string constraint;                           // of the database, when it broke; not for clients
  std::string sqlstate;                             // of the database's refusal; not for clients
};

// Says that a bound is full or a dependency is away, and when to come back.
[[nodiscard]] inline Error Unavailable(std::string message, std::chrono::seconds retry_after,
                                       std::string cause = {}) {
  Error error{Code::kUnavailable, std::move(message), std::move(cause)};
  error.retry_after = retry_after;
  return error;
}

}  // namespace gathering
