#include "core/base/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace gathering {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned kMappedBits = 96;
constexpr unsigned kBits = 128;
constexpr std::size_t kTextBytesMax = INET6_ADDRSTRLEN;

// The address with all bits behind the first `bits` cleared.
Address Masked(Address address, unsigned bits) {
  for (unsigned i = 0; i < address.bytes.size(); ++i) {
    const unsigned kept = bits > i * 8 ? std::min(bits - i * 8, 8U) : 0;
    address.bytes[i] = static_cast<std::uint8_t>(address.bytes[i] & (0xff00U >> kept));
  }
  return address;
}

}  // namespace

bool Address::is_v4() const {
  return std::equal(kMapped.begin(), kMapped.end(), bytes.begin());
}

std::optional<Address> ParseAddress(std::string_view text) {
  if (text.empty() || text.size() >= kTextBytesMax) return std::nullopt;
  std::array<char, kTextBytesMax> copy{};
  text.copy(copy.data(), text.size());
  Address address;
  if (::inet_pton(AF_INET6, copy.data(), address.bytes.data()) == 1) return address;
  std::copy(kMapped.begin(), kMapped.end(), address.bytes.begin());
  if (::inet_pton(AF_INET, copy.data(), address.bytes.data() + kMapped.size()) == 1) return address;
  return std::nullopt;
}

std::string ToText(const Address& address) {
  if (!address.is_v4()) {
    std::array<char, kTextBytesMax> text{};
    return ::inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
  }
  // By hand: it is written for each request, and inet_ntop formats with snprintf.
  std::string text;
  for (std::size_t i = kMapped.size(); i < address.bytes.size(); ++i) {
    std::array<char, 3> digits{};
    const char* const end = std::to_chars(digits.begin(), digits.end(), address.bytes[i]).ptr;
    if (!text.empty()) text += '.';
    text += std::string_view{digits.data(), end};
  }
  return text;
}

Address CustomerOf(const Address& address) {
  return address.is_v4() ? address : Masked(address, 64);
}

std::optional<Network> Network::Parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = ParseAddress(text.substr(0, slash));
  if (!address) return std::nullopt;
  Network network;
  network.address_ = *address;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const unsigned before = text.find(':') == std::string_view::npos ? kMappedBits : 0;
    unsigned bits = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (failure != std::errc{} || end != digits.data() + digits.size() || bits > kBits - before)
      return std::nullopt;
    network.bits_ = bits + before;
  }
  if (Masked(*address, network.bits_) != *address) return std::nullopt;
  return network;
}

bool Network::Contains(const Address& address) const {
  return Masked(address, bits_) == address_;
}

}  // namespace gathering
