#include "daemon/http/request_id.h"

#include <algorithm>
#include <random>
#include <string>

namespace gathering::http {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;

// The finaliser of SplitMix64: every bit of the counter reaches every bit of the result.
std::uint64_t Mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

std::uint64_t Seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Sixteen digits, by hand: they are written for each request.
void WriteHex(std::uint64_t number, char* digits) {
  for (int shift = 60; shift >= 0; shift -= 4) *digits++ = "0123456789abcdef"[(number >> shift) & 0xF];
}

}  // namespace

bool IsRequestId(std::string_view text) {
  constexpr std::size_t kBareSize = 32;
  constexpr std::size_t kHyphens[] = {8, 13, 18, 23};
  std::string bare{text};
  if (text.size() == kBareSize + std::size(kHyphens)) {
    for (const std::size_t at : kHyphens) {
      if (text[at] != '-') return false;
    }
    std::erase(bare, '-');
  }
  if (bare.size() != kBareSize || !std::all_of(bare.begin(), bare.end(), IsHex)) return false;
  return bare[12] == '4' && std::string_view{"89abAB"}.find(bare[16]) != std::string_view::npos;
}

RequestIds::RequestIds() : high_seed_(Seed()), low_seed_(Seed()), span_seed_(Seed()) {}

RequestIds::Names RequestIds::Next() {
  const std::uint64_t step = kGolden * next_.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t high = (Mix(high_seed_ + step) & ~std::uint64_t{0xF000}) | 0x4000;
  const std::uint64_t low = (Mix(low_seed_ + step) >> 2) | (std::uint64_t{1} << 63);
  Names names{.request_id = std::string(32, '0'), .span_id = {}};
  WriteHex(high, names.request_id.data());
  WriteHex(low, names.request_id.data() + 16);
  WriteHex(std::max<std::uint64_t>(Mix(span_seed_ + step), 1), names.span_id.data());
  return names;
}

}  // namespace gathering::http
