#pragma once
// What every fuzzed reader is written with.  A target is one file with one LLVMFuzzerTestOneInput: libFuzzer
// calls it with noise (tests/fuzz.sh), and corpus_tests with each file of tests/fuzz/corpus/<target>/.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/http/message.h"

namespace gathering::fuzz {

// A reader did what it promises never to do.  Nobody catches it: libFuzzer stops, a test fails.
class BrokenPromise : public std::exception {
 public:
  explicit BrokenPromise(std::string what) : text_("broken promise: " + std::move(what)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

inline void Require(bool holds, const char* what) {
  if (!holds) throw BrokenPromise{what};
}

// Both are the same, or the failure shows them.
inline void RequireSame(std::string_view a, std::string_view b, const char* what) {
  if (a != b)
    throw BrokenPromise{std::string{what} + ":\n  " + std::string{a} + "\nis not\n  " + std::string{b}};
}

// The input, taken apart from its front.  What is missing is zero or empty.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(static_cast<const char*>(static_cast<const void*>(data)), size) {}

  std::uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  std::string_view Line() {
    const std::string_view line = rest_.substr(0, rest_.find('\n'));
    rest_.remove_prefix(std::min(line.size() + 1, rest_.size()));
    return line;
  }
  [[nodiscard]] std::string_view Rest() const { return rest_; }

 private:
  std::string_view rest_;
};

// Cuts a text into pieces of 1 to 16 bytes, as a seed tells.
class Pieces {
 public:
  Pieces(std::string_view text, std::uint8_t seed) : rest_(text), state_(seed) {}

  [[nodiscard]] bool done() const { return rest_.empty(); }
  std::string_view Next() {
    state_ = state_ * 1'103'515'245U + 12'345U;
    const std::string_view piece = rest_.substr(0, (state_ >> 16U) % 16 + 1);
    rest_.remove_prefix(piece.size());
    return piece;
  }

 private:
  std::string_view rest_;
  std::uint32_t state_;
};

[[nodiscard]] inline bool HasAnyOf(std::string_view text, std::string_view bytes) {
  return text.find_first_of(bytes) != std::string_view::npos;
}

// "GET", and fields from lines of "name: value", as the gate lets them through: names that are not empty,
// values without white space at their ends.
[[nodiscard]] inline http::Request RequestOf(Input& input, std::size_t fields_max = 32) {
  http::Request request;
  request.path = "/";
  while (!input.Rest().empty() && request.headers.size() < fields_max) {
    const std::string_view line = input.Line();
    const std::size_t colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos || HasAnyOf(line, std::string_view{"\r\0", 2}))
      continue;
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    request.headers.push_back({line.substr(0, colon), value});
  }
  return request;
}

}  // namespace gathering::fuzz
