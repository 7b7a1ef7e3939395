#pragma once
// The templates behind core/schema/reader.h.  They only walk the shape; everything
// that looks at a value is in reader.cpp, compiled once.
#include <limits>
#include <span>

#include "core/base/timestamp.h"
#include "core/base/uuid.h"
#include "core/schema/reader.h"
#include "core/schema/writer.h"

namespace gathering::schema::detail {

using Errors = std::vector<FieldError>;

// The way to a value, linked through the stack: costs nothing unless a rule is broken.
struct Where {
  const Where* parent = nullptr;
  std::string_view name = {};
  std::int64_t index = 0;  // counts when `name` has no data
};

// One value of the input: either JSON, or a text of a query, path or form.
struct Source {
  const nlohmann::json* json = nullptr;
  const std::string* text = nullptr;
};

// What number a field can hold.
struct Range {
  std::int64_t min;
  std::int64_t max;
};

// Each reads one value, appends what is broken, and leaves `out` alone then.
void ReadBool(const Source& source, const Where& at, Errors& errors, bool& out);
[[nodiscard]] std::optional<std::int64_t> ReadInt(const Source& source, const Rule& rule, const Range& range,
                                                  const Where& at, Errors& errors);
void ReadDouble(const Source& source, const Rule& rule, const Where& at, Errors& errors, double& out);
void ReadString(const Source& source, const Rule& rule, const Where& at, Errors& errors, std::string& out);
[[nodiscard]] std::optional<std::int64_t> ReadMoment(const Source& source, const Where& at, Errors& errors);
void ReadDate(const Source& source, const Where& at, Errors& errors, Date& out);
void ReadUuid(const Source& source, const Where& at, Errors& errors, Uuid& out);
void ReadAnyJson(const Source& source, const Where& at, Errors& errors, std::string& out);
[[nodiscard]] std::optional<std::size_t> ReadName(const Source& source,
                                                  std::span<const std::string_view> names, const Where& at,
                                                  Errors& errors);

[[nodiscard]] bool IsNull(const Source& source);
[[nodiscard]] const nlohmann::json* Member(const nlohmann::json& object, std::string_view name);
[[nodiscard]] const nlohmann::json& Item(const nlohmann::json& list, std::size_t index);

// The number of items, or nullopt after reporting that it is no list or has a wrong length.
[[nodiscard]] std::optional<std::size_t> ReadList(const Source& source, const Rule& rule, const Where& at,
                                                  Errors& errors);
// False after reporting that it is no object.
[[nodiscard]] bool ReadObject(const Source& source, const Where& at, Errors& errors);
[[nodiscard]] bool CheckLength(std::size_t length, const Rule& rule, const Where& at, Errors& errors);

// `parent` is the object the field is missing in; null for texts.
void ReportMissing(const nlohmann::json* parent, const Where& at, Errors& errors);

// The texts of `name`, in their order.
[[nodiscard]] std::vector<const std::string*> Find(const Pairs& pairs, std::string_view name);

template <class T>
void ReadValue(const Source& source, const Rule& rule, const Where& at, Errors& errors, T& out);

// A visitor for Fields: reads the members of a JSON object.
class JsonReader {
 public:
  JsonReader(const nlohmann::json& object, const Where& at, Errors& errors)
      : object_(object), at_(at), errors_(errors) {}

  template <class T>
  void operator()(std::string_view name, T& out, const Rule& rule = {}) {
    const Where at{&at_, name};
    const nlohmann::json* value = Member(object_, name);
    if (value != nullptr) {
      ReadValue(Source{.json = value}, rule, at, errors_, out);
    } else if (rule.required) {
      ReportMissing(&object_, at, errors_);
    }
  }

 private:
  const nlohmann::json& object_;
  const Where& at_;
  Errors& errors_;
};

// A visitor for Fields: reads decoded pairs.
class TextReader {
 public:
  TextReader(const Pairs& pairs, const Where& at, Errors& errors) : pairs_(pairs), at_(at), errors_(errors) {}

  template <class T>
  void operator()(std::string_view name, T& out, const Rule& rule = {}) {
    const Where at{&at_, name};
    const auto texts = Find(pairs_, name);
    // A form cannot say "absent": browsers send the empty text for a field left blank.
    const bool blank = at_.name == "body" && !texts.empty() && texts.back()->empty();
    if (texts.empty() || blank) {
      if (rule.required) ReportMissing(nullptr, at, errors_);
      return;
    }
    if constexpr (List<T>) {
      if (!CheckLength(texts.size(), rule, at, errors_)) return;
      out.clear();
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const Where item_at{.parent = &at, .index = static_cast<std::int64_t>(i)};
        typename T::value_type item{};
        ReadValue(Source{.text = texts[i]}, {}, item_at, errors_, item);
        out.push_back(std::move(item));
      }
    } else {
      static_assert(!Object<T>, "a query, path or form has no nested objects");
      ReadValue(Source{.text = texts.back()}, rule, at, errors_, out);
    }
  }

 private:
  const Pairs& pairs_;
  const Where& at_;
  Errors& errors_;
};

template <class T>
void ReadItems(const Source& source, const Rule& rule, const Where& at, Errors& errors, T& out) {
  const auto size = ReadList(source, rule, at, errors);
  if (!size) return;
  out.clear();
  out.reserve(*size);
  for (std::size_t i = 0; i < *size; ++i) {
    const Where item_at{.parent = &at, .index = static_cast<std::int64_t>(i)};
    typename T::value_type item{};
    ReadValue(Source{.json = &Item(*source.json, i)}, {}, item_at, errors, item);
    out.push_back(std::move(item));
  }
}

// Read and written again, so that the text holds nothing its shape does not name.
template <class T>
void ReadJsonText(const Source& source, const Rule& rule, const Where& at, Errors& errors, T& out) {
  if constexpr (std::is_void_v<typename T::Shape>) {
    ReadAnyJson(source, at, errors, out.text);
  } else {
    typename T::Shape value{};
    ReadValue(source, rule, at, errors, value);
    out.text.clear();
    WriteJson(value, out.text);
  }
}

template <class T>
void ReadValue(const Source& source, const Rule& rule, const Where& at, Errors& errors, T& out) {
  if constexpr (Optional<T>) {
    if (IsNull(source)) {
      out.reset();
    } else {
      ReadValue(source, rule, at, errors, out.emplace());
    }
  } else if constexpr (std::is_same_v<T, bool>) {
    ReadBool(source, at, errors, out);
  } else if constexpr (std::is_integral_v<T>) {
    const Range range{std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
    if (const auto value = ReadInt(source, rule, range, at, errors)) out = static_cast<T>(*value);
  } else if constexpr (std::is_floating_point_v<T>) {
    ReadDouble(source, rule, at, errors, out);
  } else if constexpr (std::is_same_v<T, Timestamp> || std::is_same_v<T, OffsetTimestamp>) {
    if (const auto micros = ReadMoment(source, at, errors)) out = T{*micros};
  } else if constexpr (std::is_same_v<T, Date>) {
    ReadDate(source, at, errors, out);
  } else if constexpr (std::is_same_v<T, Uuid>) {
    ReadUuid(source, at, errors, out);
  } else if constexpr (Enumeration<T>) {
    if (const auto value = ReadName(source, Names<T>::kTexts, at, errors)) out = static_cast<T>(*value);
  } else if constexpr (JsonText<T>) {
    ReadJsonText(source, rule, at, errors, out);
  } else if constexpr (List<T>) {
    ReadItems(source, rule, at, errors, out);
  } else if constexpr (Object<T>) {
    if (!ReadObject(source, at, errors)) return;
    JsonReader reader{*source.json, at, errors};
    T::Fields(out, reader);
  } else {
    ReadString(source, rule, at, errors, out);
  }
}

}  // namespace gathering::schema::detail

namespace gathering::schema {

template <class T>
T ReadJson(const nlohmann::json& value, std::string_view origin, std::vector<FieldError>& errors) {
  const detail::Where at{.name = origin};
  const detail::Source source{.json = &value};
  T out{};
  if (!Optional<T> && detail::IsNull(source)) {
    detail::ReportMissing(nullptr, at, errors);
  } else {
    detail::ReadValue(source, {}, at, errors, out);
  }
  return out;
}

template <class T>
T ReadPairs(const Pairs& pairs, std::string_view origin, std::vector<FieldError>& errors) {
  const detail::Where at{.name = origin};
  T out{};
  detail::TextReader reader{pairs, at, errors};
  T::Fields(out, reader);
  return out;
}

}  // namespace gathering::schema
