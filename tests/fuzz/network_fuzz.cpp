// Addresses and networks.
#include "core/base/network.h"

#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::Network;
  using gathering::fuzz::Require;
  const std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  if (const auto address = gathering::ParseAddress(text)) {
    const std::string canonical = gathering::ToText(*address);
    Require(gathering::ParseAddress(canonical) == address, "a written address is read back");
    Require(address->is_v4() == (canonical.find(':') == std::string::npos), "IPv4 is written as such");
    const auto alone = Network::Parse(canonical);
    Require(alone && alone->Contains(*address), "an address is a network of its own");
    const auto customer = gathering::CustomerOf(*address);
    Require(gathering::CustomerOf(customer) == customer, "a customer's network is its own");
    const auto net = Network::Parse(gathering::ToText(customer) + (address->is_v4() ? "/32" : "/64"));
    Require(net && net->Contains(*address), "an address is in its customer's network");
    Require(Network::Parse("0.0.0.0/0")->Contains(*address) == address->is_v4(), "all of IPv4 is no IPv6");
  }
  if (const auto network = Network::Parse(text)) {
    const auto first = gathering::ParseAddress(text.substr(0, text.find('/')));
    Require(first && network->Contains(*first), "a network holds its first address");
  }
  return 0;
}
