#pragma once
// Addresses of clients, and networks of them.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gathering {

// IPv4 is kept as IPv6 does, in ::ffff:0:0/96, so the two spellings of one address are one.
struct Address {
  std::array<std::uint8_t, 16> bytes{};

  bool operator==(const Address&) const = default;
  [[nodiscard]] bool is_v4() const;
};

// "192.0.2.7", "2001:db8::7" or "::ffff:192.0.2.7"; no brackets, port or zone.
[[nodiscard]] std::optional<Address> ParseAddress(std::string_view text);
[[nodiscard]] std::string ToText(const Address& address);

// The network that one customer of a provider gets: the address itself for IPv4, the /64 for IPv6.
[[nodiscard]] Address CustomerOf(const Address& address);

// A network like "10.0.0.0/8" or "2001:db8::/32"; one address is a network of its own.
class Network {
 public:
  // Nothing when it is none, or has bits set behind its prefix.
  [[nodiscard]] static std::optional<Network> Parse(std::string_view text);

  [[nodiscard]] bool Contains(const Address& address) const;

 private:
  Address address_;
  unsigned bits_ = 128;  // of the prefix, counted as for IPv6
};

}  // namespace gathering
