#pragma once
// The JSON Schema (2020-12, as OpenAPI 3.1 uses it) of a type, from its Fields.
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/schema/fields.h"

namespace gathering::schema {

// Who writes the value.  A client may leave out what is not required and is told the defaults;
// our own answers hold every field.
enum class Direction : std::uint8_t { kInput, kOutput };

// Adds T and every object below it to `components` under their C++ type names
// (without namespaces), and writes what refers to T, a $ref or an inline schema, into `schema`.
// Of two types with one name the second is called after its namespace as well, or
// numbered; a type that is read and written gets a component for each.
//
// JSON is only passed on here, so that whoever describes a type need not know what it is made of.
template <class T, Direction direction = Direction::kInput>
void Describe(nlohmann::json& components, nlohmann::json& schema);

// Removes the marks Describe keeps in `components` to tell equal names apart.  To be called once,
// after the last Describe.
void Finish(nlohmann::json& components);

}  // namespace gathering::schema

#include "core/schema/describe_inl.h"
