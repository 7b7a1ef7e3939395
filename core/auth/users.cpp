#include "core/auth/users.h"

#include <fmt/format.h>

#include "core/auth/password.h"
#include "core/auth/token.h"
#include "core/base/utf8.h"
#include "core/db/queries.h"
#include "core/schema/writer.h"

namespace gathering::auth {
namespace {

constexpr std::int64_t kPurgeRowsMax = 100;
constexpr std::size_t kFirstPasswordBytes = 12;  // random; 16 characters

struct Owner {
  std::string user_id;
  std::string email;
  std::string name;
  Role role = Role::kUser;

  static void Fields(auto& self, auto& visit) {
    visit("user_id", self.user_id);
    visit("email", self.email);
    visit("name", self.name);
    visit("role", self.role);
  }
};

struct AuditDetails {
  std::string_view email;
  std::optional<std::string_view> reason;

  static void Fields(auto& self, auto& visit) {
    visit("email", self.email);
    if (self.reason) visit("reason", *self.reason);
  }
};

// The first `characters` of well-formed text.
std::string_view Cut(std::string_view text, std::int64_t characters) {
  std::size_t end = 0;
  for (; characters > 0 && end < text.size(); --characters) {
    const std::size_t length = Utf8Length(text.substr(end));
    if (length == 0) break;
    end += length;
  }
  return text.substr(0, end);
}

}  // namespace

std::optional<Account> FindAccount(db::Executor& db, std::string_view email) {
  return db.Maybe<Account>(sql::kUserAccount, email);
}

std::optional<User> FindUser(db::Executor& db, std::string_view public_id) {
  return db.Maybe<User>(sql::kUserByPublicId, public_id);
}

User Register(db::Tx& tx, const NewUser& input, std::string_view password_hash) {
  auto user = tx.Maybe<User>(sql::kUserAdd, input.email, input.name, password_hash);
  if (!user) throw Error{Code::kRejected, "Email already registered"};
  return *std::move(user);
}

void Rehash(db::Tx& tx, const Account& account, std::string_view password_hash) {
  tx.Run(sql::kUserRehash, account.user.id, account.password_hash, password_hash);
}

void Deactivate(db::Tx& tx, std::string_view public_id) {
  tx.Run(sql::kUserDeactivate, public_id);
}

void EnsureAdmin(db::Tx& tx, const AuthConfig& config) {
  if (config.admin_email.empty() || config.admin_password_hash.empty()) return;
  if (!Supported(config.admin_password_hash)) {
    throw Error{Code::kRejected,
                "auth.admin_password_hash is neither argon2id nor bcrypt of a cost we are willing to pay"};
  }
  const auto owner = FindAccount(tx, config.admin_email);
  if (owner && owner->user.public_id != kAdminId) {
    throw Error{Code::kRejected,
                fmt::format("auth.admin_email: {} is already registered by a user", config.admin_email)};
  }
  tx.Run(sql::kUserEnsureAdmin, config.admin_email, kAdminName, config.admin_password_hash,
         Hex(Sha256Of(config.admin_password_hash)));
}

std::optional<std::string> CreateFirstAdmin(db::Tx& tx) {
  if (tx.One<bool>(sql::kUserAnyAdmin)) return std::nullopt;
  std::string password = Base64UrlEncode(RandomBytes(kFirstPasswordBytes));
  Passwords passwords;
  const auto added =
      tx.Run(sql::kUserAddFirstAdmin, kFirstAdminEmail, kAdminName, passwords.Hash(password)).affected();
  if (added == 0) return std::nullopt;
  return password;
}

std::optional<Principal> CheckToken(db::Executor& db, const TokenQuestion& question) {
  // iat counts whole seconds: the token may be from the end of its second.
  const Timestamp issued_until{question.issued_at.micros + 999'999};
  auto owner = db.Maybe<Owner>(sql::kTokenCheck, question.user_id, question.sha256, issued_until);
  if (!owner) return std::nullopt;
  return Principal{.user_id = std::move(owner->user_id),
                   .email = std::move(owner->email),
                   .name = std::move(owner->name),
                   .role = owner->role,
                   .token_expires_at = {}};
}

bool Revoke(db::Tx& tx, const Revocation& revocation) {
  const auto added = tx.Run(sql::kTokenRevoke, revocation.sha256, revocation.user_id, revocation.reason,
                            revocation.expires_at)
                         .affected();
  tx.Run(sql::kTokenPurge, kPurgeRowsMax);
  return added > 0;
}

RevocationCounts CountRevocations(db::Executor& db, Timestamp now) {
  return db.One<RevocationCounts>(sql::kTokenRevocationCounts, now);
}

void Audit(db::Executor& db, const AuditEvent& event) {
  const auto user_id = event.user_id.empty() ? std::nullopt : std::optional{event.user_id};
  const AuditDetails details{.email = Cut(event.email, kEmailMax),
                             .reason = event.reason.empty() ? std::nullopt : std::optional{event.reason}};
  db.Run(sql::kAuditAdd, event.kind, user_id, event.address, event.request_id, schema::ToJson(details));
}

}  // namespace gathering::auth
