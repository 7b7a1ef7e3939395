#pragma once
// Everything an operator can decide, as plain values with their defaults.
//
// The keys, their names in the file and the environment, their bounds and their
// sentences are in core/config/keys.cpp, one object a key; core/config/load.h
// fills this struct from them.
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/cache/shelf.h"
#include "core/db/pipeline.h"
#include "core/db/pool.h"
#include "core/tls/files.h"

namespace gathering::limits {
enum class Algorithm : std::uint8_t;
}

namespace gathering {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogFormat : std::uint8_t { kAuto, kConsole, kJson };  // kAuto: console on a terminal, else JSON

// Every bound of the HTTP front, with the status that answers a request beyond it.
struct HttpLimits {
  std::uint32_t request_line_bytes_max = 8'192;       // 414
  std::uint32_t head_bytes_max = 16'384;              // 431
  std::uint32_t headers_max = 100;                    // 431
  std::uint32_t path_bytes_max = 1'024;               // 414
  std::uint32_t query_pairs_max = 128;                // 400
  std::uint32_t body_bytes_max = 1'048'576;           // 413
  std::uint32_t json_depth_max = 64;                  // 400
  std::uint32_t json_nodes_max = 50'000;              // 413
  std::uint32_t connections_max = 4'096;              // 503 and close
  std::uint32_t connections_per_address_max = 256;    // 503 and close; not for unix sockets
  std::uint32_t requests_per_connection_max = 1'000;  // then Connection: close
  std::uint32_t requests_in_progress_max = 2'048;     // 503 with Retry-After, before the body is read
  std::uint32_t fiber_stack_bytes = 262'144;
  std::chrono::milliseconds head_timeout{10'000};     // first byte to end of head: 408
  std::chrono::milliseconds body_grace{5'000};        // after that a body must come faster than
  std::uint32_t body_bytes_per_second_min = 1'024;    // this: 408
  std::chrono::milliseconds request_timeout{30'000};  // the deadline handlers see: 503
  std::chrono::milliseconds idle_timeout{60'000};     // keep-alive between requests: closed
  std::chrono::milliseconds write_timeout{10'000};    // no progress for so long: closed
};

struct HttpConfig {
  std::vector<std::string> listen = {"127.0.0.1:8000"};  // see core/config/listen.h; port 0: any
  std::string control_socket;                            // see core/config/control_socket.h
  std::uint32_t loops = 0;                               // 0: one per core
  std::vector<std::string> cors_origins = {"http://localhost:3000", "http://localhost:5000"};
  std::chrono::milliseconds drain_delay{
      0};  // at SIGTERM: not ready, but still served, so that balancers notice
  std::chrono::milliseconds drain_timeout{30'000};  // after that, for requests in progress
  // How long an Idempotency-Key is remembered; far longer than a request may take, or who waits for the first
  // one could find the key expired and do it again.
  std::chrono::seconds idempotency_ttl{86'400};
  tls::Files tls;  // certificate empty: nothing is served under TLS
  HttpLimits limits;
};

struct PipelineConfig {
  std::uint32_t connections = 1;  // of each loop for reads, and as many for writes; 0: only the pool
  db::PipelineOptions lane;       // traffic, statement_timeout and lifetime_max are set for each
};

struct DatabaseConfig {
  db::PoolOptions pool;  // pool.url empty: the embedded database
  PipelineConfig pipeline;
  std::string binaries_dir;  // of PostgreSQL; empty: looked for
  std::string
      embedded_user;  // who runs the embedded server when we are root; empty: gathering, else postgres
};

struct AuthConfig {
  std::string secret_key;  // signs tokens; empty on the embedded database: generated and kept
  std::chrono::seconds token_lifetime{86'400};
  std::string admin_email;          // with admin_password_hash: the built-in administrator
  std::string admin_password_hash;  // bcrypt or argon2id
  bool disabled = false;            // development only: everybody is the administrator
  std::uint32_t hash_threads = 1;
  std::uint32_t hash_queue_max = 64;
};

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
  std::uint32_t queue_max = 8'192;  // lines waiting to be written; beyond: the oldest is dropped and counted
  std::chrono::milliseconds slow_request{1'000};  // those that take longer are told of; 0: none
};

// Limits in the notation of core/limits/rate.h; empty: none.
struct RateLimitsConfig {
  bool enabled = true;
  limits::Algorithm algorithm{};  // GCRA
  std::string redis_url;          // limits hold for all daemons on it together; empty: each for itself
  std::string auth = "5/minute";
  std::string write = "30/minute";
  std::string read = "120/minute";
  std::string health = "300/minute";
  std::string default_limit;                  // of routes that are in none of these tiers
  std::vector<std::string> bursts;            // "read=20": of a tier or route, at once; else the rate's count
  std::vector<std::string> routes;            // "agents.list=10/second": instead of their tier's
  std::vector<std::string> costs;             // "dashboard.stats=5": what a request counts for
  std::vector<std::string> exempt_routes;     // never limited
  std::vector<std::string> exempt_addresses;  // networks of clients who are never limited
  std::vector<std::string> shadow;            // tiers and routes that are counted, not refused
  std::vector<std::string> trusted_proxies;   // networks, or "unix", whose X-Forwarded-For is believed
  std::uint32_t keys_max = 100'000;           // clients remembered, each with every tier it uses
  std::uint32_t retry_jitter_percent = 0;     // Retry-After is longer by up to this
  std::chrono::milliseconds redis_timeout{20};  // of one decision; then it is made locally
  std::uint32_t login_failures_max = 5;         // of an account, whatever the address; then it backs off
};

// The bounds of one store in memory; what leaves first is the policy's.
struct CacheConfig {
  cache::Policy policy = cache::Policy::kLru;
  std::uint32_t entries = 10'000;
  std::uint32_t bytes = 16 * 1'024 * 1'024;  // keys, values and what keeping them costs
  std::chrono::milliseconds ttl{1'000};

  [[nodiscard]] cache::Bounds bounds() const { return {.entries_max = entries, .bytes_max = bytes}; }
};

// The last events of this process, the oldest leaving first.
struct EventHistoryConfig {
  std::uint32_t entries = 1'000;
  std::uint32_t bytes = 4 * 1'024 * 1'024;
  std::chrono::milliseconds ttl{3'600'000};
};

// Answers of the API; an answer is dropped when what it tells of changes.
inline constexpr std::chrono::milliseconds kAnswerTtl{300'000};

struct CachesConfig {
  std::uint32_t bytes = 0;  // all of them together; 0: as much as they may have each
  CacheConfig tokens;       // what PostgreSQL said of a token: its owner, or that it does not hold
  EventHistoryConfig event_history;
  CacheConfig agents{.bytes = 32 * 1'024 * 1'024, .ttl = kAnswerTtl};
  CacheConfig sessions{.ttl = kAnswerTtl};                                                // of agents
  CacheConfig circles{.entries = 2'000, .bytes = 32 * 1'024 * 1'024, .ttl = kAnswerTtl};  // with members
  CacheConfig personas{.entries = 1'000, .ttl = kAnswerTtl};
  CacheConfig providers{.entries = 1'000, .ttl = kAnswerTtl};
  CacheConfig models{.entries = 1'000, .ttl = kAnswerTtl};
};

struct EventsConfig {
  std::chrono::seconds retention{7 * 86'400};  // of the log
  std::chrono::milliseconds poll_max{100};     // the log is looked at this often even if nobody announces
};

struct StreamsConfig {
  std::chrono::milliseconds heartbeat{15'000};
  std::uint32_t buffer_bytes_max = 262'144;  // unsent of one stream; then it is closed
  std::uint32_t catch_up_max = 1'000;        // events a client who comes back gets at once
};

struct Config {
  std::string
      data_dir;  // empty: $STATE_DIRECTORY, /var/lib/gathering for root, else $XDG_STATE_HOME/gathering
  HttpConfig http;
  DatabaseConfig database;
  AuthConfig auth;
  RateLimitsConfig rate_limits;
  CachesConfig caches;
  EventsConfig events;
  StreamsConfig streams;
  LogConfig log;
};

}  // namespace gathering
