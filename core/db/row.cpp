#include "core/db/row.h"

#include <charconv>
#include <system_error>

#include "core/base/error.h"

namespace gathering::db {
namespace {

template <class T>
void DecodeNumber(std::string_view text, std::string_view column, T& out) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  if (error != std::errc{} || stop != end) ThrowBadColumn(column, "a number of this size");
}

// Reads the elements of a one-dimensional array literal, e.g. {a,"b, c"}.
class ArrayReader {
 public:
  ArrayReader(std::string_view text, std::string_view column) : rest_(text), column_(column) {
    if (rest_.size() < 2 || rest_.front() != '{' || rest_.back() != '}') Refuse();
    rest_ = rest_.substr(1, rest_.size() - 2);
  }

  // False after the last element.
  bool Next(std::string& element) {
    element.clear();
    if (rest_.empty()) {
      if (after_comma_) Refuse();
      return false;
    }
    if (rest_.front() == '"') {
      TakeQuoted(element);
    } else {
      TakePlain(element);
    }
    after_comma_ = !rest_.empty();
    if (after_comma_) {
      if (rest_.front() != ',') Refuse();
      rest_.remove_prefix(1);
    }
    return true;
  }

 private:
  [[noreturn]] void Refuse() const { ThrowBadColumn(column_, "a list of one dimension without NULL"); }

  void TakeQuoted(std::string& element) {
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\') rest_.remove_prefix(1);
      if (rest_.empty()) Refuse();
      element += rest_.front();
      rest_.remove_prefix(1);
    }
    if (rest_.empty()) Refuse();
    rest_.remove_prefix(1);
  }

  void TakePlain(std::string& element) {
    element = rest_.substr(0, rest_.find(','));
    rest_.remove_prefix(element.size());
    // PostgreSQL quotes a text that merely looks like NULL, in any case of letters.
    if (element.empty() || element == "NULL" || element.find_first_of("{}\"\\") != std::string::npos)
      Refuse();
  }

  std::string_view rest_;
  std::string_view column_;
  bool after_comma_ = false;
};

}  // namespace

void ThrowBadColumn(std::string_view column, std::string_view type) {
  std::string cause = "column \"";
  cause.append(column).append("\" is not ").append(type);
  throw Error{Code::kInternal, "the database gave an unexpected answer", std::move(cause)};
}

void Decode(std::string_view text, std::string_view column, bool& out) {
  if (text != "t" && text != "f") ThrowBadColumn(column, "a boolean");
  out = text == "t";
}

void Decode(std::string_view text, std::string_view column, std::int32_t& out) {
  DecodeNumber(text, column, out);
}

void Decode(std::string_view text, std::string_view column, std::int64_t& out) {
  DecodeNumber(text, column, out);
}

void Decode(std::string_view text, std::string_view column, double& out) {
  DecodeNumber(text, column, out);
}

void Decode(std::string_view text, std::string_view /*column*/, std::string& out) {
  out.assign(text);
}

void Decode(std::string_view text, std::string_view column, Timestamp& out) {
  const auto moment = ParseTimestamp(text);
  if (!moment) ThrowBadColumn(column, "a moment");
  out = *moment;
}

void Decode(std::string_view text, std::string_view column, OffsetTimestamp& out) {
  Timestamp moment;
  Decode(text, column, moment);
  out.micros = moment.micros;
}

void Decode(std::string_view text, std::string_view column, Date& out) {
  auto day = ParseDate(text);
  if (!day) ThrowBadColumn(column, "a day");
  out = *std::move(day);
}

void Decode(std::string_view text, std::string_view column, Uuid& out) {
  const auto id = ParseUuid(text);
  if (!id) ThrowBadColumn(column, "a UUID");
  out = *id;
}

void Decode(std::string_view text, std::string_view column, std::vector<std::string>& out) {
  out.clear();
  ArrayReader reader{text, column};
  for (std::string element; reader.Next(element);) out.push_back(element);
}

void Decode(std::string_view text, std::string_view column, std::vector<std::int64_t>& out) {
  out.clear();
  ArrayReader reader{text, column};
  for (std::string element; reader.Next(element);) DecodeNumber(element, column, out.emplace_back());
}

}  // namespace gathering::db
