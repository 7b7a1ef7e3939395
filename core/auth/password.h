#pragma once
// Password hashes: argon2id for new ones, bcrypt still accepted.
//
// Every call costs tens of milliseconds and kArgonMemoryKib of memory on purpose: run it on
// Authority::hashing(), never on a loop.  Throws Unavailable when there is no such memory.
// Safe from any thread.
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace gathering::auth {

inline constexpr std::uint32_t kArgonMemoryKib = 19'456;  // OWASP's second choice: 19 MiB, 2 passes, 1 lane
inline constexpr std::uint32_t kArgonPasses = 2;
inline constexpr std::uint32_t kArgonLanes = 1;
inline constexpr std::size_t kBcryptPasswordBytesMax = 72;  // bcrypt looks at no more

// Computations so far, for statistics and for the tests of equal effort.
struct HashCounts {
  std::uint64_t argon2 = 0;
  std::uint64_t bcrypt = 0;
};

class Passwords {
 public:
  // A new argon2id hash with its own salt, in the PHC string form.
  [[nodiscard]] std::string Hash(std::string_view password);

  // Whether `hash` is of this password.  The password counts wholly: one that bcrypt would cut (over 72
  // bytes, or with a NUL inside) is wrong for every bcrypt hash.  False for hashes that are not Supported.
  [[nodiscard]] bool Verify(std::string_view password, std::string_view hash);

  // What Verify costs with an argon2id hash of ours, for users who do not exist.
  void VerifyNobody(std::string_view password);

  [[nodiscard]] HashCounts Counts() const;

 private:
  std::atomic<std::uint64_t> argon2_{0};
  std::atomic<std::uint64_t> bcrypt_{0};
};

// A well-formed argon2id or bcrypt ($2a$, $2b$, $2y$) hash whose cost is within reason: a stored hash
// must not be able to occupy a thread for minutes or all of the memory.
[[nodiscard]] bool Supported(std::string_view hash);

// True unless it is an argon2id hash with our parameters.
[[nodiscard]] bool NeedsRehash(std::string_view hash);

}  // namespace gathering::auth
