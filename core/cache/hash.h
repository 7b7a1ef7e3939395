#pragma once
// A hash for keys that strangers may choose: its values cannot be foreseen without the process's own secret,
// so nobody can make keys collide.
#include <concepts>
#include <cstdint>
#include <string_view>

#include "core/base/siphash.h"

namespace gathering::cache {

// All 64 bits are spread well.  Texts of any kind hash alike, so that a view finds a string.
struct Hash {
  [[nodiscard]] std::uint64_t operator()(std::string_view text) const { return SipHash13{Secret()}(text); }
  [[nodiscard]] std::uint64_t operator()(std::integral auto number) const {
    return SipHash13{Secret()}(static_cast<std::uint64_t>(number));
  }

 private:
  static const SipKey& Secret() {
    static const SipKey secret = RandomKey();
    return secret;
  }
};

}  // namespace gathering::cache
