#pragma once
// The answer of a statement, without naming the driver that fetched it.
//
// Columns are read into a struct in the order of its Fields; the names must
// agree (checked once per result), so a SELECT and its type cannot drift apart.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/timestamp.h"
#include "core/base/uuid.h"
#include "core/schema/fields.h"

namespace gathering::db {

// The driver's side of a result.  Texts stay valid as long as it lives.
class Result {
 public:
  virtual ~Result() = default;
  virtual std::size_t rows() const = 0;
  virtual std::size_t columns() const = 0;
  virtual std::size_t affected() const = 0;
  virtual std::string_view column_name(std::size_t column) const = 0;
  virtual std::optional<std::string_view> text(std::size_t row,
                                               std::size_t column) const = 0;  // nullopt: NULL
};

// Decoding of one value from PostgreSQL's text form.  Throws Error kInternal, naming the
// column, when the text does not fit: that is a bug in a query, never the client's fault.
[[noreturn]] void ThrowBadColumn(std::string_view column, std::string_view type);
void Decode(std::string_view text, std::string_view column, bool& out);
void Decode(std::string_view text, std::string_view column, std::int32_t& out);
void Decode(std::string_view text, std::string_view column, std::int64_t& out);
void Decode(std::string_view text, std::string_view column, double& out);
void Decode(std::string_view text, std::string_view column, std::string& out);
void Decode(std::string_view text, std::string_view column, Timestamp& out);
void Decode(std::string_view text, std::string_view column, OffsetTimestamp& out);
void Decode(std::string_view text, std::string_view column, Date& out);
void Decode(std::string_view text, std::string_view column, Uuid& out);
void Decode(std::string_view text, std::string_view column, std::vector<std::string>& out);   // text[]
void Decode(std::string_view text, std::string_view column, std::vector<std::int64_t>& out);  // bigint[]

// A visitor for Fields: reads the columns of one row from left to right.
class RowReader {
 public:
  RowReader(const Result& result, std::size_t row, std::size_t first_column = 0)
      : result_(result), row_(row), next_(first_column) {}

  template <class T>
  void operator()(std::string_view name, T& out, const schema::Rule& = {}) {
    const std::size_t column = next_++;
    if (column >= result_.columns() || (row_ == 0 && result_.column_name(column) != name)) {
      ThrowBadColumn(name, "a column in this place");
    }
    Read(result_.text(row_, column), name, out);
  }

 private:
  template <class T>
  static void Read(std::optional<std::string_view> text, std::string_view name, T& out) {
    if constexpr (schema::Optional<T>) {
      if (text) {
        Read(text, name, out.emplace());
      } else {
        out.reset();
      }
    } else {
      if (!text) ThrowBadColumn(name, "a value that is not NULL");
      if constexpr (schema::JsonText<T>) {
        out.text.assign(*text);
      } else if constexpr (schema::Enumeration<T>) {
        const auto value = schema::FromText<T>(*text);
        if (!value) ThrowBadColumn(name, "a known name");
        out = *value;
      } else {
        Decode(*text, name, out);
      }
    }
  }

  const Result& result_;
  std::size_t row_;
  std::size_t next_;
};

// All rows of one answer.
class Rows {
 public:
  explicit Rows(std::unique_ptr<Result> result) : result_(std::move(result)) {}

  std::size_t size() const { return result_->rows(); }
  bool empty() const { return size() == 0; }
  std::size_t affected() const { return result_->affected(); }  // rows an INSERT, UPDATE or DELETE touched

  // T is a struct with Fields, or a single value for a one-column answer.  `first_column` is where T begins.
  template <class T>
  T As(std::size_t row, std::size_t first_column = 0) const {
    T value{};
    RowReader reader{*result_, row, first_column};
    if constexpr (schema::Object<T>) {
      T::Fields(value, reader);
    } else {
      reader(result_->column_name(0), value);
    }
    return value;
  }

 private:
  std::unique_ptr<Result> result_;
};

}  // namespace gathering::db
