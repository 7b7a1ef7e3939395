#pragma once
// Whether a password lets somebody in.
//
// The answer takes the same effort for who does not exist, who is not active and who
// mistyped, so that neither words nor time tell which accounts there are.  The one
// exception is an account with a bcrypt hash, until its owner's first login replaces it.
#include <optional>
#include <string>
#include <string_view>

#include "core/auth/password.h"
#include "core/auth/users.h"

namespace gathering::auth {

struct LoginCheck {
  std::string_view refusal;  // "unknown_user", "wrong_password", "inactive"; empty: may enter
  std::optional<std::string>
      new_hash;  // to be stored with Rehash: the old one is of a kind we no longer make
};

// Hashes: see core/auth/password.h for where to run it.
[[nodiscard]] LoginCheck CheckLogin(Passwords& passwords, const std::optional<Account>& account,
                                    std::string_view password);

}  // namespace gathering::auth
