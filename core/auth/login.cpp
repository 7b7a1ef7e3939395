#include "core/auth/login.h"

namespace gathering::auth {

LoginCheck CheckLogin(Passwords& passwords, const std::optional<Account>& account,
                      std::string_view password) {
  if (!account) {
    passwords.VerifyNobody(password);
    return {.refusal = "unknown_user", .new_hash = {}};
  }
  if (!passwords.Verify(password, account->password_hash)) {
    return {.refusal = "wrong_password", .new_hash = {}};
  }
  if (!account->user.is_active) return {.refusal = "inactive", .new_hash = {}};
  LoginCheck check;
  if (NeedsRehash(account->password_hash)) check.new_hash = passwords.Hash(password);
  return check;
}

}  // namespace gathering::auth
