#include "daemon/http/client.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"

namespace gathering::http {
namespace {

constexpr std::string_view kForwardedFor = "X-Forwarded-For";
constexpr std::string_view kForwarded = "Forwarded";

[[noreturn]] void Refuse(std::string_view field) {
  throw Error{Code::kRejected, std::string{field} + " cannot be read"};
}

// "192.0.2.7", "192.0.2.7:4711", "2001:db8::7", "[2001:db8::7]" or "[2001:db8::7]:4711".
std::optional<Address> ParseNode(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return std::nullopt;
    return ParseAddress(text.substr(1, end - 1));
  }
  const std::size_t colon = text.find(':');
  const bool has_port =
      colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
  return ParseAddress(has_port ? text.substr(0, colon) : text);
}

// The parts between `separator`s outside of quotes.
std::vector<std::string_view> SplitOutsideQuotes(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '"') quoted = !quoted;
    if (i < text.size() && (quoted || text[i] != separator)) continue;
    parts.push_back(Trimmed(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  return parts;
}

// The value of `for` in one element of Forwarded, without quotes.
std::optional<std::string_view> ForOf(std::string_view element) {
  for (const std::string_view pair : SplitOutsideQuotes(element, ';')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || Lower(Trimmed(pair.substr(0, equals))) != "for") continue;
    std::string_view value = Trimmed(pair.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    return value;
  }
  return std::nullopt;
}

// What the proxies wrote, the nearest last.  Several lines are one list.  A quote that is not closed would
// swallow what the proxies wrote behind it.
std::vector<std::string_view> Values(const Request& request, std::string_view name) {
  std::vector<std::string_view> values;
  for (const Header& header : request.headers) {
    if (!SameName(header.name, name)) continue;
    if (std::ranges::count(header.value, '"') % 2 != 0) Refuse(name);
    for (const std::string_view value : SplitOutsideQuotes(header.value, ',')) values.push_back(value);
  }
  return values;
}

}  // namespace

std::optional<Address> ClientOf(const Request& request, const limits::Policy& policy) {
  const auto peer = ParseAddress(request.peer);
  const bool trusted = peer ? policy.Trusts(*peer) : policy.trusts_unix_peers();
  if (!trusted) return peer;
  const auto forwarded_for = Values(request, kForwardedFor);
  const std::string_view field = forwarded_for.empty() ? kForwarded : kForwardedFor;
  const auto values = forwarded_for.empty() ? Values(request, kForwarded) : forwarded_for;
  std::optional<Address> client = peer;
  for (auto value = values.rbegin(); value != values.rend(); ++value) {
    const auto node = forwarded_for.empty() ? ForOf(*value) : std::optional{*value};
    client = node ? ParseNode(*node) : std::nullopt;
    if (!client) Refuse(field);
    if (!policy.Trusts(*client)) break;
  }
  return client;
}

}  // namespace gathering::http
