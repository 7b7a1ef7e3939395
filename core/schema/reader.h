#pragma once
// Reads untrusted input into a struct by its Fields and collects every broken
// rule, not only the first (at most 100).  Unknown fields are ignored and never stored.
// An error repeats the input it is about: texts cut at 2 KiB, larger lists and objects as null.
//
// Numbers may come as text ("77"), as the API's users are used to.  null for a
// field that is not optional is an error.  Text must be UTF-8 without NUL
// (PostgreSQL can store no NUL).  Error types, messages and locations are the
// ones of the API contract: missing, string_type, string_too_short,
// string_too_long, int_type, int_parsing, int_from_float, float_type,
// float_parsing, bool_type, bool_parsing, list_type, model_attributes_type,
// greater_than_equal, less_than_equal, finite_number, too_short, too_long, value_error, enum,
// literal_error, date_type, date_from_datetime_parsing, datetime_type,
// datetime_from_date_parsing, uuid_type, uuid_parsing, json_invalid.
//
// In a form (origin "body" of ReadPairs) an empty text counts as absent.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/error.h"
#include "core/schema/fields.h"

namespace gathering::schema {

// Bounds on a JSON text, checked while it is read.
struct JsonLimits {
  std::uint32_t depth_max = 64;
  std::uint32_t nodes_max = 50'000;
  std::uint32_t text_bytes_max = 1 << 20;
};

// More values, or a longer string, than the limits allow.
class JsonTooLarge : public Error {
 public:
  explicit JsonTooLarge(std::string message_in) : Error(Code::kRejected, std::move(message_in)) {}
};

// Parses one JSON value (RFC 8259, UTF-8, no duplicate names).  Throws Error kInvalid with one
// "json_invalid" field at {"body", byte offset}; Error kRejected when it is nested too deep, and
// JsonTooLarge beyond the other limits.
[[nodiscard]] nlohmann::json ParseJson(std::string_view text, const JsonLimits& limits);

// The names and values of a query string or an urlencoded form, decoded, in their order.
using Pairs = std::vector<std::pair<std::string, std::string>>;

// Reads T from a JSON value.  `origin` is the first step of every location ("body").
// Broken rules are appended to `errors`; the value is only meaningful when none were.
template <class T>
[[nodiscard]] T ReadJson(const nlohmann::json& value, std::string_view origin,
                         std::vector<FieldError>& errors);

// Reads T from decoded pairs ("query", "path", "body" for forms).  The last of equal names counts.
template <class T>
[[nodiscard]] T ReadPairs(const Pairs& pairs, std::string_view origin, std::vector<FieldError>& errors);

}  // namespace gathering::schema

#include "core/schema/reader_inl.h"
