#include "daemon/http/client.h"

#include <catch2/catch.hpp>

#include "core/base/error.h"

namespace gathering::http {
namespace {

// Behind a load balancer and the proxies of a data centre.
limits::Policy Behind(std::vector<std::string> proxies) {
  RateLimitsConfig config;
  config.trusted_proxies = std::move(proxies);
  return limits::Policy{config};
}

std::string ClientText(const limits::Policy& policy, std::string_view peer, std::vector<Header> headers) {
  Request request;
  request.peer = peer;
  request.headers = std::move(headers);
  const auto client = ClientOf(request, policy);
  return client ? ToText(*client) : "unix";
}

}  // namespace

TEST_CASE("nobody's word about the client is taken but a trusted proxy's", "[client]") {
  const limits::Policy none = Behind({});
  CHECK(ClientText(none, "203.0.113.9", {{"X-Forwarded-For", "192.0.2.1"}}) == "203.0.113.9");
  CHECK(ClientText(none, "203.0.113.9", {{"Forwarded", "for=192.0.2.1"}}) == "203.0.113.9");
  CHECK(ClientText(none, "unix", {{"X-Forwarded-For", "192.0.2.1"}}) == "unix");
  const limits::Policy proxy = Behind({"10.0.0.0/8"});
  CHECK(ClientText(proxy, "203.0.113.9", {{"X-Forwarded-For", "not an address"}}) == "203.0.113.9");
  CHECK(ClientText(proxy, "10.0.0.1", {{"X-Forwarded-For", "192.0.2.1"}}) == "192.0.2.1");
  CHECK(ClientText(proxy, "10.0.0.1", {}) == "10.0.0.1");
}

TEST_CASE("the rightmost address that is no trusted proxy is the client", "[client]") {
  const limits::Policy policy = Behind({"10.0.0.0/8", "192.168.1.1"});
  // What the client itself claims stands on the left.
  CHECK(ClientText(policy, "10.0.0.1", {{"X-Forwarded-For", "127.0.0.1, 203.0.113.9, 10.1.1.1"}}) ==
        "203.0.113.9");
  CHECK(ClientText(policy, "10.0.0.1", {{"X-Forwarded-For", "10.9.9.9,10.8.8.8"}}) == "10.9.9.9");
  CHECK(ClientText(policy, "10.0.0.1",
                   {{"X-Forwarded-For", "1.1.1.1"}, {"x-forwarded-for", "203.0.113.9 , 192.168.1.1"}}) ==
        "203.0.113.9");
}

TEST_CASE("both fields are read in all their spellings", "[client]") {
  const limits::Policy policy = Behind({"10.0.0.0/8"});
  const auto forwarded = [&](std::string_view value) {
    return ClientText(policy, "10.0.0.1", {{"Forwarded", value}});
  };
  CHECK(forwarded("for=192.0.2.1") == "192.0.2.1");
  CHECK(forwarded("proto=https; For=\"192.0.2.1:4711\";by=10.0.0.2") == "192.0.2.1");
  CHECK(forwarded("for=1.1.1.1, for=\"[2001:db8::7]:4711\"") == "2001:db8::7");
  CHECK(forwarded("for=\"[2001:db8::7]\"") == "2001:db8::7");
  const auto forwarded_for = [&](std::string_view value) {
    return ClientText(policy, "10.0.0.1", {{"X-Forwarded-For", value}});
  };
  CHECK(forwarded_for("192.0.2.1:4711") == "192.0.2.1");
  CHECK(forwarded_for("2001:db8::7") == "2001:db8::7");
  CHECK(forwarded_for("[2001:db8::7]:4711") == "2001:db8::7");
}

TEST_CASE("what a trusted proxy says and nobody can read is refused", "[client]") {
  const limits::Policy policy = Behind({"10.0.0.0/8"});
  for (const char* value : {"", "unknown", "_hidden", "192.0.2.1, ", "192.0.2", "[2001:db8::7", "[::1]x"}) {
    INFO(value);
    CHECK_THROWS_AS(ClientText(policy, "10.0.0.1", {{"X-Forwarded-For", value}}), Error);
  }
  for (const char* value : {"for=unknown", "for=_hidden", "proto=https", "for=\"192.0.2.1", ";"}) {
    INFO(value);
    CHECK_THROWS_AS(ClientText(policy, "10.0.0.1", {{"Forwarded", value}}), Error);
  }
}

TEST_CASE("a quote that a client left open swallows no proxy's word", "[client]") {
  const limits::Policy policy = Behind({"10.0.0.0/8"});
  const auto refused = [&](const char* name, const char* value) {
    CHECK_THROWS_AS(ClientText(policy, "10.0.0.1", {{name, value}}), Error);
  };
  refused("Forwarded", "for=6.6.6.6;x=\", for=192.0.2.1");
  refused("Forwarded", "for=6.6.6.6;x=\", for=\"[2001:db8::7]:80\";proto=http");
  refused("X-Forwarded-For", "6.6.6.6, \", 192.0.2.1");
  CHECK(ClientText(policy, "10.0.0.1", {{"Forwarded", "for=6.6.6.6;x=\",\", for=192.0.2.1"}}) == "192.0.2.1");
}

TEST_CASE("a proxy on a unix socket is trusted when the word unix says so", "[client]") {
  const limits::Policy policy = Behind({"unix"});
  CHECK(ClientText(policy, "unix", {{"X-Forwarded-For", "203.0.113.9"}}) == "203.0.113.9");
  CHECK(ClientText(policy, "unix", {}) == "unix");
}

}  // namespace gathering::http
