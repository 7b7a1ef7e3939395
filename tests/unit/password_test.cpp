#include <catch2/catch.hpp>

#include <argon2.h>
#include <crypt.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/auth/login.h"
#include "core/auth/password.h"
#include "core/auth/secret_file.h"
#include "core/base/error.h"
#include "tests/support/temporary_directory.h"

namespace gathering::auth {
namespace {

// bcrypt at its lowest cost.
std::string Bcrypt(const std::string& password, const std::string& kind = "$2b$") {
  const auto data = std::make_unique<crypt_data>();
  const std::string setting = kind + "04$abcdefghijklmnopqrstuu";
  const char* hash = crypt_r(password.c_str(), setting.c_str(), data.get());
  REQUIRE(hash != nullptr);
  return hash;
}

std::string Argon(const std::string& password, std::uint32_t memory_kib, std::uint32_t passes) {
  std::array<char, 256> text{};
  REQUIRE(argon2id_hash_encoded(passes, memory_kib, 1, password.data(), password.size(), "0123456789abcdef",
                                16, 32, text.data(), text.size()) == ARGON2_OK);
  return text.data();
}

std::optional<Account> AccountWith(std::string hash, bool is_active = true) {
  Account account;
  account.user.is_active = is_active;
  account.password_hash = std::move(hash);
  return account;
}

// Where a daemon keeps its data.
class Directory {
 public:
  [[nodiscard]] const std::string& path() const { return directory_.path(); }
  [[nodiscard]] std::string secret() const { return path() + "/secret_key"; }

  void Write(const std::string& text, mode_t mode) const {
    std::ofstream{secret()} << text;
    REQUIRE(::chmod(secret().c_str(), mode) == 0);
  }

 private:
  test::TemporaryDirectory directory_;
};

Code CodeOf(const std::string& data_dir) {
  try {
    static_cast<void>(LoadOrCreateSecret(data_dir));
  } catch (const Error& error) {
    return error.code;
  }
  FAIL("nothing was refused");
  return Code::kInternal;
}

}  // namespace

TEST_CASE("a password opens its own hash and no other") {
  Passwords passwords;
  const std::string hash = passwords.Hash("correct-horse");
  CHECK(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
  CHECK(passwords.Verify("correct-horse", hash));
  CHECK_FALSE(passwords.Verify("correct-horsf", hash));
  CHECK_FALSE(passwords.Verify("", hash));
  SECTION("and gets another salt each time") {
    CHECK(passwords.Hash("correct-horse") != hash);
  }
}

TEST_CASE("a long password counts to its last byte") {
  Passwords passwords;
  const std::string password(128, 'p');
  const std::string hash = passwords.Hash(password);
  CHECK(passwords.Verify(password, hash));
  CHECK_FALSE(passwords.Verify(password.substr(0, 127), hash));
  CHECK_FALSE(passwords.Verify(password.substr(0, 72), hash));
  CHECK_FALSE(passwords.Verify(password + "p", hash));
  SECTION("also behind a NUL") {
    const std::string with_nul = std::string{"ab"} + '\0' + "cd";
    const std::string its_hash = passwords.Hash(with_nul);
    CHECK(passwords.Verify(with_nul, its_hash));
    CHECK_FALSE(passwords.Verify("ab", its_hash));
  }
}

TEST_CASE("bcrypt hashes of the three good kinds are understood") {
  Passwords passwords;
  for (const char* kind : {"$2a$", "$2b$", "$2y$"}) {
    INFO(kind);
    const std::string hash = Bcrypt("Peer-Admin-2026", kind);
    CHECK(Supported(hash));
    CHECK(passwords.Verify("Peer-Admin-2026", hash));
    CHECK_FALSE(passwords.Verify("Peer-Admin-2027", hash));
  }
  CHECK(passwords.Counts().bcrypt == 6);
  CHECK(passwords.Counts().argon2 == 0);
}

TEST_CASE("bcrypt takes 72 bytes and refuses what it would cut") {
  Passwords passwords;
  const std::string full(72, 'p');
  const std::string hash = Bcrypt(full);
  CHECK(passwords.Verify(full, hash));
  CHECK_FALSE(passwords.Verify(full + "p", hash));
  CHECK_FALSE(passwords.Verify(full.substr(0, 71), hash));
  CHECK_FALSE(passwords.Verify(std::string{"abc"} + '\0' + "def", Bcrypt("abc")));
}

TEST_CASE("a hash that is none, or too expensive, opens for nobody") {
  Passwords passwords;
  for (const char* hash : {"", "secret", "$1$salt$hash", "$2b$",
                           "$2b$31$abcdefghijklmnopqrstuuOPQRSTUVWXYZabcdefghijklmnopqrstu",
                           "$2x$04$abcdefghijklmnopqrstuuOPQRSTUVWXYZabcdefghijklmnopqrs",
                           "$argon2i$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA",
                           "$argon2id$v=19$m=4194304,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA",
                           "$argon2id$v=19$m=19456,t=4000000,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA",
                           "$argon2id$v=19$m=19456,t=2,p=64$MDEyMzQ1Njc4OWFiY2RlZg$AAAA",
                           "$argon2id$v=19$m=-1,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAA"}) {
    INFO(hash);
    CHECK_FALSE(Supported(hash));
    CHECK_FALSE(passwords.Verify("secret", hash));
  }
  CHECK_FALSE(passwords.Verify("secret", "$argon2id$v=19$m=19456,t=2,p=1$not base64$AAAA"));
}

TEST_CASE("only hashes of our own making are kept") {
  Passwords passwords;
  CHECK_FALSE(NeedsRehash(passwords.Hash("x")));
  CHECK(NeedsRehash(Argon("x", 8'192, 2)));
  CHECK(NeedsRehash(Argon("x", 19'456, 3)));
  CHECK(NeedsRehash(Bcrypt("x")));
  CHECK(passwords.Verify("x", Argon("x", 8'192, 2)));
}

TEST_CASE("whoever is refused was refused with the same effort") {
  Passwords passwords;
  const std::string hash = passwords.Hash("right");
  const auto effort = [&](const std::optional<Account>& account, const char* password) {
    const HashCounts before = passwords.Counts();
    CHECK_FALSE(CheckLogin(passwords, account, password).refusal.empty());
    const HashCounts after = passwords.Counts();
    CHECK(after.bcrypt == before.bcrypt);
    return after.argon2 - before.argon2;
  };
  CHECK(effort(std::nullopt, "right") == 1);
  CHECK(effort(AccountWith(hash), "wrong") == 1);
  CHECK(effort(AccountWith(hash, false), "wrong") == 1);
  CHECK(effort(AccountWith(hash, false), "right") == 1);
  CHECK(effort(AccountWith("not a hash"), "right") == 1);
  CHECK(effort(AccountWith(Bcrypt("right")), std::string(73, 'p').c_str()) == 1);
}

TEST_CASE("a login says why it failed, and renews an old hash when it does not") {
  Passwords passwords;
  CHECK(CheckLogin(passwords, std::nullopt, "x").refusal == "unknown_user");
  CHECK(CheckLogin(passwords, AccountWith(Bcrypt("right")), "wrong").refusal == "wrong_password");
  CHECK(CheckLogin(passwords, AccountWith(Bcrypt("right"), false), "right").refusal == "inactive");
  const LoginCheck renewed = CheckLogin(passwords, AccountWith(Bcrypt("right")), "right");
  CHECK(renewed.refusal.empty());
  REQUIRE(renewed.new_hash);
  CHECK(passwords.Verify("right", *renewed.new_hash));
  CHECK_FALSE(NeedsRehash(*renewed.new_hash));
  const LoginCheck kept = CheckLogin(passwords, AccountWith(*renewed.new_hash), "right");
  CHECK(kept.refusal.empty());
  CHECK_FALSE(kept.new_hash);
}

TEST_CASE("a generated secret is kept, private, and the same for everybody") {
  const Directory directory;
  const std::string secret = LoadOrCreateSecret(directory.path());
  CHECK(secret.size() == 64);
  CHECK(secret.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(LoadOrCreateSecret(directory.path()) == secret);
  struct stat status {};
  REQUIRE(::stat(directory.secret().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator{directory.path()})
    files += entry.exists() ? 1 : 0;
  CHECK(files == 1);
  CHECK(LoadOrCreateSecret(Directory{}.path()) != secret);
}

TEST_CASE("many who make the secret at once agree on one") {
  const Directory directory;
  std::vector<std::string> secrets(8);
  {
    std::vector<std::jthread> threads;
    for (std::string& secret : secrets) {
      threads.emplace_back([&] { secret = LoadOrCreateSecret(directory.path()); });
    }
  }
  for (const std::string& secret : secrets) CHECK(secret == secrets.front());
}

TEST_CASE("a secret file that others can read, or that holds something else, is refused") {
  const std::string good(64, 'a');
  for (const mode_t mode : {0640U, 0604U, 0660U, 0644U, 0666U}) {
    const Directory directory;
    directory.Write(good, mode);
    CHECK(CodeOf(directory.path()) == Code::kRejected);
  }
  for (const std::string& text : {std::string{}, std::string(63, 'a'), std::string(65, 'a'),
                                  std::string(64, 'g'), std::string(64, 'A')}) {
    const Directory directory;
    directory.Write(text, 0600);
    CHECK(CodeOf(directory.path()) == Code::kRejected);
  }
  SECTION("one that holds a key is taken, with or without the line's end") {
    const Directory directory;
    directory.Write(good, 0400);
    CHECK(LoadOrCreateSecret(directory.path()) == good);
    const Directory other;
    other.Write(good + "\n", 0600);
    CHECK(LoadOrCreateSecret(other.path()) == good);
  }
  SECTION("a link is not followed") {
    const Directory directory;
    const Directory target;
    target.Write(good, 0600);
    std::filesystem::create_symlink(target.secret(), directory.secret());
    CHECK(CodeOf(directory.path()) == Code::kUnavailable);
  }
  SECTION("a directory that does not exist is no place for one") {
    CHECK(CodeOf("/nonexistent") == Code::kUnavailable);
  }
}

}  // namespace gathering::auth
