#pragma once
// Writes a value as compact JSON (RFC 8259) straight from its struct: no tree in
// between.  Text that is not UTF-8 is written with U+FFFD for each bad byte;
// numbers that JSON cannot say (NaN, infinities) become null.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/timestamp.h"
#include "core/base/uuid.h"
#include "core/schema/fields.h"

namespace gathering::schema {

void WriteText(std::string_view text, std::string& out);  // with the quotes
void WriteNumber(double value, std::string& out);         // 0.7 as 0.7, 1 as 1.0
void WriteNumber(std::int64_t value, std::string& out);

template <class T>
void WriteJson(const T& value, std::string& out);

class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  template <class T>
  void operator()(std::string_view name, const T& value, const Rule& = {}) {
    out_.push_back(first_ ? '{' : ',');
    first_ = false;
    out_.push_back('"');
    out_.append(name);
    out_.append("\":");
    WriteJson(value, out_);
  }
  void Close() {
    if (first_) out_.push_back('{');
    out_.push_back('}');
  }

 private:
  std::string& out_;
  bool first_ = true;
};

template <class T>
void WriteJson(const T& value, std::string& out) {
  if constexpr (std::is_same_v<T, bool>) {
    out.append(value ? "true" : "false");
  } else if constexpr (std::is_integral_v<T>) {
    WriteNumber(static_cast<std::int64_t>(value), out);
  } else if constexpr (std::is_floating_point_v<T>) {
    WriteNumber(static_cast<double>(value), out);
  } else if constexpr (std::is_same_v<T, Timestamp> || std::is_same_v<T, OffsetTimestamp> ||
                       std::is_same_v<T, Uuid>) {
    out.push_back('"');
    out.append(gathering::ToText(value));
    out.push_back('"');
  } else if constexpr (std::is_same_v<T, Date>) {
    WriteText(value.text, out);
  } else if constexpr (Enumeration<T>) {
    WriteText(ToText(value), out);
  } else if constexpr (JsonText<T>) {
    out.append(value.text);
  } else if constexpr (Optional<T>) {
    if (value) {
      WriteJson(*value, out);
    } else {
      out.append("null");
    }
  } else if constexpr (List<T>) {
    out.push_back('[');
    bool first = true;
    for (const auto& item : value) {
      if (!first) out.push_back(',');
      first = false;
      WriteJson(item, out);
    }
    out.push_back(']');
  } else if constexpr (Object<T>) {
    JsonWriter writer{out};
    T::Fields(value, writer);
    writer.Close();
  } else {
    WriteText(value, out);
  }
}

template <class T>
[[nodiscard]] std::string ToJson(const T& value) {
  std::string out;
  WriteJson(value, out);
  return out;
}

}  // namespace gathering::schema
