#include "core/idempotency/idempotency.h"

#include "core/db/queries.h"

namespace gathering::idempotency {
namespace {

struct Kept {
  bool same_request = false;
  Answer answer;

  static void Fields(auto& self, auto& visit) {
    visit("same_request", self.same_request);
    visit("status", self.answer.status);
    visit("content_type", self.answer.content_type);
    visit("body", self.answer.body);
  }
};

constexpr std::string_view kLockTimeout = "55P03";

// Waits for whoever holds the key.
bool TryClaim(db::Tx& tx, const Key& key, double seconds) {
  try {
    return !tx.Run(sql::kIdempotencyClaim, key.user_id, key.key, key.fingerprint, seconds).empty();
  } catch (const Error& error) {
    if (error.sqlstate != kLockTimeout) throw;
    throw Unavailable("the first request with this Idempotency-Key is not done yet", std::chrono::seconds{1},
                      error.cause);
  }
}

}  // namespace

std::optional<Answer> Claim(db::Tx& tx, const Key& key, std::chrono::seconds time_to_live) {
  const auto seconds = static_cast<double>(time_to_live.count());
  if (TryClaim(tx, key, seconds)) {
    tx.Run(sql::kIdempotencyPurge, seconds, kPurgedAtOnce);
    return std::nullopt;
  }
  auto kept = tx.Maybe<Kept>(sql::kIdempotencyAnswer, key.user_id, key.key, key.fingerprint);
  // It was there a moment ago: its time has just come.
  if (!kept) throw Unavailable("the Idempotency-Key expires just now", std::chrono::seconds{1});
  if (!kept->same_request)
    throw Error{Code::kConflict, "this Idempotency-Key was used for another request; use a new one"};
  return std::move(kept->answer);
}

void Keep(db::Tx& tx, const Key& key, const Answer& answer) {
  tx.Run(sql::kIdempotencyKeep, key.user_id, key.key, answer.status, answer.content_type, answer.body);
}

}  // namespace gathering::idempotency
