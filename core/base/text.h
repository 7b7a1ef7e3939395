#pragma once
// Small questions about words, and the text of a file.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gathering {

// How many letters must be inserted, removed, replaced or swapped with their neighbour to get from one
// word to the other.  Words longer than 64 bytes are compared by their first 64.
[[nodiscard]] std::size_t EditDistance(std::string_view a, std::string_view b);

// The candidate a writer of `word` most probably meant: the nearest one at most two edits away and not
// wholly different; the first of several.
[[nodiscard]] std::optional<std::string_view> Closest(std::string_view word,
                                                      std::span<const std::string_view> candidates);

// "; did you mean 'x'?" or nothing.
[[nodiscard]] std::string DidYouMean(std::string_view word, std::span<const std::string_view> candidates);

[[nodiscard]] std::string_view Trimmed(std::string_view text);  // without ASCII white space at both ends

// ASCII letters only.
[[nodiscard]] constexpr char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
[[nodiscard]] std::string Lower(std::string_view text);
[[nodiscard]] std::string Upper(std::string_view text);

// The parts between `separator`s, trimmed; empty parts are left out.
[[nodiscard]] std::vector<std::string> Split(std::string_view text, char separator);

// Lines of at most `columns` bytes, broken at spaces; a longer word stays whole.
[[nodiscard]] std::vector<std::string> Wrapped(std::string_view text, std::size_t columns);

[[nodiscard]] std::string ReadText(const std::string& path);  // empty when the file cannot be read

}  // namespace gathering
