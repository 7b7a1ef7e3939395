#pragma once
// The name of one request in headers, logs and error bodies.
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace gathering::http {

// Is this a UUID of version 4, with its hyphens or as 32 bare hex digits?
[[nodiscard]] bool IsRequestId(std::string_view text);

// Makes new ones, different from every other and from those of other processes, but not hard to guess.
// Safe from any thread.
class RequestIds {
 public:
  struct Names {
    std::string request_id;        // 32 hex digits of a version 4 UUID
    std::array<char, 16> span_id;  // hex digits, not all zeros
  };

  RequestIds();

  [[nodiscard]] Names Next();

 private:
  const std::uint64_t high_seed_;
  const std::uint64_t low_seed_;
  const std::uint64_t span_seed_;
  std::atomic<std::uint64_t> next_{0};
};

}  // namespace gathering::http
