#pragma once
// How one kind of request is limited, and what is decided about one of them.
//
// A tier is known by its name: counters belong to (name, subject), so that a tier whose limit changes keeps
// its counters.  The subject is whoever is limited: a user, an address, an account; any bytes of any length.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/siphash.h"
#include "core/limits/gcra.h"

namespace gathering::limits {

class Tier {
 public:
  struct Options {
    std::string name;
    Limit limit;
    Algorithm algorithm = Algorithm::kGcra;
    std::int64_t burst = 0;  // requests at once; 0: the rate's count
    bool strict = false;     // without the shared store rather too little than too much
  };

  // Throws Error kInvalid.
  explicit Tier(Options options)
      : options_(std::move(options)),
        quotas_(options_.limit, options_.algorithm, options_.burst),
        id_(SipHash{SipKey{}}.Finish(options_.name).low) {}

  [[nodiscard]] const std::string& name() const { return options_.name; }
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const Quotas& quotas() const { return quotas_; }
  [[nodiscard]] bool strict() const { return options_.strict; }
  [[nodiscard]] std::uint64_t id() const { return id_; }  // of the name, the same everywhere

 private:
  Options options_;
  Quotas quotas_;
  std::uint64_t id_;
};

enum class DecidedBy : std::uint8_t {
  kLocal,
  kShared,    // for all instances
  kOverflow,  // locally, in a bucket that newcomers share because there was no room for one of their own
};

// The numbers are those of one rate of the tier: of a refusal the rate that lasts longest, else the one with
// least left.
struct Decision : Answer {
  std::uint8_t rate = 0;  // its place in Tier::quotas
  DecidedBy by = DecidedBy::kLocal;
};

// Of several rates' answers the one to be told.
[[nodiscard]] inline bool TellsMore(const Answer& answer, const Answer& than) {
  if (answer.allowed != than.allowed) return !answer.allowed;
  if (!answer.allowed) return answer.retry_after > than.retry_after;
  return answer.remaining < than.remaining;
}

}  // namespace gathering::limits
