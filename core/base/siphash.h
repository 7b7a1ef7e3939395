#pragma once
// SipHash (Aumasson and Bernstein 2012): keyed hashes whose values nobody can foresee or make collide who
// does not know the key.  SipHash-2-4 in their variant of 128 bits, for where the hash stands for what was
// hashed; SipHash-1-3 of 64 bits, less than half the work, for tables that compare what they find.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace gathering {

static_assert(std::endian::native == std::endian::little, "the words of a message are read as they lie");

struct SipKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

[[nodiscard]] SipKey RandomKey();  // one that nobody knows

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  bool operator==(const Hash128&) const = default;
};

// What both have in common.
class SipState {
 public:
  explicit SipState(const SipKey& key)
      : v0_(key.low ^ 0x736f6d6570736575U),
        v1_(key.high ^ 0x646f72616e646f6dU),
        v2_(key.low ^ 0x6c7967656e657261U),
        v3_(key.high ^ 0x7465646279746573U) {}

 protected:
  template <int rounds>
  void Compress(std::uint64_t word) {
    v3_ ^= word;
    Rounds<rounds>();
    v0_ ^= word;
  }
  // The last bytes of `length` in all, and their number.
  template <int rounds>
  void CompressEnd(std::string_view bytes, std::uint64_t length) {
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= sizeof(std::uint64_t); left -= sizeof(std::uint64_t), at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, sizeof word);
      Compress<rounds>(word);
    }
    std::uint64_t last = 0;
    if (left > 0) std::memcpy(&last, at, left);
    Compress<rounds>(last | (length << 56));
  }
  template <int rounds>
  void Rounds() {
    for (int i = 0; i < rounds; ++i) {
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
  }
  [[nodiscard]] std::uint64_t Fold() const { return v0_ ^ v1_ ^ v2_ ^ v3_; }

  std::uint64_t v0_, v1_, v2_, v3_;
};

class SipHash : SipState {
 public:
  explicit SipHash(const SipKey& key) : SipState(key) { v1_ ^= 0xee; }

  // Words first, then bytes once.
  SipHash& Add(std::uint64_t word) {
    Compress<2>(word);
    length_ += sizeof word;
    return *this;
  }

  [[nodiscard]] Hash128 Finish(std::string_view bytes = {}) {
    CompressEnd<2>(bytes, length_ + bytes.size());
    Hash128 hash;
    v2_ ^= 0xee;
    Rounds<4>();
    hash.low = Fold();
    v1_ ^= 0xdd;
    Rounds<4>();
    hash.high = Fold();
    return hash;
  }

 private:
  std::uint64_t length_ = 0;
};

template <int compressions, int finalizations>
class SipHash64 : SipState {
 public:
  explicit SipHash64(const SipKey& key) : SipState(key) {}

  [[nodiscard]] std::uint64_t operator()(std::string_view bytes) {
    CompressEnd<compressions>(bytes, bytes.size());
    return Finish();
  }
  [[nodiscard]] std::uint64_t operator()(std::uint64_t word) {
    Compress<compressions>(word);
    Compress<compressions>(std::uint64_t{sizeof word} << 56);
    return Finish();
  }

 private:
  std::uint64_t Finish() {
    v2_ ^= 0xff;
    Rounds<finalizations>();
    return Fold();
  }
};

using SipHash13 = SipHash64<1, 3>;

}  // namespace gathering
