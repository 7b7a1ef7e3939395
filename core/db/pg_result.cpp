#include "core/db/pg_result.h"

#include <charconv>
#include <chrono>

#include <fmt/format.h>

#include "core/db/pg_error.h"

namespace gathering::db {
namespace {

class PgResult final : public Result {
 public:
  explicit PgResult(ResultOwner result) : result_(std::move(result)) {}

  std::size_t rows() const override { return static_cast<std::size_t>(PQntuples(result_.get())); }
  std::size_t columns() const override { return static_cast<std::size_t>(PQnfields(result_.get())); }
  std::size_t affected() const override {
    const std::string_view text = PQcmdTuples(result_.get());
    std::size_t count = 0;
    std::from_chars(text.data(), text.data() + text.size(), count);
    return count;
  }
  std::string_view column_name(std::size_t column) const override {
    return PQfname(result_.get(), static_cast<int>(column));
  }
  std::optional<std::string_view> text(std::size_t row, std::size_t column) const override {
    const int r = static_cast<int>(row);
    const int c = static_cast<int>(column);
    if (PQgetisnull(result_.get(), r, c) != 0) return std::nullopt;
    return std::string_view{PQgetvalue(result_.get(), r, c),
                            static_cast<std::size_t>(PQgetlength(result_.get(), r, c))};
  }

 private:
  ResultOwner result_;
};

}  // namespace

std::string_view FieldOf(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text != nullptr ? std::string_view{text} : std::string_view{};
}

Rows ToRows(ResultOwner result) {
  return Rows{std::make_unique<PgResult>(std::move(result))};
}

SqlError ToError(const PGresult* result, std::string_view what) {
  const std::string_view state = FieldOf(result, PG_DIAG_SQLSTATE);
  const Meaning meaning = MeaningOf(state);
  std::string text{FieldOf(result, PG_DIAG_MESSAGE_PRIMARY)};
  if (text.empty()) text = PQresultErrorMessage(result);
  const std::string cause = CauseOf(what, state, text);
  if (const auto detail = FieldOf(result, PG_DIAG_MESSAGE_DETAIL); !detail.empty())
    text.append("; ").append(detail);
  if (const auto hint = FieldOf(result, PG_DIAG_MESSAGE_HINT); !hint.empty()) text.append("; ").append(hint);
  SqlError error{meaning.code, std::string{meaning.message}, cause};
  error.sqlstate = state;
  error.text = std::move(text);
  if (state.starts_with("23")) error.constraint = FieldOf(result, PG_DIAG_CONSTRAINT_NAME);
  const std::string_view position = FieldOf(result, PG_DIAG_STATEMENT_POSITION);
  std::from_chars(position.data(), position.data() + position.size(), error.position);
  if (meaning.code == Code::kUnavailable) error.retry_after = kRetryAfter;
  return error;
}

std::string Complaint(const PGconn* connection) {
  std::string line;
  for (const char c : std::string_view{PQerrorMessage(connection)}) {
    const bool blank = c == ' ' || c == '\n' || c == '\t';
    if (!blank || (!line.empty() && line.back() != ' ')) line += blank ? ' ' : c;
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::vector<const char*> Pointers(const Params& params) {
  std::vector<const char*> pointers;
  pointers.reserve(params.size());
  for (const auto& param : params) {
    if (param && param->find('\0') != std::string::npos) {
      throw Error{Code::kRejected, "a text must not contain the character U+0000"};
    }
    pointers.push_back(param ? param->c_str() : nullptr);
  }
  return pointers;
}

}  // namespace gathering::db
