// X-Forwarded-For and Forwarded: what a client wrote before its proxies did decides nothing.
#include <optional>

#include "core/base/error.h"
#include "daemon/http/client.h"
#include "tests/fuzz/promise.h"

namespace {

using gathering::Address;
using gathering::fuzz::Require;
using gathering::http::Request;

constexpr std::string_view kClient = "192.0.2.7";

gathering::limits::Policy Trusting() {
  gathering::RateLimitsConfig config;
  config.trusted_proxies = {"10.0.0.0/8", "2001:db8::/32"};
  return gathering::limits::Policy{config};
}

// None: the fields cannot be read.
std::optional<Address> Told(const Request& request, const gathering::limits::Policy& policy) {
  try {
    return gathering::http::ClientOf(request, policy);
  } catch (const gathering::Error& error) {
    Require(error.code == gathering::Code::kRejected, "a field that cannot be read is the sender's fault");
    return std::nullopt;
  }
}

// What the nearest proxies append to a field the client sent.
struct Appended {
  std::string_view name;
  std::string_view text;
};
constexpr Appended kAppended[] = {
    {"X-Forwarded-For", "192.0.2.7"},
    {"X-Forwarded-For", "192.0.2.7, 10.1.2.3"},
    {"Forwarded", "for=192.0.2.7"},
    {"Forwarded", "for=\"192.0.2.7:4711\";proto=https, for=\"[2001:db8::7]:80\";by=\"a,b;c\""},
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const gathering::limits::Policy policy = Trusting();
  const auto real = gathering::ParseAddress(kClient);
  gathering::fuzz::Input input{data, size};
  Request request = gathering::fuzz::RequestOf(input);
  request.peer = "10.0.0.1";
  const auto client = Told(request, policy);
  if (client)
    Require(request.headers.empty() || gathering::ToText(*client).size() > 1, "a client is somebody");
  request.peer = kClient;
  Require(Told(request, policy) == real, "fields of others than proxies say nothing");

  std::string_view text = gathering::fuzz::Input{data, size}.Rest();
  text = text.substr(0, text.find_first_of(std::string_view{"\r\n\0", 3}));
  for (const Appended& appended : kAppended) {
    const std::string value =
        text.empty() ? std::string{appended.text} : std::string{text} + ", " + std::string{appended.text};
    Request forwarded{
        .path = "/", .query = {}, .headers = {{appended.name, value}}, .body = {}, .peer = "10.0.0.1"};
    const auto told = Told(forwarded, policy);
    Require(!told || told == real, "nobody writes his own address before the proxies");
  }
  return 0;
}
