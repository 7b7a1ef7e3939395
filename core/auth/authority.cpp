#include "core/auth/authority.h"

#include <atomic>
#include <cstring>
#include <utility>

#include "core/auth/password.h"
#include "core/auth/token.h"
#include "core/auth/users.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/cache/cache.h"

namespace gathering::auth {
namespace {

constexpr std::size_t kTokenIdBytes = 16;

// A digest is its own hash, and nobody chooses it.
struct DigestHash {
  std::size_t operator()(const Sha256& digest) const {
    std::size_t hash = 0;
    std::memcpy(&hash, digest.data(), sizeof hash);
    return hash;
  }
};

struct PrincipalBytes {
  std::uint64_t operator()(const Sha256&, const std::shared_ptr<const Principal>& owner) const {
    constexpr std::uint64_t kCounts = 16;  // of the shared pointer
    return sizeof *owner + kCounts + owner->user_id.capacity() + owner->email.capacity() +
           owner->name.capacity();
  }
};

[[noreturn]] void Refuse(std::string cause) {
  throw Error{Code::kUnauthenticated, "Invalid or expired token", std::move(cause)};
}

std::optional<std::string_view> TokenIn(std::optional<std::string_view> header) {
  const std::string_view text = Trimmed(header.value_or(""));
  const std::size_t space = text.find_first_of(" \t");
  if (space == std::string_view::npos || Lower(text.substr(0, space)) != "bearer") return std::nullopt;
  const std::string_view token = Trimmed(text.substr(space));
  // A search for either asks about every byte by itself.
  if (token.find(' ') != std::string_view::npos || token.find('\t') != std::string_view::npos)
    return std::nullopt;
  return token;
}

}  // namespace

std::string_view BearerToken(std::optional<std::string_view> header) {
  if (!header || Trimmed(*header).empty()) {
    throw Error{Code::kUnauthenticated, "Missing authentication token"};
  }
  if (const auto token = TokenIn(header)) return *token;
  throw Error{Code::kUnauthenticated, "Invalid authentication header format"};
}

class Authority::Answers {
 public:
  Answers(const AuthConfig& config, const Clock& clock, const CacheConfig& answers)
      : key(config.secret_key),
        cache({.name = "tokens",
               .policy = answers.policy,
               .bounds = answers.bounds(),
               .ttl = answers.ttl,
               .negative_ttl = answers.ttl},
              clock) {}

  const TokenKey key;
  cache::Cache<Sha256, std::shared_ptr<const Principal>, DigestHash, PrincipalBytes>
      cache;  // whose a token is, or that it does not hold
  std::atomic<std::uint64_t> refused{0};
};

Authority::Authority(const AuthConfig& config, const Clock& clock, const CacheConfig& answers)
    : clock_(clock),
      lifetime_(config.token_lifetime),
      disabled_(config.disabled),
      admin_email_(config.admin_email.empty() ? std::string{kFirstAdminEmail} : config.admin_email),
      answers_(std::make_unique<Answers>(config, clock, answers)),
      passwords_(std::make_unique<Passwords>()),
      hashing_({.name = "hash", .threads = config.hash_threads, .queue_max = config.hash_queue_max}) {}

Authority::~Authority() = default;

std::shared_ptr<const Principal> Authority::Administrator() const {
  return std::make_shared<const Principal>(
      Principal{.user_id = std::string{kAdminId},
                .email = admin_email_,
                .name = std::string{kAdminName},
                .role = Role::kAdmin,
                .token_expires_at = {clock_.WallNow().micros + lifetime_.count() * kMicrosPerSecond}});
}

std::shared_ptr<const Principal> Authority::Authenticate(std::optional<std::string_view> header,
                                                         db::Executor& db,
                                                         const std::optional<Sha256>& known) {
  if (disabled_) return Administrator();
  try {
    const std::string_view token = BearerToken(header);
    if (token.size() > kTokenBytesMax) Refuse("too long");
    const Timestamp now = clock_.WallNow();
    const Sha256 digest = known ? *known : Sha256Of(token);

    // An answer is remembered only for tokens whose signature was right, and the digest is of the whole
    // token.
    auto answer = answers_->cache.Find(digest);
    if (!answer) {
      const auto claims = answers_->key.Verify(token, now);
      if (!claims) Refuse("bad signature, claims or time");
      const Clock::Steady asked_at = clock_.Now();
      auto owner =
          CheckToken(db, {.sha256 = Hex(digest), .user_id = claims->sub, .issued_at = claims->issued_at});
      answer.emplace();
      if (owner) {
        owner->token_expires_at = claims->expires_at;
        *answer = std::make_shared<const Principal>(*std::move(owner));
      }
      answers_->cache.Put(digest, *answer, asked_at);
    }
    if (!*answer) Refuse("revoked, or its owner is gone");
    if ((**answer)->token_expires_at <= now) Refuse("expired");
    return **std::move(answer);
  } catch (const Error& error) {
    if (error.code == Code::kUnauthenticated) answers_->refused.fetch_add(1, std::memory_order_relaxed);
    throw;
  }
}

std::optional<std::string> Authority::UserOf(std::optional<std::string_view> header,
                                             std::optional<Sha256>& digest) const {
  const auto token = TokenIn(header);
  if (!token || token->size() > kTokenBytesMax) return std::nullopt;
  digest = Sha256Of(*token);
  if (const auto answer = answers_->cache.Peek(*digest))
    return *answer ? std::optional{(**answer)->user_id} : std::nullopt;
  const auto claims = answers_->key.Verify(*token, clock_.WallNow());
  return claims ? std::optional{claims->sub} : std::nullopt;
}

Token Authority::Issue(const User& user) const {
  const std::int64_t now = clock_.WallNow().micros / kMicrosPerSecond;
  Claims claims{.sub = user.public_id,
                .email = user.email,
                .role = std::string{schema::ToText(user.role)},
                .jti = RandomHex(kTokenIdBytes),
                .issued_at = {now * kMicrosPerSecond},
                .expires_at = {(now + lifetime_.count()) * kMicrosPerSecond}};
  return {.text = answers_->key.Sign(claims), .expires_at = claims.expires_at, .lifetime = lifetime_};
}

void Authority::Revoked(std::string_view token) {
  // Not merely forgotten, and newer than every question asked so far: one asked before the commit
  // may still bring its old answer.
  answers_->cache.Put(Sha256Of(token), std::nullopt, clock_.Now() + std::chrono::nanoseconds{1});
}

void Authority::Reload(const CacheConfig& answers) {
  answers_->cache.SetBounds(answers.bounds());
  answers_->cache.SetLifetimes(answers.ttl, answers.ttl);
}

cache::Observed& Authority::answers() {
  return answers_->cache;
}

AuthorityStats Authority::Stats() const {
  const cache::Snapshot answers = answers_->cache.Look();
  return {.answers = answers.entries,
          .answers_max = answers.bounds.entries_max,
          .hits = answers.statistics.hits,
          .misses = answers.statistics.misses,
          .evictions = answers.statistics.evicted_for_entries + answers.statistics.evicted_for_bytes,
          .refused = answers_->refused.load(std::memory_order_relaxed),
          .hashing = hashing_.Stats()};
}

}  // namespace gathering::auth
