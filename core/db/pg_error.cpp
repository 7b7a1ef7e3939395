#include "core/db/pg_error.h"

#include <fmt/format.h>

namespace gathering::db {

Meaning MeaningOf(std::string_view sqlstate) {
  const auto one_of = [&](auto... states) { return ((sqlstate == states) || ...); };
  const std::string_view family = sqlstate.substr(0, 2);
  if (sqlstate.empty() || family == "08" || one_of("25P03", "57P01", "57P02", "57P03", "57P05")) {
    return {Code::kUnavailable, Failure::kLost, "the database is away"};
  }
  if (one_of("40001", "40P01")) {
    return {Code::kUnavailable, Failure::kConflict, "too many changes to the same thing at once"};
  }
  if (one_of("23505", "23P01")) {
    return {Code::kConflict, Failure::kStatement, "something with these values exists already"};
  }
  if (sqlstate == "23503") {
    return {Code::kRejected, Failure::kStatement,
            "it refers to something that does not exist, or is referred to"};
  }
  if (family == "23") return {Code::kRejected, Failure::kStatement, "a value is not allowed here"};
  if (family == "22") return {Code::kRejected, Failure::kStatement, "a value cannot be stored"};
  if (sqlstate == "57014") return {Code::kTimeout, Failure::kStatement, "the database took too long"};
  if (sqlstate == "55P03")
    return {Code::kTimeout, Failure::kStatement, "somebody else is changing the same thing"};
  if (family == "53") return {Code::kUnavailable, Failure::kStatement, "the database is out of resources"};
  if (sqlstate == "25006")
    return {Code::kUnavailable, Failure::kStale, "the database accepts no changes now"};
  if (one_of("0A000", "26000")) return {Code::kInternal, Failure::kStale, "the database refused a statement"};
  return {Code::kInternal, Failure::kStatement, "the database refused a statement"};
}

std::string CauseOf(std::string_view what, std::string_view sqlstate, std::string_view primary) {
  const bool quotes_values = sqlstate.starts_with("22");
  return fmt::format("{}{}{} {}", what, what.empty() ? "" : ": ",
                     sqlstate.empty() ? "connection lost:" : sqlstate,
                     quotes_values ? "(a message about a value)" : primary);
}

}  // namespace gathering::db
