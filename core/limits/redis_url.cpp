#include "core/limits/redis_url.h"

#include <charconv>

#include <fmt/format.h>

#include "core/base/error.h"

namespace gathering::limits {
namespace {

constexpr std::size_t kSocketPathBytesMax = 107;  // of sockaddr_un
constexpr std::uint32_t kDatabaseMax = 1'000'000;
constexpr std::string_view kNameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

[[noreturn]] void Refuse(std::string_view why) {
  throw Error{Code::kInvalid, fmt::format("the Redis URL {}", why)};
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string Unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) Refuse("has a % without two hexadecimal digits; write % itself as %25");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') Refuse("holds a zero byte");
    plain += c;
  }
  return plain;
}

template <class Number>
Number ParseNumber(std::string_view text, std::string_view what, Number max) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max)
    Refuse(fmt::format("has a {} that is no number from 0 to {}", what, max));
  return value;
}

// Cuts what follows the first `mark` off `text`.
std::string_view CutBehind(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return {};
  const std::string_view behind = text.substr(at + 1);
  text = text.substr(0, at);
  return behind;
}

void ReadOption(RedisUrl& url, std::string_view option) {
  const std::string value = Unescaped(CutBehind(option, '='));
  if (option == "db") {
    url.database = ParseNumber(value, "database", kDatabaseMax);
  } else if (url.tls && option == "ssl_ca_certs") {
    url.ca_file = value;
  } else if (url.tls && option == "ssl_certfile") {
    url.certificate_file = value;
  } else if (url.tls && option == "ssl_keyfile") {
    url.key_file = value;
  } else {
    // Only what may be a name is repeated: the refusal is one line.
    const bool is_name = option.find_first_not_of(kNameBytes) == std::string_view::npos;
    Refuse(fmt::format("has the unknown option '{}'; use db{}", is_name ? option : "…",
                       url.tls ? ", ssl_ca_certs, ssl_certfile or ssl_keyfile" : ""));
  }
}

void ReadUser(RedisUrl& url, std::string_view& rest) {
  const std::size_t end = rest.substr(0, rest.find('/')).rfind('@');
  if (end == std::string_view::npos) return;
  std::string_view user = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (user.find(':') == std::string_view::npos)
    Refuse("has a user without a password; write user:password@, or :password@ for the default user");
  url.password = Unescaped(CutBehind(user, ':'));
  url.user = Unescaped(user);
}

void ReadHost(RedisUrl& url, std::string_view rest) {
  const std::string_view database = CutBehind(rest, '/');
  if (!database.empty()) url.database = ParseNumber(database, "database", kDatabaseMax);
  if (rest.starts_with('[')) {
    rest.remove_prefix(1);
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) Refuse("has an IPv6 address without a closing bracket");
    url.host = Unescaped(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) Refuse("has something between ']' and the port");
    if (!rest.empty()) rest.remove_prefix(1);
    if (!rest.empty()) url.port = ParseNumber<std::uint16_t>(rest, "port", 65'535);
  } else {
    const std::string_view port = CutBehind(rest, ':');
    if (!port.empty()) url.port = ParseNumber<std::uint16_t>(port, "port", 65'535);
    url.host = Unescaped(rest);
  }
  if (url.host.empty()) Refuse("names no host; write it like redis://localhost:6379/0");
  if (url.port == 0) Refuse("has the port 0");
}

}  // namespace

RedisUrl ParseRedisUrl(std::string_view text) {
  RedisUrl url;
  const std::size_t scheme_end = text.find("://");
  const std::string_view scheme = text.substr(0, scheme_end == std::string_view::npos ? 0 : scheme_end);
  if (scheme != "redis" && scheme != "rediss" && scheme != "unix")
    Refuse("begins with neither redis://, rediss:// nor unix://");
  url.tls = scheme == "rediss";
  std::string_view rest = text.substr(scheme_end + 3);
  std::string_view options = CutBehind(rest, '?');
  // Else what follows would be repeated as an option, and is a password.
  if (options.find('@') != std::string_view::npos)
    Refuse("has a '?' before an '@'; write '?' as %3F, or '@' in an option as %40");
  ReadUser(url, rest);
  if (scheme == "unix") {
    url.socket = Unescaped(rest);
    if (!url.socket.starts_with('/')) Refuse("names no socket; write it like unix:///run/redis/redis.sock");
    if (url.socket.size() > kSocketPathBytesMax)
      Refuse(fmt::format("names a socket by over {} bytes", kSocketPathBytesMax));
  } else {
    ReadHost(url, rest);
  }
  while (!options.empty()) {
    const std::string_view more = CutBehind(options, '&');
    ReadOption(url, options);
    options = more;
  }
  return url;
}

std::string ToText(const RedisUrl& url) {
  if (!url.socket.empty()) return fmt::format("unix://{}?db={}", url.socket, url.database);
  const bool bracket = url.host.find(':') != std::string::npos;
  return fmt::format("redis{}://{}{}{}:{}/{}", url.tls ? "s" : "", bracket ? "[" : "", url.host,
                     bracket ? "]" : "", url.port, url.database);
}

}  // namespace gathering::limits
