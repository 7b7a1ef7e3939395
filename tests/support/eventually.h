#pragma once
// Waiting for what somebody else brings about, without sleeping and not for ever.
#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

namespace gathering::test {

// Whether it comes to hold within `patience`; asked again and again.
template <class F>
bool Eventually(F&& holds, std::chrono::steady_clock::duration patience = std::chrono::seconds{20}) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= give_up) return false;
    std::this_thread::yield();
  }
  return true;
}

// The test ends when it does not.
template <class F>
void Await(F&& holds, std::chrono::steady_clock::duration patience = std::chrono::seconds{60}) {
  if (!Eventually(holds, patience)) FAIL("it does not happen");
}

}  // namespace gathering::test
