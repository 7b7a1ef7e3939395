// /auth: getting in and out.
#include "core/auth/authority.h"
#include "core/auth/login.h"
#include "core/auth/password.h"
#include "core/auth/token.h"
#include "core/auth/users.h"
#include "daemon/api/number.h"
#include "daemon/api/table.h"
#include "daemon/http/rate_limits.h"

namespace gathering::http {
namespace {

using auth::AuditKind;

struct LoginForm {
  std::optional<std::string> grant_type;
  std::string username;
  std::string password;
  std::string scope;
  std::optional<std::string> client_id;
  std::optional<std::string> client_secret;

  static void Fields(auto& self, auto& visit) {
    visit("grant_type", self.grant_type, {.pattern = "password"});
    visit("username", self.username, {.doc = "The e-mail address", .required = true});
    visit("password", self.password, {.required = true});
    visit("scope", self.scope, {.doc = "Accepted and not used, like the client's id and secret"});
    visit("client_id", self.client_id);
    visit("client_secret", self.client_secret);
  }
};

struct Credentials {
  std::string email;
  std::string password;

  static void Fields(auto& self, auto& visit) {
    visit("email", self.email, {.required = true, .format = "email"});
    visit("password", self.password, {.required = true});
  }
};

struct AccessToken {
  std::string access_token;
  std::string token_type = "bearer";
  std::int64_t expires_in = 0;

  static void Fields(auto& self, auto& visit) {
    visit("access_token", self.access_token, {.required = true});
    visit("token_type", self.token_type);
    visit("expires_in", self.expires_in, {.doc = "Seconds", .required = true});
  }
};

struct UserInfo {
  std::string id;
  std::string email;
  std::string name;
  auth::Role role = auth::Role::kUser;
  bool is_active = true;
  std::optional<Timestamp> created_at;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id, {.doc = "A UUID, or \"admin\" for the built-in administrator", .required = true});
    visit("email", self.email, {.required = true});
    visit("name", self.name, {.required = true});
    visit("role", self.role, {.required = true});
    visit("is_active", self.is_active, {.required = true});
    visit("created_at", self.created_at, {.doc = "null for the built-in administrator"});
  }
};

struct TokenInfo {
  bool valid = true;
  std::string user_id;
  std::string email;
  auth::Role role = auth::Role::kUser;
  OffsetTimestamp expires_at;

  static void Fields(auto& self, auto& visit) {
    visit("valid", self.valid,
          {.doc = "Always true: a token that is not is answered with 401", .required = true});
    visit("user_id", self.user_id, {.required = true});
    visit("email", self.email, {.required = true});
    visit("role", self.role, {.required = true});
    visit("expires_at", self.expires_at, {.required = true});
  }
};

struct Farewell {
  std::string message;
  std::string user_id;

  static void Fields(auto& self, auto& visit) {
    visit("message", self.message, {.required = true});
    visit("user_id", self.user_id, {.required = true});
  }
};

struct RevocationStats {
  std::int64_t cache_size = 0;
  std::int64_t cache_max_size = 0;
  std::int64_t db_active_tokens = 0;
  std::int64_t db_total_tokens = 0;
  std::int64_t cache_hits = 0;
  std::int64_t cache_misses = 0;
  std::int64_t cache_evictions = 0;

  static void Fields(auto& self, auto& visit) {
    visit("cache_size", self.cache_size,
          {.doc = "Tokens this daemon remembers an answer for", .required = true});
    visit("cache_max_size", self.cache_max_size, {.required = true});
    visit("db_active_tokens", self.db_active_tokens,
          {.doc = "Revoked tokens that would still hold otherwise", .required = true});
    visit("db_total_tokens", self.db_total_tokens,
          {.doc = "With those that expired since", .required = true});
    visit("cache_hits", self.cache_hits, {.required = true});
    visit("cache_misses", self.cache_misses, {.required = true});
    visit("cache_evictions", self.cache_evictions, {.required = true});
  }
};

UserInfo Describe(auth::User user) {
  const bool built_in = user.public_id == auth::kAdminId;
  return {.id = std::move(user.public_id),
          .email = std::move(user.email),
          .name = std::move(user.name),
          .role = user.role,
          .is_active = user.is_active,
          .created_at = built_in ? std::nullopt : std::optional{user.created_at}};
}

void Note(Call& call, db::Executor& db, AuditKind kind, std::string_view user_id, std::string_view email,
          std::string_view reason = {}) {
  auth::Audit(db, {.kind = kind,
                   .user_id = user_id,
                   .address = call.request().peer,
                   .request_id = call.request_id(),
                   .email = email,
                   .reason = reason});
}

// One try at an account's password, which counts as a failure until it is told otherwise.
class PasswordTry {
 public:
  // Throws RateLimited.
  PasswordTry(Call& call, std::string_view email) : limits_(call.services().rate_limits), email_(email) {
    limits_.AdmitAccount(call.route(), email, call.standing());
    limits_.TryPassword(email, call.standing());
  }
  ~PasswordTry() {
    if (!checked_) limits_.PasswordWasNotChecked(email_);
  }
  PasswordTry(const PasswordTry&) = delete;
  PasswordTry& operator=(const PasswordTry&) = delete;

  void Checked(bool right) {
    checked_ = true;
    if (right) limits_.PasswordWasRight(email_);
  }

 private:
  RateLimits& limits_;
  const std::string_view email_;
  bool checked_ = false;
};

AccessToken LogIn(Call& call, std::string_view email, std::string_view password) {
  auth::Authority& authority = call.services().authority;
  PasswordTry attempt{call, email};
  const auto account = auth::FindAccount(call.db(), email);
  const auth::LoginCheck check = loop::RunOn(authority.hashing(), call.deadline(), [&] {
    return auth::CheckLogin(authority.passwords(), account, password);
  });
  attempt.Checked(check.refusal.empty());
  const std::string user_id = account ? account->user.public_id : std::string{};
  if (!check.refusal.empty()) {
    Note(call, call.db(), AuditKind::kAuthFailure, user_id, email, check.refusal);
    throw Error{Code::kUnauthenticated, "Incorrect email or password", std::string{check.refusal}};
  }
  call.Write([&](db::Tx& tx) {
    if (check.new_hash) auth::Rehash(tx, *account, *check.new_hash);
    Note(call, tx, AuditKind::kAuthSuccess, user_id, email);
  });
  auth::Token token = authority.Issue(account->user);
  return {.access_token = std::move(token.text), .expires_in = token.lifetime.count()};
}

AccessToken LogInByForm(Call& call, Form<LoginForm> form) {
  return LogIn(call, form->username, form->password);
}

AccessToken LogInByJson(Call& call, Body<Credentials> body) {
  return LogIn(call, body->email, body->password);
}

// The password is hashed first, so that a taken address takes the same time as a free one.
Created<UserInfo> Register(Call& call, Body<auth::NewUser> body) {
  auth::Authority& authority = call.services().authority;
  call.services().rate_limits.AdmitAccount(call.route(), body->email, call.standing());
  const std::string hash = loop::RunOn(authority.hashing(), call.deadline(),
                                       [&] { return authority.passwords().Hash(body->password); });
  return {call.Write([&](db::Tx& tx) {
    auth::User user = auth::Register(tx, body.value, hash);
    Note(call, tx, AuditKind::kUserRegistered, user.public_id, user.email);
    return Describe(std::move(user));
  })};
}

UserInfo Me(Call& call) {
  const auth::Principal& me = call.principal();
  auto user = auth::FindUser(call.db(), me.user_id);
  if (user) return Describe(*std::move(user));
  // With authentication disabled the administrator need not exist, and the machine's is no user.
  if (!call.services().authority.disabled() && me.user_id != auth::kControlId)
    throw Error{Code::kUnauthenticated, "Invalid or expired token"};
  return {.id = me.user_id, .email = me.email, .name = me.name, .role = me.role, .created_at = {}};
}

TokenInfo Verify(Call& call) {
  const auth::Principal& me = call.principal();
  return {
      .user_id = me.user_id, .email = me.email, .role = me.role, .expires_at = {me.token_expires_at.micros}};
}

Farewell LogOut(Call& call) {
  auth::Authority& authority = call.services().authority;
  const auth::Principal& me = call.principal();
  Farewell farewell{.message = "Successfully logged out", .user_id = me.user_id};
  if (authority.disabled()) return farewell;  // nobody needed a token to come in

  const std::string_view token = auth::BearerToken(call.request().Find("Authorization"));
  const std::string digest = auth::Hex(auth::Sha256Of(token));
  call.Write([&](db::Tx& tx) {
    const bool first =
        auth::Revoke(tx, {.sha256 = digest, .user_id = me.user_id, .expires_at = me.token_expires_at});
    if (first) Note(call, tx, AuditKind::kLogout, me.user_id, me.email);
    tx.AfterCommit([&authority, token] { authority.Revoked(token); });
  });
  return farewell;
}

RevocationStats Stats(Call& call) {
  const auto revocations = auth::CountRevocations(call.db(), call.clock().WallNow());
  const auth::AuthorityStats answers = call.services().authority.Stats();
  return {.cache_size = Number(answers.answers),
          .cache_max_size = Number(answers.answers_max),
          .db_active_tokens = revocations.active,
          .db_total_tokens = revocations.total,
          .cache_hits = Number(answers.hits),
          .cache_misses = Number(answers.misses),
          .cache_evictions = Number(answers.evictions)};
}

constexpr Route kRoutes[] = {
    {"auth.login", Method::kPost, "/auth/login", Authority::kPublic, Tier::kAuth, Statements{3},
     Handle<&LogInByForm>, "Exchange e-mail and password for a token (form)."},
    {"auth.login_json", Method::kPost, "/auth/login/json", Authority::kPublic, Tier::kAuth, Statements{3},
     Handle<&LogInByJson>, "Exchange e-mail and password for a token (JSON)."},
    {"auth.register", Method::kPost, "/auth/register", Authority::kPublic, Tier::kAuth, Statements{2},
     Handle<&Register>, "Create an account."},
    {"auth.me", Method::kGet, "/auth/me", Authority::kUser, Tier::kRead, Statements{1}, Handle<&Me>,
     "Who the token belongs to."},
    {"auth.verify", Method::kPost, "/auth/verify", Authority::kUser, Tier::kWrite, kNoStatements,
     Handle<&Verify>, "Whether the token holds, and until when."},
    {"auth.logout", Method::kPost, "/auth/logout", Authority::kUser, Tier::kWrite, Statements{2},
     Handle<&LogOut>, "Give the token back: it holds nowhere from now on."},
    {"auth.blacklist_stats", Method::kGet, "/auth/blacklist/stats", Authority::kAdmin, Tier::kRead,
     Statements{1}, Handle<&Stats>, "How many tokens are revoked, and how the memory of them does."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> AuthRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
