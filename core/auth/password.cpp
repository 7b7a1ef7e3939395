#include "core/auth/password.h"

#include <argon2.h>
#include <crypt.h>
#include <openssl/crypto.h>

#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>

#include "core/auth/token.h"
#include "core/base/error.h"

namespace gathering::auth {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kArgonHashBytes = 32;
constexpr std::size_t kArgonTextBytesMax = 512;
constexpr std::uint32_t kForeignMemoryKibMax = 262'144;  // of hashes made elsewhere
constexpr std::uint32_t kForeignPassesMax = 16;
constexpr std::uint32_t kForeignLanesMax = 8;
constexpr std::uint32_t kBcryptCostMin = 4;
constexpr std::uint32_t kBcryptCostMax = 16;
constexpr std::size_t kBcryptTextBytes = 60;
constexpr std::string_view kBcryptAlphabet =
    "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kArgonPrefix = "$argon2id$v=19$";

struct ArgonCost {
  std::uint32_t memory_kib = 0;
  std::uint32_t passes = 0;
  std::uint32_t lanes = 0;
};

// Takes `mark` and the number behind it from the front of `text`.
std::optional<std::uint32_t> TakeNumber(std::string_view& text, std::string_view mark) {
  if (!text.starts_with(mark)) return std::nullopt;
  text.remove_prefix(mark.size());
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<ArgonCost> ParseArgon(std::string_view hash) {
  if (hash.size() > kArgonTextBytesMax || !hash.starts_with(kArgonPrefix)) return std::nullopt;
  std::string_view rest = hash.substr(kArgonPrefix.size());
  const auto memory = TakeNumber(rest, "m=");
  const auto passes = memory ? TakeNumber(rest, ",t=") : std::nullopt;
  const auto lanes = passes ? TakeNumber(rest, ",p=") : std::nullopt;
  if (!lanes || !rest.starts_with('$') || hash.find('\0') != std::string_view::npos) return std::nullopt;
  if (*memory > kForeignMemoryKibMax || *passes > kForeignPassesMax || *lanes > kForeignLanesMax) {
    return std::nullopt;
  }
  return ArgonCost{*memory, *passes, *lanes};
}

bool IsBcrypt(std::string_view hash) {
  if (hash.size() != kBcryptTextBytes || !hash.starts_with("$2") || hash[3] != '$' || hash[6] != '$') {
    return false;
  }
  if (std::string_view{"aby"}.find(hash[2]) == std::string_view::npos) return false;
  std::string_view cost_text = hash.substr(4, 2);
  const auto cost = TakeNumber(cost_text, "");
  return cost && cost_text.empty() && *cost >= kBcryptCostMin && *cost <= kBcryptCostMax &&
         hash.find_first_not_of(kBcryptAlphabet, 7) == std::string_view::npos;
}

bool VerifyBcrypt(const std::string& password, const std::string& hash) {
  const auto data = std::make_unique<crypt_data>();  // 32 KiB: too much for a stack
  const char* computed = crypt_r(password.c_str(), hash.c_str(), data.get());
  const bool same = computed != nullptr && std::string_view{computed}.size() == hash.size() &&
                    CRYPTO_memcmp(computed, hash.data(), hash.size()) == 0;
  OPENSSL_cleanse(data.get(), sizeof(crypt_data));
  return same;
}

void CheckMemory(int result) {
  if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
    throw Unavailable("the server is out of memory", std::chrono::seconds{5});
}

}  // namespace

std::string Passwords::Hash(std::string_view password) {
  argon2_.fetch_add(1, std::memory_order_relaxed);
  const std::string salt = RandomBytes(kSaltBytes);
  std::array<char, kArgonTextBytesMax> text{};
  const int result =
      argon2id_hash_encoded(kArgonPasses, kArgonMemoryKib, kArgonLanes, password.data(), password.size(),
                            salt.data(), salt.size(), kArgonHashBytes, text.data(), text.size());
  CheckMemory(result);
  if (result != ARGON2_OK) {
    throw Error{Code::kInternal, "the password could not be hashed", argon2_error_message(result)};
  }
  return text.data();
}

bool Passwords::Verify(std::string_view password, std::string_view hash) {
  const std::string hash_text{hash};
  if (ParseArgon(hash)) {
    argon2_.fetch_add(1, std::memory_order_relaxed);
    const int result = argon2id_verify(hash_text.c_str(), password.data(), password.size());
    CheckMemory(result);
    return result == ARGON2_OK;
  }
  const bool whole =
      password.size() <= kBcryptPasswordBytesMax && password.find('\0') == std::string_view::npos;
  if (!whole || !IsBcrypt(hash)) {
    VerifyNobody(password);  // refusing at once would tell something about the hash
    return false;
  }
  bcrypt_.fetch_add(1, std::memory_order_relaxed);
  return VerifyBcrypt(std::string{password}, hash_text);
}

void Passwords::VerifyNobody(std::string_view password) {
  argon2_.fetch_add(1, std::memory_order_relaxed);
  constexpr std::string_view kSalt = "nobody's salt, 16+";
  std::array<unsigned char, kArgonHashBytes> digest{};
  const int result =
      argon2id_hash_raw(kArgonPasses, kArgonMemoryKib, kArgonLanes, password.data(), password.size(),
                        kSalt.data(), kSaltBytes, digest.data(), digest.size());
  CheckMemory(result);
}

HashCounts Passwords::Counts() const {
  return {.argon2 = argon2_.load(std::memory_order_relaxed),
          .bcrypt = bcrypt_.load(std::memory_order_relaxed)};
}

bool Supported(std::string_view hash) {
  return ParseArgon(hash).has_value() || IsBcrypt(hash);
}

bool NeedsRehash(std::string_view hash) {
  const auto cost = ParseArgon(hash);
  return !cost || cost->memory_kib != kArgonMemoryKib || cost->passes != kArgonPasses ||
         cost->lanes != kArgonLanes;
}

}  // namespace gathering::auth
