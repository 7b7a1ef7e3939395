#pragma once
// The templates behind core/schema/describe.h: they only walk the shape, the
// schemas are made in describe.cpp.
#include <iterator>
#include <span>

#include <nlohmann/json.hpp>

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

[[nodiscard]] nlohmann::json LeafSchema(Leaf leaf);
[[nodiscard]] nlohmann::json NamesSchema(std::span<const std::string_view> names);
[[nodiscard]] nlohmann::json ListSchema(nlohmann::json items);
[[nodiscard]] nlohmann::json OrNull(nlohmann::json schema);
void Constrain(nlohmann::json& schema, const Rule& rule);

// Where an object's component goes.  `is_new` asks for its properties to be filled in.
struct Component {
  std::string name;
  bool is_new = false;
};
struct Owner {
  std::string_view full_name;
  const void* tag;
  Direction direction;
};
[[nodiscard]] Component Claim(nlohmann::json& components, const Owner& owner);
[[nodiscard]] nlohmann::json Reference(const Component& component);

// Adds a property to the object's schema; `default_value` is JSON text, empty for none.
struct Property {
  std::string_view name;
  const Rule& rule;
  bool required = false;
  std::string default_value = {};
};
void AddProperty(nlohmann::json& object, nlohmann::json schema, const Property& property);

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
    AddProperty(object_, Describe<T, direction>(components_),
                {name, rule, required, std::move(default_value)});
  }

 private:
  nlohmann::json& components_;
  nlohmann::json& object_;
};

template <class T, Direction direction>
nlohmann::json DescribeObject(nlohmann::json& components) {
  const Component component = Claim(components, {TypeName<T>(), &kTypeTag<T>, direction});
  if (component.is_new) {
    const T value{};
    nlohmann::json object = components[component.name];
    Describer<direction> describer{components, object};
    T::Fields(value, describer);
    components[component.name] = std::move(object);
  }
  return Reference(component);
}

}  // namespace gathering::schema::detail

namespace gathering::schema {

template <class T, Direction direction>
nlohmann::json Describe(nlohmann::json& components) {
  using detail::Leaf;
  if constexpr (Optional<T>) {
    return detail::OrNull(Describe<typename T::value_type, direction>(components));
  } else if constexpr (std::is_same_v<T, bool>) {
    return detail::LeafSchema(Leaf::kBool);
  } else if constexpr (std::is_integral_v<T>) {
    return detail::LeafSchema(Leaf::kInt);
  } else if constexpr (std::is_floating_point_v<T>) {
    return detail::LeafSchema(Leaf::kDouble);
  } else if constexpr (std::is_same_v<T, Timestamp> || std::is_same_v<T, OffsetTimestamp>) {
    return detail::LeafSchema(Leaf::kMoment);
  } else if constexpr (std::is_same_v<T, Date>) {
    return detail::LeafSchema(Leaf::kDay);
  } else if constexpr (std::is_same_v<T, Uuid>) {
    return detail::LeafSchema(Leaf::kUuid);
  } else if constexpr (Enumeration<T>) {
    return detail::NamesSchema(Names<T>::kTexts);
  } else if constexpr (JsonText<T>) {
    if constexpr (std::is_void_v<typename T::Shape>) {
      return detail::LeafSchema(Leaf::kAny);
    } else {
      return Describe<typename T::Shape, direction>(components);
    }
  } else if constexpr (List<T>) {
    return detail::ListSchema(Describe<typename T::value_type, direction>(components));
  } else if constexpr (Object<T>) {
    return detail::DescribeObject<T, direction>(components);
  } else {
    static_assert(std::is_same_v<T, std::string>, "not a type a field may have");
    return detail::LeafSchema(Leaf::kText);
  }
}

}  // namespace gathering::schema
