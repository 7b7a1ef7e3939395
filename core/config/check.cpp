#include "core/config/check.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/config/control_socket.h"
#include "core/config/keys.h"
#include "core/config/listen.h"
#include "core/limits/policy.h"
#include "core/limits/redis_url.h"

namespace gathering::config {
namespace {

constexpr std::size_t kSecretBytesMin = 32;
constexpr std::size_t kUnixPathBytesMax = 107;  // sun_path without its end
constexpr std::int64_t kPortMax = 65'535;
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./+";

class Check {
 public:
  explicit Check(LoadAttempt& attempt) : attempt_(attempt), loaded_(attempt.loaded) {}

  void Problem(std::string_view key, std::string_view what) {
    attempt_.problems.push_back(fmt::format("{}: {} {}", loaded_.origins[std::string{key}], key, what));
    attempt_.refused.emplace(key);
  }
  void Warn(std::string_view key, std::string_view what) {
    loaded_.warnings.push_back(fmt::format("{}: {} {}", loaded_.origins[std::string{key}], key, what));
  }

 private:
  LoadAttempt& attempt_;
  LoadedConfig& loaded_;
};

bool IsBcrypt(std::string_view text) {
  if (text.size() != 60 || text[0] != '$' || text[1] != '2' || text[3] != '$' || text[6] != '$') return false;
  if (std::string_view{"abxy"}.find(text[2]) == std::string_view::npos) return false;
  const auto cost = ParseInteger(text.substr(4, 2));
  return cost && *cost >= 4 && *cost <= 31 && text.find_first_not_of(kBase64, 7) == std::string_view::npos;
}

void CheckListen(const HttpConfig& http, Check& check) {
  if (http.listen.empty()) check.Problem("http.listen", "is empty; name at least one address");
  std::set<std::string_view> seen;
  for (const std::string& text : http.listen) {
    const auto [secure, address] = ParseListen(text);
    if (const auto problem = ListenProblem(text)) {
      check.Problem("http.listen", fmt::format("'{}': {}", text, *problem));
    } else if (!seen.insert(address).second && !address.ends_with(":0")) {
      check.Problem("http.listen", fmt::format("names {} twice", address));
    } else if (secure && http.tls.certificate.empty()) {
      check.Problem("http.listen", fmt::format("'{}': http.tls.certificate must name a certificate", text));
    }
  }
  if (http.tls.certificate.empty() && !http.tls.key.empty())
    check.Problem("http.tls.key", "is of no use without http.tls.certificate");
}

void CheckControlSocket(const HttpConfig& http, Check& check) {
  if (http.control_socket.empty() || http.control_socket == kNoControlSocket) return;
  const std::string address = "unix:" + http.control_socket;
  if (const auto problem = ListenProblem(address)) {
    check.Problem("http.control_socket",
                  fmt::format("is '{}': {}; or write {}", http.control_socket, *problem, kNoControlSocket));
  } else if (std::ranges::count(http.listen, address) > 0) {
    check.Problem("http.control_socket", "is in http.listen, too; give it a path of its own");
  }
}

void CheckHttp(const HttpConfig& http, Check& check) {
  CheckListen(http, check);
  CheckControlSocket(http, check);
  for (const std::string& origin : http.cors_origins) {
    const std::size_t scheme = origin.find("://");
    const bool whole = scheme != std::string::npos && scheme > 0 && scheme + 3 < origin.size() &&
                       origin.find('/', scheme + 3) == std::string::npos;
    if (!whole) {
      check.Warn("http.cors_origins",
                 fmt::format("'{}' matches no browser; write it as https://host[:port]", origin));
    }
  }
  const HttpLimits& limits = http.limits;
  if (limits.path_bytes_max > limits.request_line_bytes_max) {
    check.Problem("http.limits.path_bytes_max", "is above http.limits.request_line_bytes_max");
  }
  if (limits.request_line_bytes_max > limits.head_bytes_max) {
    check.Problem("http.limits.request_line_bytes_max", "is above http.limits.head_bytes_max");
  }
}

void CheckDatabase(DatabaseConfig& database, std::string_view url_origin, Check& check) {
  db::PoolOptions& pool = database.pool;
  if (pool.connections_min > pool.connections_max) {
    check.Problem("database.pool.connections_min", "is above database.pool.connections_max");
  }
  if (pool.url.empty()) return;
  if (const std::size_t scheme = pool.url.find("://"); scheme != std::string::npos) {
    // "postgresql+asyncpg://" names a Python driver, which says nothing to libpq.
    const std::size_t driver = std::min(pool.url.find('+'), scheme);
    const std::string name = pool.url.substr(0, driver);
    if (name != "postgresql" && name != "postgres") {
      check.Problem("database.url", "must begin with postgresql://; no other database is supported");
      return;
    }
    pool.url = name + pool.url.substr(scheme);
  } else if (pool.url.find('=') == std::string::npos) {
    check.Problem("database.url", "must be postgresql://… or libpq keywords like \"host=… dbname=…\"");
  }
  if (url_origin.starts_with("flag") && WithoutPassword(pool.url) != pool.url) {
    check.Warn(
        "database.url",
        "holds a password that everybody on this machine can see; use DATABASE_URL or database.url_file");
  }
}

void CheckAuth(const AuthConfig& auth, const Environment& environment, Check& check) {
  if (!auth.secret_key.empty() && auth.secret_key.size() < kSecretBytesMin) {
    check.Problem(
        "auth.secret_key",
        fmt::format("is shorter than {} bytes; make one with: openssl rand -hex 32", kSecretBytesMin));
  }
  if (!auth.admin_email.empty() && auth.admin_password_hash.empty()) {
    check.Problem("auth.admin_email", "is set without auth.admin_password_hash; set both or neither");
  }
  if (!auth.admin_email.empty() && auth.admin_email.find('@') == std::string::npos) {
    check.Problem("auth.admin_email", "has no @-sign; give an e-mail address");
  }
  if (auth.admin_email.empty() && !auth.admin_password_hash.empty()) {
    check.Problem("auth.admin_password_hash", "is set without auth.admin_email; set both or neither");
  }
  if (!auth.admin_password_hash.empty() && !LooksLikeHash(auth.admin_password_hash)) {
    check.Problem("auth.admin_password_hash",
                  "is not a bcrypt or argon2id hash; did a shell eat its $ signs?");
  }
  if (!auth.disabled) return;
  const auto stage = environment.find("GATHERING_ENV");
  if (stage != environment.end() && Lower(stage->second) == "production") {
    check.Problem("auth.disabled", "is refused with GATHERING_ENV=production");
  } else {
    check.Warn("auth.disabled", "is on: everybody who reaches this daemon is its administrator");
  }
}

void CheckRateLimits(const RateLimitsConfig& limits, Check& check) {
  const limits::Policy policy{limits};
  for (const auto& problem : policy.problems()) check.Problem(problem.key, problem.what);
  if (limits.redis_url.empty()) return;
  try {
    static_cast<void>(limits::ParseRedisUrl(limits.redis_url));
  } catch (const Error& error) {
    check.Problem("rate_limits.redis_url", fmt::format("cannot be used: {}", error.message));
  }
}

}  // namespace

std::optional<std::string> ListenProblem(std::string_view text) {
  constexpr std::string_view kForms =
      "write HOST:PORT, [IPV6]:PORT or unix:/PATH, or tls: before one of the first two";
  const auto [secure, address] = ParseListen(text);
  if (address.starts_with(kUnixPrefix)) {
    if (secure) return "a socket file has no TLS";
    const std::string_view path = address.substr(kUnixPrefix.size());
    if (!path.starts_with('/')) return "the socket's path must begin with '/'";
    if (path.size() > kUnixPathBytesMax)
      return fmt::format("the socket's path is over {} bytes", kUnixPathBytesMax);
    return std::nullopt;
  }
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return fmt::format("the port is missing; {}", kForms);
  const std::string_view host = address.substr(0, colon);
  const std::string_view digits = address.substr(colon + 1);
  const auto port = ParseInteger(digits);
  const bool only_digits = digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (!port || !only_digits || *port > kPortMax) return fmt::format("the port must be 0 to {}", kPortMax);
  if (host.empty()) return "the host is missing; write 0.0.0.0 for every IPv4 address or [::] for every one";
  if (host.starts_with('[') != host.ends_with(']')) return std::string{kForms};
  if (!host.starts_with('[') && host.find(':') != std::string_view::npos) {
    return "an IPv6 address goes into brackets: [::1]:8000";
  }
  if (host.find_first_of(" /@") != std::string_view::npos) return std::string{kForms};
  return std::nullopt;
}

bool LooksLikeHash(std::string_view text) {
  if (!text.starts_with("$argon2id$v=")) return IsBcrypt(text);
  return std::count(text.begin(), text.end(), '$') == 5;
}

void CheckConfig(LoadAttempt& attempt, const Environment& environment) {
  LoadedConfig& loaded = attempt.loaded;
  Check check{attempt};
  CheckHttp(loaded.config.http, check);
  CheckDatabase(loaded.config.database, loaded.origins["database.url"], check);
  CheckAuth(loaded.config.auth, environment, check);
  CheckRateLimits(loaded.config.rate_limits, check);
}

}  // namespace gathering::config
