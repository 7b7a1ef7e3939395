#pragma once
// Checks a JSON value against the part of JSON Schema 2020-12 that our OpenAPI
// document uses: type, properties, required, items, enum, const, anyOf, $ref.
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace gathering::test {

// Where and how `value` breaks `schema`, empty when it fits.  `document` resolves "#/…" references.
// A keyword this checker does not know is a violation too, so that nothing passes unread.
[[nodiscard]] std::string Violation(const nlohmann::json& schema, const nlohmann::json& value,
                                    const nlohmann::json& document, const std::string& at = "$");

}  // namespace gathering::test
