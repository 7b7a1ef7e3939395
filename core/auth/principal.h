#pragma once
// Who is asking.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/timestamp.h"
#include "core/schema/fields.h"

namespace gathering::auth {

// Of whoever came by the control socket without a token.  No user has it.
inline constexpr std::string_view kControlId = "control";

enum class Role : std::uint8_t { kUser, kAdmin };

struct Principal {
  std::string user_id;  // "admin" for the built-in administrator, kControlId, a UUID for everybody else
  std::string email;
  std::string name;
  Role role = Role::kUser;
  Timestamp token_expires_at;
};

}  // namespace gathering::auth

template <>
struct gathering::schema::Names<gathering::auth::Role> {
  static constexpr std::string_view kTexts[] = {"user", "admin"};
};
