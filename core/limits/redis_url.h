#pragma once
// Where a Redis is, and as whom to speak to it.
//
//   redis://[[user]:password@]host[:6379][/database]
//   rediss://…                        the same through TLS
//   unix://[[user]:password@]/path[?db=database]
//
// Options follow a question mark, as in redis-py: db, and for rediss ssl_ca_certs (a file; else the
// system's), ssl_certfile and ssl_keyfile.  Escapes (%40) are read everywhere.  IPv6 addresses stand in
// brackets.
#include <cstdint>
#include <string>
#include <string_view>

namespace gathering::limits {

struct RedisUrl {
  std::string host;  // without brackets; empty for a unix socket
  std::uint16_t port = 6379;
  std::string socket;  // a path; empty for TCP
  bool tls = false;
  std::string user;  // empty: the default one
  std::string password;
  std::uint32_t database = 0;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

// Throws Error kInvalid; its message is one line, says what would do and holds no password.
[[nodiscard]] RedisUrl ParseRedisUrl(std::string_view text);

// For logs: without user, password and options.
[[nodiscard]] std::string ToText(const RedisUrl& url);

}  // namespace gathering::limits
