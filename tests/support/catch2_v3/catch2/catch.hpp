#pragma once
// Catch2 3, of Debian 13, under the name and the words of Catch2 2, of Debian 12, which the tests use.
#include <catch2/catch_all.hpp>

#include <string>

using Catch::Approx;

namespace Catch {

inline Matchers::StringContainsMatcher Contains(const std::string& part) {
  return Matchers::ContainsSubstring(part);
}

}  // namespace Catch
