#pragma once
// Decides who is asking.
//
// A token proves who somebody was when it was issued.  Whether that still holds is
// asked of the database: is the token revoked, does the user exist and is active,
// which role is it now.  The answer is remembered for caches.tokens.ttl, from the
// moment before the question was sent, so a logout or a deactivation holds on every
// daemon of a database after that time at the latest, whatever else happens: restart,
// eviction, clock changes.  Without a fresh answer and without a database nobody gets in.
//
// All members are safe to call from any thread and from fibers.  Authenticate waits
// only for `db`, which it asks one statement at most.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/auth/principal.h"
#include "core/auth/token.h"
#include "core/base/clock.h"
#include "core/base/worker_pool.h"
#include "core/cache/statistics.h"
#include "core/config/config.h"
#include "core/db/executor.h"

namespace gathering::auth {

struct User;
class Passwords;

// A bearer token as the client gets it.
struct Token {
  std::string text;
  Timestamp expires_at;
  std::chrono::seconds lifetime{0};
};

struct AuthorityStats {
  std::uint64_t answers = 0;  // remembered now
  std::uint64_t answers_max = 0;
  std::uint64_t hits = 0;       // requests that a remembered answer decided
  std::uint64_t misses = 0;     // requests that had none
  std::uint64_t evictions = 0;  // answers that left to make room
  std::uint64_t refused = 0;    // requests answered with kUnauthenticated
  WorkerPoolStats hashing;
};

// The token in the value of an Authorization header; the view points into `header`.  Throws
// kUnauthenticated: "Missing authentication token" or "Invalid authentication header format".
[[nodiscard]] std::string_view BearerToken(std::optional<std::string_view> header);

class Authority {
 public:
  // Throws kInvalid when the secret key is shorter than kSecretBytesMin.  `clock` must outlive this.
  // `answers`: what the database said of a token, and for how long that is believed.
  Authority(const AuthConfig& config, const Clock& clock, const CacheConfig& answers = {});
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // Who sent `header`, the value of Authorization if there was one.  Throws kUnauthenticated with the
  // texts of BearerToken or "Invalid or expired token"; what `db` throws comes out as it is.
  // With authentication disabled everybody is the administrator.  `digest` is of the token, if UserOf was
  // asked about the same header before.
  [[nodiscard]] std::shared_ptr<const Principal> Authenticate(
      std::optional<std::string_view> header, db::Executor& db,
      const std::optional<Sha256>& digest = std::nullopt);

  // Whose token `header` holds, by its signature and time alone: neither the database nor a revocation is
  // asked. None when there is none, or it is not good.  Says what the token's digest is, if there is one.
  [[nodiscard]] std::optional<std::string> UserOf(std::optional<std::string_view> header,
                                                  std::optional<Sha256>& digest) const;

  // A new token, different from every other one.
  [[nodiscard]] Token Issue(const User& user) const;

  // To be told after a revocation was committed: on this daemon it then holds at once.
  void Revoked(std::string_view token);

  // Everything that hashes passwords runs here, so that a flood of logins delays only logins.
  [[nodiscard]] WorkerPool& hashing() { return hashing_; }
  [[nodiscard]] Passwords& passwords() { return *passwords_; }

  // Other bounds, and another time for which the database's answers are believed.
  void Reload(const CacheConfig& answers);

  [[nodiscard]] bool disabled() const { return disabled_; }

  AuthorityStats Stats() const;
  [[nodiscard]] cache::Observed& answers();

 private:
  class Answers;

  std::shared_ptr<const Principal> Administrator() const;

  const Clock& clock_;
  const std::chrono::seconds lifetime_;
  const bool disabled_;
  const std::string admin_email_;
  std::unique_ptr<Answers> answers_;
  std::unique_ptr<Passwords> passwords_;
  WorkerPool hashing_;
};

}  // namespace gathering::auth
