// Users, tokens and audit on a real database.
#include <catch2/catch.hpp>

#include <crypt.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "core/auth/authority.h"
#include "core/auth/login.h"
#include "core/auth/token.h"
#include "core/auth/users.h"
#include "core/base/error.h"
#include "core/db/connection.h"
#include "core/db/pool.h"
#include "tests/support/executor.h"
#include "tests/support/manual_clock.h"
#include "tests/support/postgres.h"

namespace gathering::auth {
namespace {

using namespace std::chrono_literals;
using test::ManualClock;

AuthConfig Config() {
  AuthConfig config;
  config.secret_key = std::string(64, 'k');
  config.token_lifetime = 24h;
  return config;
}

std::string Bcrypt(const std::string& password) {
  const auto data = std::make_unique<crypt_data>();
  return crypt_r(password.c_str(), "$2b$04$abcdefghijklmnopqrstuu", data.get());
}

// One database, one clock, and two daemons' worth of authorities.
class Fixture {
 public:
  template <class F>
  auto Read(F&& work) {
    return pool_.Read(std::forward<F>(work));
  }
  template <class F>
  auto Write(F&& work) {
    return pool_.Write(std::forward<F>(work));
  }
  User Add(const std::string& email, const std::string& name = "Somebody") {
    return Write([&](db::Tx& tx) {
      return Register(tx, {.email = email, .password = "", .name = name}, "$argon2id$stands-for-a-hash");
    });
  }
  Principal Enter(Authority& authority, const std::string& token) {
    test::PoolExecutor pool{pool_};
    test::ScriptedExecutor counted{[&](const db::Query& query, const db::Params& params) {
      ++questions;
      return pool.Execute(query, params);
    }};
    return *authority.Authenticate("Bearer " + token, counted);
  }
  bool Enters(Authority& authority, const std::string& token) {
    try {
      Enter(authority, token);
      return true;
    } catch (const Error& error) {
      CHECK(error.code == Code::kUnauthenticated);
      CHECK(error.message == "Invalid or expired token");
      return false;
    }
  }
  bool RevokeToken(const std::string& token, const User& user, std::chrono::seconds valid_for = 1h) {
    return Write([&](db::Tx& tx) {
      const std::string digest = Hex(Sha256Of(token));
      return Revoke(tx, {.sha256 = digest,
                         .user_id = user.public_id,
                         .expires_at = {SystemClock{}.WallNow().micros + valid_for.count() * 1'000'000}});
    });
  }
  template <class T>
  T Ask(std::string_view sql) {
    return connection_.Execute(sql).As<T>(0);
  }
  void Sql(std::string_view sql) { connection_.Execute(sql); }
  std::optional<Account> Find(const std::string& email) {
    return Read([&](db::Tx& tx) { return FindAccount(tx, email); });
  }
  Error Refusal(const std::function<void(db::Tx&)>& work) {
    return RefusalOf([&] { pool_.Write(work); });
  }
  static Error RefusalOf(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      return error;
    }
    FAIL("nothing was refused");
    return Error{Code::kInternal, ""};
  }

  int questions = 0;
  ManualClock clock;
  Authority one{Config(), clock};
  Authority two{Config(), clock};

 private:
  test::FreshDatabase database_;
  db::Connection connection_{{.url = database_.url()}};
  SystemClock system_clock_;
  db::Pool pool_{{.url = database_.url(), .connections_max = 4}, system_clock_};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a token brings in who it was issued to, as they are now") {
  const User alice = Add("Alice@example.com", "Alice");
  const Token token = one.Issue(alice);
  CHECK(token.lifetime == 24h);
  const Principal principal = Enter(two, token.text);
  CHECK(principal.user_id == alice.public_id);
  CHECK(principal.email == "Alice@example.com");
  CHECK(principal.name == "Alice");
  CHECK(principal.role == Role::kUser);
  CHECK(principal.token_expires_at == token.expires_at);
  SECTION("a role given later counts after a second, though the token says otherwise") {
    Sql("UPDATE users SET role = 'admin'");
    clock.Advance(1s);
    CHECK(Enter(two, token.text).role == Role::kAdmin);
  }
  SECTION("two logins in the same second give two tokens") {
    CHECK(one.Issue(alice).text != token.text);
  }
  SECTION("a daemon with another key does not know it") {
    AuthConfig other = Config();
    other.secret_key = std::string(64, 'x');
    Authority stranger{other, clock};
    CHECK_FALSE(Enters(stranger, token.text));
    CHECK(questions == 1);
  }
}

TEST_CASE_METHOD(Fixture, "the database is asked once a second for a token") {
  const Token token = one.Issue(Add("a@example.com"));
  for (int i = 0; i < 10; ++i) CHECK(Enters(one, token.text));
  CHECK(questions == 1);
  clock.Advance(1s - 1us);
  CHECK(Enters(one, token.text));
  CHECK(questions == 1);
  clock.Advance(1us);
  CHECK(Enters(one, token.text));
  CHECK(questions == 2);
  CHECK(one.Stats().hits == 10);
  CHECK(one.Stats().misses == 2);
  CHECK(one.Stats().answers == 1);
}

TEST_CASE_METHOD(Fixture, "a token ends with its time even while its answer is fresh") {
  const Token token = one.Issue(Add("a@example.com"));
  clock.Advance(24h - 500ms);
  CHECK(Enters(one, token.text));
  clock.Advance(500ms);
  CHECK_FALSE(Enters(one, token.text));
  CHECK(questions == 1);
}

TEST_CASE_METHOD(Fixture, "a revoked token is refused at once here and within a second everywhere") {
  const User alice = Add("a@example.com");
  const Token token = one.Issue(alice);
  REQUIRE(Enters(one, token.text));
  REQUIRE(Enters(two, token.text));
  CHECK(RevokeToken(token.text, alice));
  one.Revoked(token.text);
  CHECK_FALSE(Enters(one, token.text));
  clock.Advance(1s);
  CHECK_FALSE(Enters(two, token.text));
  CHECK_FALSE(Enters(one, token.text));
  SECTION("also after a restart") {
    Authority restarted{Config(), clock};
    CHECK_FALSE(Enters(restarted, token.text));
  }
  SECTION("while the owner's other tokens hold") {
    CHECK(Enters(one, one.Issue(alice).text));
  }
  SECTION("and revoking it again changes nothing") {
    CHECK_FALSE(RevokeToken(token.text, alice));
  }
}

TEST_CASE_METHOD(Fixture, "an answer from before a logout that arrives after it lets nobody in") {
  const User alice = Add("a@example.com");
  const Token token = one.Issue(alice);
  // The question is answered, then the logout happens, then the answer is remembered.
  test::ScriptedExecutor slow{[&](const db::Query& query, const db::Params& params) {
    db::Rows answer = Read([&](db::Tx& tx) { return tx.Execute(query, params); });
    RevokeToken(token.text, alice);
    one.Revoked(token.text);
    return answer;
  }};
  const Principal late = *one.Authenticate("Bearer " + token.text, slow);
  CHECK(late.user_id == alice.public_id);
  CHECK_FALSE(Enters(one, token.text));
}

TEST_CASE_METHOD(Fixture, "a revoked token stays revoked when the memory of it was pushed out") {
  const User alice = Add("a@example.com");
  const Token revoked = one.Issue(alice);
  REQUIRE(RevokeToken(revoked.text, alice));
  CHECK_FALSE(Enters(one, revoked.text));
  const std::uint32_t answers_max = CacheConfig{}.entries;
  // Twice as many other tokens as are remembered; that they do not hold either is all that is remembered.
  test::ScriptedExecutor nobody{
      [](const db::Query&, const db::Params&) { return db::Rows{std::make_unique<test::NoRows>()}; }};
  for (std::uint32_t i = 0; i < 2 * answers_max; ++i) {
    CHECK_THROWS_AS(*one.Authenticate("Bearer " + one.Issue(alice).text, nobody), Error);
  }
  const AuthorityStats stats = one.Stats();
  CHECK(stats.answers <= answers_max);
  CHECK(stats.evictions >= answers_max);
  const int before = questions;
  CHECK_FALSE(Enters(one, revoked.text));
  CHECK(questions == before + 1);
}

TEST_CASE_METHOD(Fixture, "who is deactivated or removed is out within a second") {
  const User alice = Add("a@example.com");
  const Token token = one.Issue(alice);
  REQUIRE(Enters(one, token.text));
  SECTION("deactivated") {
    Write([&](db::Tx& tx) { Deactivate(tx, alice.public_id); });
    clock.Advance(1s);
    CHECK_FALSE(Enters(one, token.text));
  }
  SECTION("removed") {
    Sql("DELETE FROM users");
    clock.Advance(1s);
    CHECK_FALSE(Enters(one, token.text));
  }
}

TEST_CASE_METHOD(Fixture, "without a database and without a fresh answer nobody gets in") {
  const Token token = one.Issue(Add("a@example.com"));
  test::ScriptedExecutor away{
      [](const db::Query&, const db::Params&) -> db::Rows { throw Unavailable("the database is away", 1s); }};
  const auto code = [&] {
    try {
      static_cast<void>(*one.Authenticate("Bearer " + token.text, away));
    } catch (const Error& error) {
      return error.code;
    }
    return Code::kInternal;
  };
  CHECK(code() == Code::kUnavailable);
  REQUIRE(Enters(one, token.text));
  CHECK(one.Authenticate("Bearer " + token.text, away)->email == "a@example.com");
  clock.Advance(1s);
  CHECK(code() == Code::kUnavailable);
}

TEST_CASE_METHOD(Fixture, "with authentication disabled everybody is the administrator") {
  AuthConfig config = Config();
  config.disabled = true;
  Authority open{config, clock};
  test::ScriptedExecutor never{[](const db::Query&, const db::Params&) -> db::Rows {
    throw std::logic_error{"the database was asked"};
  }};
  for (const auto& header :
       {std::optional<std::string_view>{}, std::optional<std::string_view>{"Bearer x"}}) {
    const Principal principal = *open.Authenticate(header, never);
    CHECK(principal.user_id == "admin");
    CHECK(principal.role == Role::kAdmin);
  }
}

TEST_CASE_METHOD(Fixture, "an e-mail address is registered once, in whatever case") {
  const User alice = Add("Alice@example.com", "Alice");
  CHECK(alice.public_id.size() == 36);
  CHECK(alice.role == Role::kUser);
  CHECK(alice.is_active);
  const NewUser again{.email = "ALICE@EXAMPLE.COM", .password = "", .name = "Other"};
  const Error error = Refusal([&](db::Tx& tx) { static_cast<void>(Register(tx, again, "hash")); });
  CHECK(error.code == Code::kRejected);
  CHECK(error.message == "Email already registered");
  CHECK(Find("alice@EXAMPLE.com")->user.id == alice.id);
  CHECK_FALSE(Find("alice@example.org"));
}

TEST_CASE_METHOD(Fixture,
                 "the configured administrator exists, and changes only when the configuration does") {
  AuthConfig config = Config();
  config.admin_email = "Admin@Example.com";
  config.admin_password_hash = Bcrypt("first");
  const auto ensure = [&] { Write([&](db::Tx& tx) { EnsureAdmin(tx, config); }); };
  ensure();
  const auto admin = Find("admin@example.com");
  REQUIRE(admin);
  CHECK(admin->user.public_id == "admin");
  CHECK(admin->user.role == Role::kAdmin);
  CHECK(admin->user.name == "Administrator");
  CHECK(admin->password_hash == config.admin_password_hash);

  SECTION("a renewed hash survives the next start") {
    const LoginCheck check = CheckLogin(one.passwords(), admin, "first");
    REQUIRE(check.new_hash);
    Write([&](db::Tx& tx) { Rehash(tx, *admin, *check.new_hash); });
    ensure();
    CHECK(Find(config.admin_email)->password_hash == *check.new_hash);
    SECTION("until another one is configured") {
      config.admin_password_hash = Bcrypt("second");
      ensure();
      CHECK(Find(config.admin_email)->password_hash == config.admin_password_hash);
    }
    SECTION("and a login that checked the old hash does not undo it") {
      Write([&](db::Tx& tx) { Rehash(tx, *admin, "late"); });
      CHECK(Find(config.admin_email)->password_hash == *check.new_hash);
    }
  }
  SECTION("a new hash ends the tokens of the old one") {
    const Token old = one.Issue(admin->user);
    REQUIRE(Enters(one, old.text));
    ensure();
    clock.Advance(1s);
    CHECK(Enters(one, old.text));
    config.admin_password_hash = Bcrypt("second");
    ensure();
    clock.Advance(1s);
    CHECK_FALSE(Enters(one, old.text));
  }
  SECTION("a new address replaces the old one and leaves the password") {
    config.admin_email = "root@example.com";
    ensure();
    CHECK_FALSE(Find("admin@example.com"));
    CHECK(Find("root@example.com")->password_hash == config.admin_password_hash);
  }
  SECTION("a start that changes nothing writes nothing") {
    const auto version = Ask<std::string>("SELECT xmin::text FROM users");
    ensure();
    CHECK(Ask<std::string>("SELECT xmin::text FROM users") == version);
  }
  SECTION("the address of a user is not taken over") {
    Add("taken@example.com");
    config.admin_email = "Taken@example.com";
    CHECK(Refusal([&](db::Tx& tx) { EnsureAdmin(tx, config); }).code == Code::kRejected);
  }
  SECTION("a hash nobody can check is refused") {
    config.admin_password_hash = "plain text";
    CHECK(Refusal([&](db::Tx& tx) { EnsureAdmin(tx, config); }).code == Code::kRejected);
  }
}

TEST_CASE_METHOD(Fixture, "the first administrator is made once, with a password that opens") {
  const auto create = [&] { return Write([](db::Tx& tx) { return CreateFirstAdmin(tx); }); };
  const auto password = create();
  REQUIRE(password);
  CHECK(password->size() == 16);
  const auto account = Find("admin@localhost");
  REQUIRE(account);
  CHECK(account->user.public_id == "admin");
  CHECK(CheckLogin(one.passwords(), account, *password).refusal.empty());
  CHECK_FALSE(create());
  SECTION("and gives way to a configured one") {
    AuthConfig config = Config();
    config.admin_email = "root@example.com";
    config.admin_password_hash = Bcrypt("configured");
    Write([&](db::Tx& tx) { EnsureAdmin(tx, config); });
    CHECK_FALSE(Find("admin@localhost"));
    CHECK(CheckLogin(one.passwords(), Find("root@example.com"), "configured").refusal.empty());
    CHECK_FALSE(create());
  }
}

TEST_CASE_METHOD(Fixture, "revocations that outlived their token are removed a few at a time") {
  const User alice = Add("a@example.com");
  for (int i = 0; i < 150; ++i) {
    Sql("INSERT INTO token_revocations (token_sha256, user_id, expires_at) SELECT sha256('" +
        std::to_string(i) + "'), id, now() - interval '25 hours' FROM users");
  }
  const auto count = [&] {
    return Read([&](db::Tx& tx) { return CountRevocations(tx, SystemClock{}.WallNow()); });
  };
  CHECK(count().total == 150);
  CHECK(count().active == 0);
  REQUIRE(RevokeToken("one", alice));
  CHECK(count().total == 51);
  CHECK(count().active == 1);
  REQUIRE(RevokeToken("two", alice));
  CHECK(count().total == 2);
  CHECK(count().active == 2);
}

TEST_CASE_METHOD(Fixture, "the record says who, what, from where, and outlives the user") {
  const User alice = Add("a@example.com");
  Write([&](db::Tx& tx) {
    Audit(tx, {.kind = AuditKind::kAuthFailure,
               .address = "192.0.2.7",
               .request_id = "r1",
               .email = "no\"body" + std::string(400, 'x'),
               .reason = "unknown_user"});
    Audit(tx, {.kind = AuditKind::kLogout,
               .user_id = alice.public_id,
               .address = "unix",
               .request_id = "r2",
               .email = alice.email});
  });
  CHECK(Ask<std::string>(
            "SELECT kind || ' ' || address || ' ' || request_id FROM audit_events WHERE user_id IS NULL") ==
        "auth_failure 192.0.2.7 r1");
  CHECK(Ask<std::string>("SELECT details->>'reason' FROM audit_events WHERE request_id = 'r1'") ==
        "unknown_user");
  CHECK(Ask<std::int64_t>(
            "SELECT char_length(details->>'email') FROM audit_events WHERE request_id = 'r1'") == 254);
  CHECK(Ask<std::int64_t>("SELECT user_id FROM audit_events WHERE request_id = 'r2'") == alice.id);
  CHECK(Ask<bool>(
      "SELECT details = '{\"email\": \"a@example.com\"}' FROM audit_events WHERE request_id = 'r2'"));
  Sql("DELETE FROM users");
  CHECK(Ask<std::int64_t>("SELECT count(*) FROM audit_events WHERE user_id IS NULL") == 2);
}

TEST_CASE_METHOD(Fixture, "the schema itself refuses what must not be") {
  for (const char* statement :
       {"INSERT INTO users (email, name, password_hash, role) VALUES ('x', 'x', 'x', 'owner')",
        "INSERT INTO users (public_id, email, name, password_hash) VALUES ('admin', 'x', 'x', 'x')",
        "INSERT INTO users (public_id, email, name, password_hash) VALUES ('root', 'x', 'x', 'x')",
        "INSERT INTO users (email, name, password_hash) VALUES ('x', '', 'x')",
        "INSERT INTO token_revocations (token_sha256, user_id, expires_at) VALUES ('\\x00', 1, now())",
        "INSERT INTO audit_events (kind, address, request_id) VALUES ('rumour', '', '')",
        "INSERT INTO audit_events (kind, address, request_id, details) VALUES ('logout', '', '', '[]')"}) {
    INFO(statement);
    CHECK(RefusalOf([&] { Sql(statement); }).code == Code::kRejected);
  }
}

}  // namespace gathering::auth
