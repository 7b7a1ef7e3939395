#pragma once
// A hash for keys that strangers may choose: its values cannot be foreseen without the process's own secret,
// so nobody can make keys collide.
#include <concepts>
#include <cstdint>
#include <string_view>

#include "core/base/siphash.h"

namespace gathering::cache {

// All 64 bits are spread well.  Texts of any kind hash alike, so that a view finds a string.
//
// Numbers: the upper half of a * n + b modulo 2^128, whose values for two numbers are independent of each
// other when a and b are secret (strongly universal: Dietzfelbinger, STACS 1996), and then a mixing that
// takes no two values to one (the end of MurmurHash3), so that numbers in a row do not lie in a row.
struct Hash {
  [[nodiscard]] std::uint64_t operator()(std::string_view text) const {
    return SipHash13{Secrets().texts}(text);
  }
  [[nodiscard]] std::uint64_t operator()(std::integral auto number) const {
    __extension__ using Wide = unsigned __int128;
    const auto& [a, b] = Secrets().numbers;
    const Wide product =
        (Wide{a.high} << 64 | a.low) * static_cast<std::uint64_t>(number) + (Wide{b.high} << 64 | b.low);
    auto hash = static_cast<std::uint64_t>(product >> 64);
    hash ^= hash >> 33;
    hash *= 0xff51'afd7'ed55'8ccdU;
    hash ^= hash >> 33;
    hash *= 0xc4ce'b9fe'1a85'ec53U;
    return hash ^ hash >> 33;
  }

 private:
  struct Secret {
    SipKey texts = RandomKey();
    struct {
      SipKey a = RandomKey();
      SipKey b = RandomKey();
    } numbers;
  };
  static const Secret& Secrets() {
    static const Secret secrets;
    return secrets;
  }
};

}  // namespace gathering::cache
