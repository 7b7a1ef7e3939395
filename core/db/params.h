#pragma once
// The values of a statement's $1, $2, … in PostgreSQL's text form.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/timestamp.h"
#include "core/base/uuid.h"
#include "core/schema/fields.h"

namespace gathering::db {

// Encoding of one value.  Text lists become a PostgreSQL array literal with every element quoted.
[[nodiscard]] std::string Encode(bool value);
[[nodiscard]] std::string Encode(std::int64_t value);
[[nodiscard]] std::string Encode(double value);
[[nodiscard]] std::string Encode(std::string_view value);
[[nodiscard]] std::string Encode(Timestamp value);
[[nodiscard]] std::string Encode(const Date& value);
[[nodiscard]] std::string Encode(const Uuid& value);
[[nodiscard]] std::string Encode(const std::vector<std::string>& value);
[[nodiscard]] std::string Encode(const std::vector<std::int64_t>& value);

using Params = std::vector<std::optional<std::string>>;

template <class T>
[[nodiscard]] std::optional<std::string> ToParam(const T& value) {
  if constexpr (schema::Optional<T>) {
    if (!value) return std::nullopt;
    return ToParam(*value);
  } else if constexpr (schema::Enumeration<T>) {
    return std::string{schema::ToText(value)};
  } else if constexpr (schema::JsonText<T>) {
    return value.text;
  } else if constexpr (std::is_same_v<T, bool>) {
    return Encode(value);
  } else if constexpr (std::is_integral_v<T>) {
    return Encode(static_cast<std::int64_t>(value));
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return Encode(std::string_view{value});
  } else {
    return Encode(value);
  }
}

template <class... A>
[[nodiscard]] Params ToParams(const A&... values) {
  Params params;
  params.reserve(sizeof...(A));
  (params.push_back(ToParam(values)), ...);
  return params;
}

}  // namespace gathering::db
