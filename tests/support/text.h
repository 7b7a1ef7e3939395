#pragma once
// What tests ask of texts.
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace gathering::test {

[[nodiscard]] inline bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

[[nodiscard]] inline std::vector<std::string> LinesOf(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace gathering::test
