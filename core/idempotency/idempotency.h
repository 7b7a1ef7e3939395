#pragma once
// Doing once what is asked more than once.
//
// Whoever does not hear the answer to a request may ask again with the same key: if it was done,
// the answer of then is given, else it is done now.  Key, work and answer are one transaction, so
// there is no moment in which one of them is known without the others; a second request that
// comes while the first one runs waits for it.  Keys belong to their user and are forgotten after
// a time; every claim removes up to kPurgedAtOnce forgotten ones, so there are never many.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/db/tx.h"

namespace gathering::idempotency {

inline constexpr std::size_t kKeyBytesMax = 255;
inline constexpr std::int64_t kPurgedAtOnce = 2;

struct Key {
  std::string_view user_id;
  std::string_view key;          // 1 to kKeyBytesMax bytes
  std::string_view fingerprint;  // of the request: a SHA-256 in hexadecimal digits
};

struct Answer {
  std::int32_t status = 0;
  std::string content_type;
  std::string body;
};

// None: the key is claimed by this transaction, which does the work and then calls Keep.  Throws kConflict
// when the key was used for another request, kTimeout when another transaction holds it for too long.
[[nodiscard]] std::optional<Answer> Claim(db::Tx& tx, const Key& key, std::chrono::seconds time_to_live);

void Keep(db::Tx& tx, const Key& key, const Answer& answer);

}  // namespace gathering::idempotency
