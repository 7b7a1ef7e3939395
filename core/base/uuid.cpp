#include "core/base/uuid.h"

#include <array>
#include <charconv>
#include <cstddef>

#include <fmt/format.h>

namespace gathering {
namespace {

constexpr std::array<std::size_t, 4> kHyphens = {8, 13, 18, 23};
constexpr std::size_t kTextSize = 36;

}  // namespace

std::string ToText(const Uuid& id) {
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", id.high >> 32, id.high >> 16 & 0xFFFF,
                     id.high & 0xFFFF, id.low >> 48, id.low & 0xFFFF'FFFF'FFFF);
}

std::optional<Uuid> ParseUuid(std::string_view text) {
  if (text.size() != kTextSize) return std::nullopt;
  for (const std::size_t at : kHyphens) {
    if (text[at] != '-') return std::nullopt;
  }
  std::string digits{text};
  std::erase(digits, '-');
  constexpr std::size_t kHalf = 16;
  if (digits.size() != 2 * kHalf) return std::nullopt;
  Uuid id;
  const auto read = [&](std::size_t from, std::uint64_t& half) {
    const char* const end = digits.data() + from + kHalf;
    const auto [stopped, error] = std::from_chars(digits.data() + from, end, half, 16);
    return error == std::errc{} && stopped == end;
  };
  if (!read(0, id.high) || !read(kHalf, id.low)) return std::nullopt;
  return id;
}

}  // namespace gathering
