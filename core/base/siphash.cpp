#include "core/base/siphash.h"

#include <random>

namespace gathering {

SipKey RandomKey() {
  std::random_device random;
  const auto word = [&] { return (std::uint64_t{random()} << 32) | random(); };
  return {word(), word()};
}

}  // namespace gathering
