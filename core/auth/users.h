#pragma once
// The people who may ask, their revoked tokens, and the record of what they did to
// get in and out.
//
// E-mail addresses are compared without case.  The built-in administrator is a row
// like any other whose public id is "admin"; everybody else's is a UUID.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/auth/principal.h"
#include "core/base/timestamp.h"
#include "core/config/config.h"
#include "core/db/tx.h"
#include "core/schema/fields.h"

namespace gathering::auth {

inline constexpr std::string_view kAdminId = "admin";
inline constexpr std::string_view kAdminName = "Administrator";
inline constexpr std::string_view kFirstAdminEmail = "admin@localhost";

inline constexpr std::int64_t kEmailMax = 254;  // characters, here and below; RFC 5321 allows no more
inline constexpr std::int64_t kNameMax = 100;
inline constexpr std::int64_t kPasswordMin = 8;
inline constexpr std::int64_t kPasswordMax = 128;

struct User {
  std::int64_t id = 0;    // inside the database
  std::string public_id;  // everywhere else
  std::string email;
  std::string name;
  Role role = Role::kUser;
  bool is_active = true;
  Timestamp created_at;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("public_id", self.public_id);
    visit("email", self.email);
    visit("name", self.name);
    visit("role", self.role);
    visit("is_active", self.is_active);
    visit("created_at", self.created_at);
  }
};

// A user with what the password is checked against.
struct Account {
  User user;
  std::string password_hash;

  static void Fields(auto& self, auto& visit) {
    User::Fields(self.user, visit);
    visit("password_hash", self.password_hash);
  }
};

struct NewUser {
  std::string email;
  std::string password;
  std::string name;

  static void Fields(auto& self, auto& visit) {
    visit("email", self.email, {.max = kEmailMax, .required = true, .format = "email"});
    visit("password", self.password, {.min = kPasswordMin, .max = kPasswordMax, .required = true});
    visit("name", self.name, {.min = 1, .max = kNameMax, .required = true});
  }
};

// --- users ---------------------------------------------------------------------------------------

[[nodiscard]] std::optional<Account> FindAccount(db::Executor& db, std::string_view email);
[[nodiscard]] std::optional<User> FindUser(db::Executor& db, std::string_view public_id);

// Throws kRejected "Email already registered", also when somebody else was faster by a moment.
[[nodiscard]] User Register(db::Tx& tx, const NewUser& input, std::string_view password_hash);

// Replaces a hash by one of the same password, unless it is no longer the one that was checked.
void Rehash(db::Tx& tx, const Account& account, std::string_view password_hash);

// From the next moment on (see core/auth/authority.h) this user's tokens let nobody in, and neither does the
// password.
void Deactivate(db::Tx& tx, std::string_view public_id);

// Makes the configured administrator real, if one is configured.  The password in the database is
// replaced only when the configured hash is another one than last time, since the hash may have been
// renewed meanwhile; then the tokens issued before stop to hold, too.  Throws kRejected when the
// e-mail belongs to somebody else or the hash is of no kind we can check.
void EnsureAdmin(db::Tx& tx, const AuthConfig& config);

// For a database in which nobody is administrator yet: makes one with the e-mail kFirstAdminEmail
// and returns the generated password.  nullopt when there is one already.
[[nodiscard]] std::optional<std::string> CreateFirstAdmin(db::Tx& tx);

// --- tokens --------------------------------------------------------------------------------------

// What is asked about a token whose signature and times are right.
struct TokenQuestion {
  std::string_view sha256;  // of its text, in hexadecimal
  std::string_view user_id;
  Timestamp issued_at;
};

// Who the token's owner is now; nullopt when the token no longer holds.  The expiry is left to the caller.
[[nodiscard]] std::optional<Principal> CheckToken(db::Executor& db, const TokenQuestion& question);

struct Revocation {
  std::string_view sha256;  // of the token's text, in hexadecimal
  std::string_view user_id;
  std::string_view reason = "logout";
  Timestamp expires_at;  // of the token; later the row is not needed
};

// False when the token was revoked already.  Also removes a few rows that are no longer needed.
bool Revoke(db::Tx& tx, const Revocation& revocation);

struct RevocationCounts {
  std::int64_t total = 0;
  std::int64_t active = 0;  // of tokens that would still hold otherwise

  static void Fields(auto& self, auto& visit) {
    visit("total", self.total);
    visit("active", self.active);
  }
};
[[nodiscard]] RevocationCounts CountRevocations(db::Executor& db, Timestamp now);

// --- audit ---------------------------------------------------------------------------------------

enum class AuditKind : std::uint8_t { kAuthSuccess, kAuthFailure, kUserRegistered, kLogout };

struct AuditEvent {
  AuditKind kind = AuditKind::kAuthFailure;
  std::string_view user_id = {};  // User::public_id; empty: nobody
  std::string_view address;       // where the request came from
  std::string_view request_id;
  std::string_view email;        // as it was given; cut to kEmailMax
  std::string_view reason = {};  // of a failure, e.g. "unknown_user"; empty otherwise
};

void Audit(db::Executor& db, const AuditEvent& event);

}  // namespace gathering::auth

template <>
struct gathering::schema::Names<gathering::auth::AuditKind> {
  static constexpr std::string_view kTexts[] = {"auth_success", "auth_failure", "user_registered", "logout"};
};
