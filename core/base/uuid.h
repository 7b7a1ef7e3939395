#pragma once
// Names nothing else has: UUIDs (RFC 9562), as two numbers; text only where one is read or written.
#include <atomic>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/siphash.h"
#include "core/base/timestamp.h"

namespace gathering {

struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Uuid&) const = default;
};

// "019aa0e4-6f5c-7c3e-a2b1-0123456789ab".
[[nodiscard]] std::string ToText(const Uuid& id);

// Reads the 36 characters above, in either case, whatever version they are of.
[[nodiscard]] std::optional<Uuid> ParseUuid(std::string_view text);

// Makes UUIDs of version 7 (RFC 9562 section 5.7): they begin with the time and so sort about as they were
// made.  The 74 bits behind the milliseconds come from a counter under a keyed hash: nobody can foresee them,
// and no system call is needed.  Safe from any thread.
class Uuids {
 public:
  Uuids() : Uuids(RandomKey()) {}
  explicit Uuids(SipKey secret) : secret_(secret) {}

  [[nodiscard]] Uuid Next(Timestamp now) {
    const Hash128 random = SipHash{secret_}.Add(count_.fetch_add(1, std::memory_order_relaxed)).Finish();
    const auto millis = static_cast<std::uint64_t>(now.micros / kMicrosPerMilli);
    return {.high = millis << 16 | kVersion | (random.high & 0xFFF), .low = kVariant | random.low >> 2};
  }

 private:
  static constexpr std::int64_t kMicrosPerMilli = 1'000;
  static constexpr std::uint64_t kVersion = 0x7000;
  static constexpr std::uint64_t kVariant = std::uint64_t{1} << 63;

  const SipKey secret_;
  std::atomic<std::uint64_t> count_ = 0;
};

}  // namespace gathering
