#pragma once
// Waiting for what somebody else brings about, and not for ever.  Between two looks the processor is left to
// whoever is to bring it about: on two of them, looking without a pause is what they would wait for.
#include <catch2/catch.hpp>

#include <poll.h>

#include <chrono>

namespace gathering::test {

inline constexpr int kBetweenLooksMs = 1;

// Whether it comes to hold within `patience`; asked again every millisecond.
template <class F>
bool Eventually(F&& holds, std::chrono::steady_clock::duration patience = std::chrono::seconds{20}) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= give_up) return false;
    ::poll(nullptr, 0, kBetweenLooksMs);
  }
  return true;
}

// The test ends when it does not.
template <class F>
void Await(F&& holds, std::chrono::steady_clock::duration patience = std::chrono::seconds{60}) {
  if (!Eventually(holds, patience)) FAIL("it does not happen");
}

}  // namespace gathering::test
