#pragma once
// The shape of a type, declared once and read by everybody.
//
// A type that crosses a border (JSON body, query string, database row) names its
// fields in one static function:
//
//   struct NewCircle {
//     std::string name;
//     bool require_review = true;
//     std::int64_t max_concurrent_tasks = 5;
//
//     static void Fields(auto& self, auto& visit) {
//       visit("name", self.name, {.doc = "Unique name", .min = 1, .max = 100, .required = true});
//       visit("require_review", self.require_review, {.doc = "Results wait for a reviewer"});
//       visit("max_concurrent_tasks", self.max_concurrent_tasks, {.min = 1, .max = 1000});
//     }
//   };
//
// The visitors are: JsonReader and TextReader (core/schema/reader.h), JsonWriter
// (core/schema/writer.h), Describer (core/schema/describe.h) and db::RowReader
// (core/db/row.h, which reads columns in the order of the fields).
//
// A field may be: bool, std::int32_t, std::int64_t, double, std::string,
// Timestamp, OffsetTimestamp, Date, Uuid, an enum with Names<>, std::optional<field>,
// std::vector<field>, a type with Fields, or Json<T>.
#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace gathering::schema {

// What a reader checks beyond the type.  `min` and `max` bound a number's value,
// a text's length in characters, or a list's length.
struct Rule {
  std::string_view doc = {};
  std::optional<std::int64_t> min = {};
  std::optional<std::int64_t> max = {};
  bool required = false;          // absent is an error; otherwise the member's initialiser stays
  std::string_view format = {};   // "email", or empty
  std::string_view pattern = {};  // the one text allowed, e.g. "password" for an OAuth grant type, or empty
};

// The texts of an enum whose enumerators count from 0 without gaps:
//   template <> struct schema::Names<Colour> { static constexpr std::string_view kTexts[] = {"red", "blue"};
//   };
template <class E>
struct Names;

// JSON text that something else wrote (mostly PostgreSQL) and whose shape is T's.
// Json<void> is any JSON value.
template <class T = void>
struct Json {
  using Shape = T;
  std::string text = "null";
};

namespace detail {
struct AnyVisitor {
  void operator()(std::string_view, auto&, const Rule& = {}) {}
};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsJson : std::false_type {};
template <class T>
struct IsJson<Json<T>> : std::true_type {};
}  // namespace detail

template <class T>
concept Object = std::is_class_v<T> && requires(T& self, detail::AnyVisitor& visit) {
  T::Fields(self, visit);
};
template <class T>
concept Optional = detail::IsOptional<T>::value;
template <class T>
concept List = detail::IsVector<T>::value;
template <class T>
concept JsonText = detail::IsJson<T>::value;
template <class T>
concept Enumeration = std::is_enum_v<T> && requires {
  Names<T>::kTexts;
};

template <Enumeration E>
[[nodiscard]] constexpr std::string_view ToText(E value) {
  return Names<E>::kTexts[static_cast<std::size_t>(value)];
}

template <Enumeration E>
[[nodiscard]] constexpr std::optional<E> FromText(std::string_view text) {
  for (std::size_t i = 0; i < std::size(Names<E>::kTexts); ++i) {
    if (Names<E>::kTexts[i] == text) return static_cast<E>(i);
  }
  return std::nullopt;
}

}  // namespace gathering::schema
