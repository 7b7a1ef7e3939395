#include "core/base/network.h"

#include <catch2/catch.hpp>

namespace gathering::test {

TEST_CASE("an address is read in every spelling, and the spellings are one", "[network]") {
  CHECK(ParseAddress("192.0.2.7") == ParseAddress("::ffff:192.0.2.7"));
  CHECK(ParseAddress("2001:db8::7") == ParseAddress("2001:0DB8:0:0:0:0:0:7"));
  CHECK(ToText(*ParseAddress("::ffff:192.0.2.7")) == "192.0.2.7");
  CHECK(ToText(*ParseAddress("2001:0db8::0007")) == "2001:db8::7");
  for (const char* none : {"", "unix", "192.0.2", "192.0.2.256", "192.0.2.7:80", "[::1]", "::g",
                           "fe80::1%eth0", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"}) {
    INFO(none);
    CHECK_FALSE(ParseAddress(none));
  }
}

TEST_CASE("a customer is an IPv4 address or an IPv6 /64", "[network]") {
  CHECK(CustomerOf(*ParseAddress("192.0.2.7")) == ParseAddress("192.0.2.7"));
  CHECK(CustomerOf(*ParseAddress("2001:db8:1:2:3:4:5:6")) == ParseAddress("2001:db8:1:2::"));
  CHECK(CustomerOf(*ParseAddress("2001:db8:1:2::9")) == CustomerOf(*ParseAddress("2001:db8:1:2:8::")));
  CHECK(CustomerOf(*ParseAddress("2001:db8:1:3::9")) != CustomerOf(*ParseAddress("2001:db8:1:2::9")));
}

TEST_CASE("a network contains what shares its prefix", "[network]") {
  const auto contains = [](const char* network, const char* address) {
    return Network::Parse(network)->Contains(*ParseAddress(address));
  };
  CHECK(contains("10.0.0.0/8", "10.255.0.1"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.1"));
  CHECK(contains("192.0.2.128/25", "192.0.2.200"));
  CHECK_FALSE(contains("192.0.2.128/25", "192.0.2.100"));
  CHECK(contains("0.0.0.0/0", "203.0.113.9"));
  CHECK_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  CHECK(contains("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(contains("::/0", "203.0.113.9"));
  CHECK(contains("203.0.113.9", "203.0.113.9"));
  CHECK_FALSE(contains("203.0.113.9", "203.0.113.8"));
  for (const char* none :
       {"", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/", "10.0.0.0/8x", "/8", "ten/8"}) {
    INFO(none);
    CHECK_FALSE(Network::Parse(none));
  }
}

}  // namespace gathering::test
