#pragma once
// The templates behind core/schema/describe.h: they only walk the shape, the
// schemas are made in describe.cpp.
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "core/base/timestamp.h"
#include "core/schema/describe.h"
#include "core/schema/writer.h"

namespace gathering::schema::detail {

// The type's full name as the compiler spells it, e.g. "gathering::agents::NewAgent".
template <class T>
[[nodiscard]] constexpr std::string_view TypeName() {
  const std::string_view function = __PRETTY_FUNCTION__;
  const std::size_t begin = function.find("T = ") + 4;
  return function.substr(begin, function.find_first_of(";]", begin) - begin);
}

// Tells types apart whose names are equal (two files may each have a type of their own).
template <class T>
inline constexpr char kTypeTag = 0;

enum class Leaf : std::uint8_t { kBool, kInt, kDouble, kText, kMoment, kDay, kUuid, kAny };

void LeafSchema(Leaf leaf, nlohmann::json& schema);
void NamesSchema(std::span<const std::string_view> names, nlohmann::json& schema);
// Returns the place of its items' schema.
[[nodiscard]] nlohmann::json& ListSchema(nlohmann::json& schema);
// Lets the schema allow null as well.
void OrNull(nlohmann::json& schema);

struct Owner {
  std::string_view full_name;
  const void* tag;
  Direction direction;
};
// Makes `schema` refer to the owner's component, and returns that when it is new: its properties are missing.
[[nodiscard]] nlohmann::json* Claim(nlohmann::json& components, const Owner& owner, nlohmann::json& schema);

// Returns the place of the property's schema, which has still to be written, and then qualified.
[[nodiscard]] nlohmann::json& AddProperty(nlohmann::json& object, std::string_view name, bool required);
// `default_value` is JSON text, empty for none.
void Qualify(nlohmann::json& schema, const Rule& rule, std::string_view default_value);

// A visitor for Fields.
template <Direction direction>
class Describer {
 public:
  Describer(nlohmann::json& components, nlohmann::json& object) : components_(components), object_(object) {}

  template <class T>
  void operator()(std::string_view name, const T& value, const Rule& rule = {}) {
    const bool required = direction == Direction::kOutput || rule.required;
    std::string default_value;
    if (!required) WriteJson(value, default_value);
    nlohmann::json& schema = AddProperty(object_, name, required);
    Describe<T, direction>(components_, schema);
    Qualify(schema, rule, default_value);
  }

 private:
  nlohmann::json& components_;
  nlohmann::json& object_;
};

}  // namespace gathering::schema::detail

namespace gathering::schema {

template <class T, Direction direction>
void Describe(nlohmann::json& components, nlohmann::json& schema) {
  using detail::Leaf;
  using detail::LeafSchema;
  if constexpr (Optional<T>) {
    Describe<typename T::value_type, direction>(components, schema);
    detail::OrNull(schema);
  } else if constexpr (std::is_same_v<T, bool>) {
    LeafSchema(Leaf::kBool, schema);
  } else if constexpr (std::is_integral_v<T>) {
    LeafSchema(Leaf::kInt, schema);
  } else if constexpr (std::is_floating_point_v<T>) {
    LeafSchema(Leaf::kDouble, schema);
  } else if constexpr (std::is_same_v<T, Timestamp> || std::is_same_v<T, OffsetTimestamp>) {
    LeafSchema(Leaf::kMoment, schema);
  } else if constexpr (std::is_same_v<T, Date>) {
    LeafSchema(Leaf::kDay, schema);
  } else if constexpr (std::is_same_v<T, Uuid>) {
    LeafSchema(Leaf::kUuid, schema);
  } else if constexpr (Enumeration<T>) {
    detail::NamesSchema(Names<T>::kTexts, schema);
  } else if constexpr (JsonText<T>) {
    if constexpr (std::is_void_v<typename T::Shape>) {
      LeafSchema(Leaf::kAny, schema);
    } else {
      Describe<typename T::Shape, direction>(components, schema);
    }
  } else if constexpr (List<T>) {
    Describe<typename T::value_type, direction>(components, detail::ListSchema(schema));
  } else if constexpr (Object<T>) {
    const detail::Owner owner{detail::TypeName<T>(), &detail::kTypeTag<T>, direction};
    if (nlohmann::json* const object = detail::Claim(components, owner, schema)) {
      const T value{};
      detail::Describer<direction> describer{components, *object};
      T::Fields(value, describer);
    }
  } else {
    static_assert(std::is_same_v<T, std::string>, "not a type a field may have");
    LeafSchema(Leaf::kText, schema);
  }
}

}  // namespace gathering::schema
