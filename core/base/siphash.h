#pragma once
// SipHash-2-4 with 128 bits (Aumasson and Bernstein 2012, and their 128-bit variant): a keyed hash whose
// values nobody can foresee or make collide who does not know the key.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace gathering {

static_assert(std::endian::native == std::endian::little, "the words of a message are read as they lie");

struct SipKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

// One that nobody knows.
[[nodiscard]] inline SipKey RandomKey() {
  std::random_device random;
  const auto word = [&] { return (std::uint64_t{random()} << 32) | random(); };
  return {word(), word()};
}

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  bool operator==(const Hash128&) const = default;
};

class SipHash {
 public:
  explicit SipHash(const SipKey& key)
      : v0_(key.low ^ 0x736f6d6570736575U),
        v1_(key.high ^ 0x646f72616e646f6dU ^ 0xee),
        v2_(key.low ^ 0x6c7967656e657261U),
        v3_(key.high ^ 0x7465646279746573U) {}

  // Words first, then bytes once.
  SipHash& Add(std::uint64_t word) {
    Compress(word);
    length_ += sizeof word;
    return *this;
  }

  [[nodiscard]] Hash128 Finish(std::string_view bytes = {}) {
    length_ += bytes.size();
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= sizeof(std::uint64_t); left -= sizeof(std::uint64_t), at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, sizeof word);
      Compress(word);
    }
    std::uint64_t last = 0;
    if (left > 0) std::memcpy(&last, at, left);
    Compress(last | (length_ << 56));
    Hash128 hash;
    v2_ ^= 0xee;
    for (int i = 0; i < 4; ++i) Round();
    hash.low = v0_ ^ v1_ ^ v2_ ^ v3_;
    v1_ ^= 0xdd;
    for (int i = 0; i < 4; ++i) Round();
    hash.high = v0_ ^ v1_ ^ v2_ ^ v3_;
    return hash;
  }

 private:
  void Compress(std::uint64_t word) {
    v3_ ^= word;
    Round();
    Round();
    v0_ ^= word;
  }
  void Round() {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t length_ = 0;
};

}  // namespace gathering
