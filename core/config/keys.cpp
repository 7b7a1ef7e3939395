#include "core/config/keys.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/limits/gcra.h"

namespace gathering::config {
namespace {

using namespace std::chrono_literals;

// --- ways to the members ---------------------------------------------------------------------------

template <auto member>
constexpr auto& Http(Config& c) {
  return c.http.*member;
}
template <auto member>
constexpr auto& Tls(Config& c) {
  return c.http.tls.*member;
}
template <auto member>
constexpr auto& Limit(Config& c) {
  return c.http.limits.*member;
}
template <auto member>
constexpr auto& Database(Config& c) {
  return c.database.*member;
}
template <auto member>
constexpr auto& Pool(Config& c) {
  return c.database.pool.*member;
}
template <auto member>
constexpr auto& Pipeline(Config& c) {
  return c.database.pipeline.*member;
}
template <auto member>
constexpr auto& PipelineLane(Config& c) {
  return c.database.pipeline.lane.*member;
}
template <auto member>
constexpr auto& Auth(Config& c) {
  return c.auth.*member;
}
template <auto member>
constexpr auto& Limits(Config& c) {
  return c.rate_limits.*member;
}
template <auto member>
constexpr auto& Caches(Config& c) {
  return c.caches.*member;
}
template <auto cache, auto member>
constexpr auto& Cache(Config& c) {
  return c.caches.*cache.*member;
}
template <auto member>
constexpr auto& EventHistory(Config& c) {
  return c.caches.event_history.*member;
}
template <auto member>
constexpr auto& Events(Config& c) {
  return c.events.*member;
}
template <auto member>
constexpr auto& Streams(Config& c) {
  return c.streams.*member;
}
template <auto member>
constexpr auto& Log(Config& c) {
  return c.log.*member;
}
constexpr std::string& DataDir(Config& c) {
  return c.data_dir;
}

std::size_t GetAlgorithm(Config& c) {
  return static_cast<std::size_t>(c.rate_limits.algorithm);
}
void SetAlgorithm(Config& c, std::size_t index) {
  c.rate_limits.algorithm = static_cast<limits::Algorithm>(index);
}
template <auto cache>
std::size_t GetPolicy(Config& c) {
  return static_cast<std::size_t>((c.caches.*cache).policy);
}
template <auto cache>
void SetPolicy(Config& c, std::size_t index) {
  (c.caches.*cache).policy = static_cast<cache::Policy>(index);
}
template <auto member>
std::size_t GetLogChoice(Config& c) {
  return static_cast<std::size_t>(c.log.*member);
}
template <auto member>
void SetLogChoice(Config& c, std::size_t index) {
  using Enum = std::remove_reference_t<decltype(c.log.*member)>;
  c.log.*member = static_cast<Enum>(index);
}

constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 3> kFormats = {"auto", "console", "json"};
constexpr std::array<std::string_view, 2> kAlgorithms = {"gcra", "fixed-window"};

static_assert(kLevels.size() == static_cast<std::size_t>(LogLevel::kError) + 1);
static_assert(kAlgorithms.size() == static_cast<std::size_t>(limits::Algorithm::kFixedWindow) + 1);
static_assert(kFormats.size() == static_cast<std::size_t>(LogFormat::kJson) + 1);

constexpr std::uint32_t kKiB = 1'024;
constexpr std::uint32_t kMiB = 1'024 * kKiB;

using HC = HttpConfig;
using HL = HttpLimits;
using PO = db::PoolOptions;
using PL = db::PipelineOptions;
using RL = RateLimitsConfig;
using CC = CachesConfig;

// --- the table -------------------------------------------------------------------------------------

constexpr Key kKeys[] = {
    {.name = "data_dir",
     .sentence = "Where the private database and generated secrets live; empty: $STATE_DIRECTORY, "
                 "/var/lib/gathering for root, else $XDG_STATE_HOME/gathering or ~/.local/state/gathering.",
     .member = Text{&DataDir},
     .flag = "--data-dir",
     .word = "DIR"},

    {.name = "http.listen",
     .sentence = "Where to listen: HOST:PORT, [IPV6]:PORT or unix:/PATH; tls: before one of the first two is "
                 "for clients who speak TLS; port 0 takes any free one.",
     .member = List{&Http<&HC::listen>},
     .flag = "--listen",
     .word = "ADDRESS"},
    {.name = "http.control_socket",
     .sentence =
         "Unix socket on which whoever may open it (mode 0600) is administrator without a token; empty: "
         "control.sock in data_dir; none: there is no such socket.",
     .member = Text{&Http<&HC::control_socket>}},
    {.name = "http.loops",
     .sentence = "Event loops that serve connections; 0: one for each core.",
     .member = Number{&Http<&HC::loops>, 0, 256}},
    {.name = "http.cors_origins",
     .sentence = "Web pages of these origins may call the API; each is matched exactly.",
     .member = List{&Http<&HC::cors_origins>},
     .legacy = "CORS_ORIGINS",
     .holds = Holds::kAfterReload},
    {.name = "http.drain_delay",
     .sentence = "How long requests are still served at SIGTERM after readiness has turned 503.",
     .member = Milliseconds{&Http<&HC::drain_delay>, 0ms, 1h},
     .holds = Holds::kAfterReload},
    {.name = "http.drain_timeout",
     .sentence = "How long SIGTERM waits for requests in progress.",
     .member = Milliseconds{&Http<&HC::drain_timeout>, 0ms, 1h},
     .holds = Holds::kAfterReload},
    {.name = "http.idempotency_ttl",
     .sentence = "How long an Idempotency-Key and its answer are remembered.",
     .member = Seconds{&Http<&HC::idempotency_ttl>, 10min, 720h},
     .holds = Holds::kAfterReload},

    {.name = "http.tls.certificate",
     .sentence = "File of the certificate shown at tls: addresses, PEM, its chain behind it; read again, "
                 "like the key, at every reload.",
     .member = Text{&Tls<&tls::Files::certificate>},
     .holds = Holds::kAfterReload},
    {.name = "http.tls.key",
     .sentence = "File of the certificate's private key, PEM without a passphrase; empty: that of the "
                 "certificate.",
     .member = Text{&Tls<&tls::Files::key>},
     .holds = Holds::kAfterReload},

    {.name = "http.limits.request_line_bytes_max",
     .sentence = "Longest request line; beyond it 414.",
     .member = Size{&Limit<&HL::request_line_bytes_max>, 64, 64 * kKiB}},
    {.name = "http.limits.head_bytes_max",
     .sentence = "Largest head, request line and headers together; beyond it 431.",
     .member = Size{&Limit<&HL::head_bytes_max>, 256, kMiB}},
    {.name = "http.limits.headers_max",
     .sentence = "Most header fields of a request; beyond it 431.",
     .member = Number{&Limit<&HL::headers_max>, 8, 1'000}},
    {.name = "http.limits.path_bytes_max",
     .sentence = "Longest path; beyond it 414.",
     .member = Size{&Limit<&HL::path_bytes_max>, 32, 64 * kKiB}},
    {.name = "http.limits.query_pairs_max",
     .sentence = "Most parameters of a query; beyond it 400.",
     .member = Number{&Limit<&HL::query_pairs_max>, 1, 10'000}},
    {.name = "http.limits.body_bytes_max",
     .sentence = "Largest body; beyond it 413.",
     .member = Size{&Limit<&HL::body_bytes_max>, 0, 1'024 * kMiB}},
    {.name = "http.limits.json_depth_max",
     .sentence = "Deepest nesting of a JSON body; beyond it 400.",
     .member = Number{&Limit<&HL::json_depth_max>, 1, 1'000}},
    {.name = "http.limits.json_nodes_max",
     .sentence = "Most values in a JSON body; beyond it 413.",
     .member = Number{&Limit<&HL::json_nodes_max>, 1, 10'000'000}},
    {.name = "http.limits.connections_max",
     .sentence = "Most open connections; beyond it 503.",
     .member = Number{&Limit<&HL::connections_max>, 1, 1'000'000}},
    {.name = "http.limits.connections_per_address_max",
     .sentence = "Most open connections from one address, unix sockets excepted; beyond it 503.",
     .member = Number{&Limit<&HL::connections_per_address_max>, 1, 1'000'000}},
    {.name = "http.limits.requests_per_connection_max",
     .sentence = "Requests after which a connection is closed.",
     .member = Number{&Limit<&HL::requests_per_connection_max>, 1, 1'000'000'000}},
    {.name = "http.limits.requests_in_progress_max",
     .sentence = "Most requests at work at once; beyond it 503 with Retry-After.",
     .member = Number{&Limit<&HL::requests_in_progress_max>, 1, 1'000'000}},
    {.name = "http.limits.fiber_stack_bytes",
     .sentence = "Stack of each request in progress.",
     .member = Size{&Limit<&HL::fiber_stack_bytes>, 64 * kKiB, 16 * kMiB}},
    {.name = "http.limits.head_timeout",
     .sentence = "From the first byte of a request to the end of its head; beyond it 408.",
     .member = Milliseconds{&Limit<&HL::head_timeout>, 10ms, 1h}},
    {.name = "http.limits.body_grace",
     .sentence = "How long a body may be slow before body_bytes_per_second_min counts.",
     .member = Milliseconds{&Limit<&HL::body_grace>, 10ms, 1h}},
    {.name = "http.limits.body_bytes_per_second_min",
     .sentence = "Slowest pace of a body; below it 408.",
     .member = Size{&Limit<&HL::body_bytes_per_second_min>, 1, 1'024 * kMiB}},
    {.name = "http.limits.request_timeout",
     .sentence = "How long a request may take from its last byte to its answer; beyond it 503.",
     .member = Milliseconds{&Limit<&HL::request_timeout>, 10ms, 1h}},
    {.name = "http.limits.idle_timeout",
     .sentence = "How long a connection may wait between requests; beyond it closed.",
     .member = Milliseconds{&Limit<&HL::idle_timeout>, 10ms, 24h}},
    {.name = "http.limits.write_timeout",
     .sentence = "How long a client may take nothing of its answer; beyond it closed.",
     .member = Milliseconds{&Limit<&HL::write_timeout>, 10ms, 1h}},

    {.name = "database.url",
     .sentence = "PostgreSQL to use, as URL or libpq keywords; empty: a private one in the data directory.",
     .member = Text{&Pool<&PO::url>},
     .legacy = "DATABASE_URL",
     .flag = "--database-url",
     .word = "URL",
     .secrecy = Secrecy::kPassword},
    {.name = "database.binaries_dir",
     .sentence = "Directory of initdb and postgres for the private database; empty: looked for.",
     .member = Text{&Database<&DatabaseConfig::binaries_dir>}},
    {.name = "database.embedded_user",
     .sentence = "Who runs the private database when gathering is root; empty: gathering, else postgres.",
     .member = Text{&Database<&DatabaseConfig::embedded_user>}},
    {.name = "database.pool.connections_min",
     .sentence = "Connections kept open even when idle.",
     .member = Number{&Pool<&PO::connections_min>, 0, 1'000}},
    {.name = "database.pool.connections_max",
     .sentence = "Most connections of this process.",
     .member = Number{&Pool<&PO::connections_max>, 1, 1'000}},
    {.name = "database.pool.waiters_max",
     .sentence = "Most requests that wait for a connection; beyond it 503 with Retry-After.",
     .member = Number{&Pool<&PO::waiters_max>, 0, 1'000'000}},
    {.name = "database.pool.acquire_timeout",
     .sentence = "How long to wait for a connection; beyond it 503 with Retry-After.",
     .member = Milliseconds{&Pool<&PO::acquire_timeout>, 1ms, 1h}},
    {.name = "database.pool.connect_timeout",
     .sentence = "How long to wait for a new connection to the server.",
     .member = Milliseconds{&Pool<&PO::connect_timeout>, 1ms, 1h}},
    {.name = "database.pool.lifetime_max",
     .sentence = "Age at which a connection is replaced, varied by up to a tenth.",
     .member = Seconds{&Pool<&PO::lifetime_max>, 1s, 720h}},
    {.name = "database.pool.idle_max",
     .sentence = "Idleness after which a connection above connections_min is closed.",
     .member = Seconds{&Pool<&PO::idle_max>, 1s, 720h}},
    {.name = "database.pool.statement_timeout",
     .sentence = "Longest single statement; the server cancels it then.",
     .member = Milliseconds{&Pool<&PO::statement_timeout>, 1ms, 24h}},
    {.name = "database.pool.lock_timeout",
     .sentence = "Longest wait of a statement for a lock.",
     .member = Milliseconds{&Pool<&PO::lock_timeout>, 1ms, 24h}},
    {.name = "database.pool.idle_in_transaction_timeout",
     .sentence = "How long a transaction may do nothing before the server ends it.",
     .member = Milliseconds{&Pool<&PO::idle_in_transaction_timeout>, 1ms, 24h}},
    {.name = "database.pool.tcp_user_timeout",
     .sentence = "How long sent data may stay unacknowledged before a connection counts as lost.",
     .member = Milliseconds{&Pool<&PO::tcp_user_timeout>, 1ms, 1h}},
    {.name = "database.pool.application_name",
     .sentence = "How our connections are called in pg_stat_activity.",
     .member = Text{&Pool<&PO::application_name>}},
    {.name = "database.pipeline.connections",
     .sentence = "Connections of each event loop for single reads, and as many for single writes; 0: the "
                 "pool runs everything.",
     .member = Number{&Pipeline<&PipelineConfig::connections>, 0, 16}},
    {.name = "database.pipeline.queue_max",
     .sentence =
         "Most statements that wait to be sent on one such connection; beyond it 503 with Retry-After.",
     .member = Number{&PipelineLane<&PL::queue_max>, 1, 1'000'000}},
    {.name = "database.pipeline.queue_timeout",
     .sentence = "How long a statement may wait to be sent; beyond it 503 with Retry-After.",
     .member = Milliseconds{&PipelineLane<&PL::queue_timeout>, 1ms, 1h}},
    {.name = "database.pipeline.in_flight_max",
     .sentence = "Most statements sent on one such connection and not answered yet.",
     .member = Number{&PipelineLane<&PL::in_flight_max>, 1, 10'000}},
    {.name = "database.pipeline.patience",
     .sentence =
         "How long a statement may hold up others before it is cancelled and run in the pool instead.",
     .member = Milliseconds{&PipelineLane<&PL::patience>, 1ms, 1h}},

    {.name = "auth.secret_key",
     .sentence =
         "Signs tokens, at least 32 bytes; empty with the private database: generated and kept there.",
     .member = Text{&Auth<&AuthConfig::secret_key>},
     .legacy = "SECRET_KEY",
     .secrecy = Secrecy::kSecret},
    {.name = "auth.token_lifetime",
     .sentence = "How long a token is valid.",
     .member = Seconds{&Auth<&AuthConfig::token_lifetime>, 1s, 8'760h}},
    {.name = "auth.admin_email",
     .sentence = "The administrator who exists by configuration; needs auth.admin_password_hash.",
     .member = Text{&Auth<&AuthConfig::admin_email>},
     .legacy = "ADMIN_EMAIL"},
    {.name = "auth.admin_password_hash",
     .sentence = "That administrator's password as bcrypt or argon2id hash.",
     .member = Text{&Auth<&AuthConfig::admin_password_hash>},
     .legacy = "ADMIN_PASSWORD_HASH",
     .secrecy = Secrecy::kSecret},
    {.name = "auth.disabled",
     .sentence = "Development only: everybody is the administrator; refused with GATHERING_ENV=production.",
     .member = Boolean{&Auth<&AuthConfig::disabled>},
     .legacy = "DISABLE_AUTH"},
    {.name = "auth.hash_threads",
     .sentence = "Threads that hash passwords.",
     .member = Number{&Auth<&AuthConfig::hash_threads>, 1, 64}},
    {.name = "auth.hash_queue_max",
     .sentence = "Most logins that wait for such a thread; beyond it 503 with Retry-After.",
     .member = Number{&Auth<&AuthConfig::hash_queue_max>, 1, 100'000}},

    {.name = "rate_limits.enabled",
     .sentence = "Whether requests are limited at all.",
     .member = Boolean{&Limits<&RL::enabled>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.redis_url",
     .sentence =
         "A Redis on which limits hold for all daemons together: redis://, rediss:// or unix://, with "
         "user, password and database number; empty: each daemon limits by itself.",
     .member = Text{&Limits<&RL::redis_url>},
     .legacy = "REDIS_URL",
     .secrecy = Secrecy::kPassword},
    {.name = "rate_limits.redis_timeout",
     .sentence = "How long a request waits for Redis before it is decided here.",
     .member = Milliseconds{&Limits<&RL::redis_timeout>, 1ms, 1s}},
    {.name = "rate_limits.algorithm",
     .sentence = "gcra: requests come back one by one as time passes; fixed-window: all at once when the "
                 "window ends, so that twice the limit may come around that moment.",
     .member = Choice{&GetAlgorithm, &SetAlgorithm, kAlgorithms},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.auth",
     .sentence = "Limit of logins and registrations, by client and by account, like \"5/minute\" or "
                 "\"10/second;200/hour\"; empty: none.",
     .member = Text{&Limits<&RL::auth>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.write",
     .sentence = "Limit of each client on routes that change something.",
     .member = Text{&Limits<&RL::write>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.read",
     .sentence = "Limit of each client on routes that read.",
     .member = Text{&Limits<&RL::read>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.health",
     .sentence = "Limit of each client on the health routes.",
     .member = Text{&Limits<&RL::health>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.default",
     .sentence = "Limit of each client on the remaining routes; empty: none.",
     .member = Text{&Limits<&RL::default_limit>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.bursts",
     .sentence = "How many requests of a tier or route may come at once, like \"read=20\"; else as many as "
                 "its rate counts.",
     .member = List{&Limits<&RL::bursts>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.routes",
     .sentence = "Limits of single routes instead of their tier's, like \"agents.list=10/second\".",
     .member = List{&Limits<&RL::routes>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.costs",
     .sentence = "Routes whose requests count for several, like \"dashboard.stats=5\".",
     .member = List{&Limits<&RL::costs>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.exempt_routes",
     .sentence = "Routes that are never limited.",
     .member = List{&Limits<&RL::exempt_routes>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.exempt_addresses",
     .sentence = "Networks of clients that are never limited, like \"10.0.0.0/8\".",
     .member = List{&Limits<&RL::exempt_addresses>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.shadow",
     .sentence = "Tiers and routes whose limits are counted and not enforced.",
     .member = List{&Limits<&RL::shadow>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.trusted_proxies",
     .sentence = "Networks of proxies whose X-Forwarded-For or Forwarded says who the client is; unix: "
                 "everybody on a unix socket.",
     .member = List{&Limits<&RL::trusted_proxies>},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.keys_max",
     .sentence =
         "Clients remembered in each tier together, 44 bytes each; beyond it newcomers share a limit.",
     .member = Number{&Limits<&RL::keys_max>, 1'000, 100'000'000}},
    {.name = "rate_limits.retry_jitter_percent",
     .sentence = "Retry-After is longer by up to this share, so that clients do not come back all at once.",
     .member = Number{&Limits<&RL::retry_jitter_percent>, 0, 100},
     .holds = Holds::kAfterReload},
    {.name = "rate_limits.login_failures_max",
     .sentence = "Wrong passwords for an account before it must wait, from anywhere: a second, doubling to a "
                 "quarter of an hour.",
     .member = Number{&Limits<&RL::login_failures_max>, 1, 1'000}},

    {.name = "caches.bytes",
     .sentence =
         "What all stores in memory may take together; 0: what each of them may. While the machine's or "
         "the control group's memory is short they shrink, down to a sixteenth.",
     .member = Size{&Caches<&CC::bytes>, 0, 2'048 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.tokens.policy",
     .sentence = "Which remembered token leaves first; sieve and s3fifo keep what is used through a flood of "
                 "others.",
     .member =
         Choice{&GetPolicy<&CC::tokens>, &SetPolicy<&CC::tokens>, schema::Names<cache::Policy>::kTexts}},
    {.name = "caches.tokens.entries",
     .sentence = "Tokens whose owner, or revocation, is remembered; the authority is the database.",
     .member = Number{&Cache<&CC::tokens, &CacheConfig::entries>, 1, 10'000'000},
     .holds = Holds::kAfterReload},
    {.name = "caches.tokens.bytes",
     .sentence = "What remembering tokens may take.",
     .member = Size{&Cache<&CC::tokens, &CacheConfig::bytes>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.tokens.ttl",
     .sentence = "How long that is believed before the database is asked again; a revocation on another "
                 "daemon holds here no later.",
     .member = Milliseconds{&Cache<&CC::tokens, &CacheConfig::ttl>, 10ms, 2s},
     .holds = Holds::kAfterReload},
    {.name = "caches.event_history.entries",
     .sentence = "Events of this process that are kept in memory.",
     .member = Number{&EventHistory<&EventHistoryConfig::entries>, 1, 1'000'000},
     .holds = Holds::kAfterReload},
    {.name = "caches.event_history.bytes",
     .sentence = "What they may take.",
     .member = Size{&EventHistory<&EventHistoryConfig::bytes>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.event_history.ttl",
     .sentence = "How long they are kept.",
     .member = Milliseconds{&EventHistory<&EventHistoryConfig::ttl>, 1s, 24h},
     .holds = Holds::kAfterReload},
    {.name = "caches.agents.policy",
     .sentence = "Which remembered answer leaves first.",
     .member =
         Choice{&GetPolicy<&CC::agents>, &SetPolicy<&CC::agents>, schema::Names<cache::Policy>::kTexts}},
    {.name = "caches.agents.entries",
     .sentence = "Answers about agents by id that are remembered.",
     .member = Number{&Cache<&CC::agents, &CacheConfig::entries>, 1, 10'000'000},
     .holds = Holds::kAfterReload},
    {.name = "caches.agents.bytes",
     .sentence = "What they may take.",
     .member = Size{&Cache<&CC::agents, &CacheConfig::bytes>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.agents.ttl",
     .sentence = "How long an answer is remembered if nothing changes.",
     .member = Milliseconds{&Cache<&CC::agents, &CacheConfig::ttl>, 10ms, 24h},
     .holds = Holds::kAfterReload},
    {.name = "caches.sessions.policy",
     .sentence = "Which remembered answer leaves first.",
     .member =
         Choice{&GetPolicy<&CC::sessions>, &SetPolicy<&CC::sessions>, schema::Names<cache::Policy>::kTexts}},
    {.name = "caches.sessions.entries",
     .sentence = "Answers about what agents are at that are remembered.",
     .member = Number{&Cache<&CC::sessions, &CacheConfig::entries>, 1, 10'000'000},
     .holds = Holds::kAfterReload},
    {.name = "caches.sessions.bytes",
     .sentence = "What they may take.",
     .member = Size{&Cache<&CC::sessions, &CacheConfig::bytes>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.sessions.ttl",
     .sentence = "How long an answer is remembered if nothing changes.",
     .member = Milliseconds{&Cache<&CC::sessions, &CacheConfig::ttl>, 10ms, 24h},
     .holds = Holds::kAfterReload},
    {.name = "caches.circles.policy",
     .sentence = "Which remembered answer leaves first.",
     .member =
         Choice{&GetPolicy<&CC::circles>, &SetPolicy<&CC::circles>, schema::Names<cache::Policy>::kTexts}},
    {.name = "caches.circles.entries",
     .sentence = "Answers about circles with their members that are remembered.",
     .member = Number{&Cache<&CC::circles, &CacheConfig::entries>, 1, 10'000'000},
     .holds = Holds::kAfterReload},
    {.name = "caches.circles.bytes",
     .sentence = "What they may take.",
     .member = Size{&Cache<&CC::circles, &CacheConfig::bytes>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.circles.ttl",
     .sentence = "How long an answer is remembered if nothing changes.",
     .member = Milliseconds{&Cache<&CC::circles, &CacheConfig::ttl>, 10ms, 24h},
     .holds = Holds::kAfterReload},
    {.name = "caches.personas.policy",
     .sentence = "Which remembered answer leaves first.",
     .member =
         Choice{&GetPolicy<&CC::personas>, &SetPolicy<&CC::personas>, schema::Names<cache::Policy>::kTexts}},
    {.name = "caches.personas.entries",
     .sentence = "Answers about personas that are remembered.",
     .member = Number{&Cache<&CC::personas, &CacheConfig::entries>, 1, 10'000'000},
     .holds = Holds::kAfterReload},
    {.name = "caches.personas.bytes",
     .sentence = "What they may take.",
     .member = Size{&Cache<&CC::personas, &CacheConfig::bytes>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.personas.ttl",
     .sentence = "How long an answer is remembered if nothing changes.",
     .member = Milliseconds{&Cache<&CC::personas, &CacheConfig::ttl>, 10ms, 24h},
     .holds = Holds::kAfterReload},
    {.name = "caches.providers.policy",
     .sentence = "Which remembered answer leaves first.",
     .member = Choice{&GetPolicy<&CC::providers>, &SetPolicy<&CC::providers>,
                      schema::Names<cache::Policy>::kTexts}},
    {.name = "caches.providers.entries",
     .sentence = "Answers about providers that are remembered.",
     .member = Number{&Cache<&CC::providers, &CacheConfig::entries>, 1, 10'000'000},
     .holds = Holds::kAfterReload},
    {.name = "caches.providers.bytes",
     .sentence = "What they may take.",
     .member = Size{&Cache<&CC::providers, &CacheConfig::bytes>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.providers.ttl",
     .sentence = "How long an answer is remembered if nothing changes.",
     .member = Milliseconds{&Cache<&CC::providers, &CacheConfig::ttl>, 10ms, 24h},
     .holds = Holds::kAfterReload},
    {.name = "caches.models.policy",
     .sentence = "Which remembered answer leaves first.",
     .member =
         Choice{&GetPolicy<&CC::models>, &SetPolicy<&CC::models>, schema::Names<cache::Policy>::kTexts}},
    {.name = "caches.models.entries",
     .sentence = "Answers about models that are remembered.",
     .member = Number{&Cache<&CC::models, &CacheConfig::entries>, 1, 10'000'000},
     .holds = Holds::kAfterReload},
    {.name = "caches.models.bytes",
     .sentence = "What they may take.",
     .member = Size{&Cache<&CC::models, &CacheConfig::bytes>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "caches.models.ttl",
     .sentence = "How long an answer is remembered if nothing changes.",
     .member = Milliseconds{&Cache<&CC::models, &CacheConfig::ttl>, 10ms, 24h},
     .holds = Holds::kAfterReload},

    {.name = "events.retention",
     .sentence = "How long events are kept in the log; whole days are dropped.",
     .member = Seconds{&Events<&EventsConfig::retention>, 1h, 87'600h},
     .holds = Holds::kAfterReload},
    {.name = "events.poll_max",
     .sentence = "How often the log is looked at when no instance announces anything.",
     .member = Milliseconds{&Events<&EventsConfig::poll_max>, 10ms, 1min}},

    {.name = "streams.heartbeat",
     .sentence = "How often an open stream sends a sign of life.",
     .member = Milliseconds{&Streams<&StreamsConfig::heartbeat>, 100ms, 1h},
     .holds = Holds::kAfterReload},
    {.name = "streams.buffer_bytes_max",
     .sentence = "What a stream's client may leave untaken; beyond it the stream is closed.",
     .member = Size{&Streams<&StreamsConfig::buffer_bytes_max>, 4 * kKiB, 1'024 * kMiB},
     .holds = Holds::kAfterReload},
    {.name = "streams.catch_up_max",
     .sentence = "Events a client gets at once who comes back to a stream; for more it comes again.",
     .member = Number{&Streams<&StreamsConfig::catch_up_max>, 1, 100'000},
     .holds = Holds::kAfterReload},

    {.name = "log.level",
     .sentence = "The least important lines to write.",
     .member = Choice{&GetLogChoice<&LogConfig::level>, &SetLogChoice<&LogConfig::level>, kLevels},
     .legacy = "LOG_LEVEL",
     .flag = "--log-level",
     .holds = Holds::kAfterReload},
    {.name = "log.format",
     .sentence =
         "How lines look; auto: console on a terminal, else json.  In the journal of systemd each begins "
         "with its priority.",
     .member = Choice{&GetLogChoice<&LogConfig::format>, &SetLogChoice<&LogConfig::format>, kFormats},
     .flag = "--log-format"},
    {.name = "log.queue_max",
     .sentence = "Lines that wait to be written; beyond it the oldest is dropped and counted.",
     .member = Number{&Log<&LogConfig::queue_max>, 16, 1'000'000}},
    {.name = "log.slow_request",
     .sentence =
         "A request that takes at least so long is logged as a warning, with its statements; 0s: none is.",
     .member = Milliseconds{&Log<&LogConfig::slow_request>, 0ms, 1h},
     .holds = Holds::kAfterReload},
};

consteval bool WellFormed(std::span<const Key> keys) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!keys[i].sentence.ends_with('.')) return false;
    if (keys[i].secrecy == Secrecy::kSecret && !keys[i].flag.empty()) return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (keys[i].name == keys[j].name) return false;
      if (!keys[i].flag.empty() && keys[i].flag == keys[j].flag) return false;
    }
  }
  return true;
}
static_assert(WellFormed(kKeys));  // sentences end, names and flags are unique, no secret has a flag

// --- reading and writing members ---------------------------------------------------------------------

// The table only ever reads through these; its accessors want a mutable Config.
Config& Mutable(const Config& config) {
  return const_cast<Config&>(config);
}

std::vector<std::string_view> Views(std::span<const std::string_view> names) {
  return {names.begin(), names.end()};
}

struct Describe {
  std::string operator()(const Text&) const { return "a string"; }
  std::string operator()(const List&) const { return "a list of strings"; }
  std::string operator()(const Number& m) const {
    return fmt::format("a number from {} to {}", m.min, m.max);
  }
  std::string operator()(const Size& m) const {
    return fmt::format("a number of bytes from {} to {}", SizeToText(m.min), SizeToText(m.max));
  }
  std::string operator()(const Milliseconds& m) const {
    return fmt::format("a duration from {} to {}, like \"10s\"", ToText(m.min), ToText(m.max));
  }
  std::string operator()(const Seconds& m) const {
    return fmt::format("a duration of whole seconds from {} to {}, like \"10m\"", ToText(m.min),
                       ToText(m.max));
  }
  std::string operator()(const Boolean&) const { return "true or false"; }
  std::string operator()(const Choice& m) const { return fmt::format("one of {}", fmt::join(m.names, ", ")); }
};

struct Read {
  Config& config;

  Value operator()(const Text& m) const { return m.of(config); }
  Value operator()(const List& m) const { return m.of(config); }
  Value operator()(const Number& m) const { return std::int64_t{m.of(config)}; }
  Value operator()(const Size& m) const {
    const std::int64_t bytes = m.of(config);
    if (bytes == 0 || bytes % kKiB != 0) return bytes;
    return SizeToText(bytes);
  }
  Value operator()(const Milliseconds& m) const { return ToText(m.of(config)); }
  Value operator()(const Seconds& m) const { return ToText(m.of(config)); }
  Value operator()(const Boolean& m) const { return m.of(config); }
  Value operator()(const Choice& m) const { return std::string{m.names[m.get(config)]}; }
};

// Each returns whether the value fits and was stored.
struct Write {
  const Value& value;
  Config& config;

  bool operator()(const Text& m) const {
    const auto* text = std::get_if<std::string>(&value);
    if (text) m.of(config) = *text;
    return text != nullptr;
  }
  bool operator()(const List& m) const {
    const auto* list = std::get_if<std::vector<std::string>>(&value);
    if (list) m.of(config) = *list;
    return list != nullptr;
  }
  bool operator()(const Number& m) const {
    const auto* number = std::get_if<std::int64_t>(&value);
    const bool fits = number && *number >= m.min && *number <= m.max;
    if (fits) m.of(config) = static_cast<std::uint32_t>(*number);
    return fits;
  }
  bool operator()(const Size& m) const {
    std::optional<std::int64_t> bytes;
    if (const auto* number = std::get_if<std::int64_t>(&value)) bytes = *number;
    if (const auto* text = std::get_if<std::string>(&value)) bytes = ParseSize(*text);
    const bool fits = bytes && *bytes >= m.min && *bytes <= m.max;
    if (fits) m.of(config) = static_cast<std::uint32_t>(*bytes);
    return fits;
  }
  bool operator()(const Milliseconds& m) const {
    const auto* text = std::get_if<std::string>(&value);
    const auto duration = text ? ParseDuration(*text) : std::nullopt;
    const bool fits = duration && *duration >= m.min && *duration <= m.max;
    if (fits) m.of(config) = *duration;
    return fits;
  }
  bool operator()(const Seconds& m) const {
    const auto* text = std::get_if<std::string>(&value);
    const auto duration = text ? ParseDuration(*text) : std::nullopt;
    const bool fits = duration && *duration >= m.min && *duration <= m.max && *duration % 1s == 0ms;
    if (fits) m.of(config) = std::chrono::duration_cast<std::chrono::seconds>(*duration);
    return fits;
  }
  bool operator()(const Boolean& m) const {
    const auto* truth = std::get_if<bool>(&value);
    if (truth) m.of(config) = *truth;
    return truth != nullptr;
  }
  bool operator()(const Choice& m) const {
    const auto* text = std::get_if<std::string>(&value);
    if (!text) return false;
    const auto found = std::find(m.names.begin(), m.names.end(), Lower(*text));
    if (found != m.names.end()) m.set(config, static_cast<std::size_t>(found - m.names.begin()));
    return found != m.names.end();
  }
};

// What the system reads of a path or a URL ends there.
bool HoldsNul(const Value& value) {
  const auto in = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (const auto* text = std::get_if<std::string>(&value)) return in(*text);
  const auto* list = std::get_if<std::vector<std::string>>(&value);
  return list != nullptr && std::ranges::any_of(*list, in);
}

// The text of a variable or flag as the value its key wants, if it can be one.
struct FromText {
  std::string_view text;

  std::optional<Value> operator()(const List&) const { return Split(text, ','); }
  std::optional<Value> operator()(const Number&) const { return ParseInteger(text); }
  std::optional<Value> operator()(const Boolean&) const { return ParseBoolean(text); }
  std::optional<Value> operator()(const Text&) const { return std::string{text}; }
  template <class M>
  std::optional<Value> operator()(const M&) const {
    return std::string{Trimmed(text)};
  }
};

}  // namespace

std::span<const Key> Keys() {
  return kKeys;
}

const Key* FindKey(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kKeys), std::end(kKeys), [&](const Key& k) { return k.name == name; });
  return found == std::end(kKeys) ? nullptr : found;
}

const Key* FindFlag(std::string_view flag) {
  const auto* found = std::find_if(std::begin(kKeys), std::end(kKeys),
                                   [&](const Key& k) { return !flag.empty() && k.flag == flag; });
  return found == std::end(kKeys) ? nullptr : found;
}

std::string_view ToText(Holds holds) {
  return holds == Holds::kAfterReload ? "a reload" : "a restart";
}

std::string EnvironmentName(const Key& key) {
  std::string name = "GATHERING_" + Upper(key.name);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

std::string Expected(const Key& key) {
  return std::visit(Describe{}, key.member);
}

std::optional<std::string> Set(const Key& key, const Value& value, Config& config) {
  // A secret is any bytes.
  if (key.secrecy != Secrecy::kSecret && HoldsNul(value))
    return fmt::format("{} holds a NUL byte; remove it", key.name);
  if (std::visit(Write{value, config}, key.member)) return std::nullopt;
  std::string problem = fmt::format("{} must be {}", key.name, Expected(key));
  if (key.secrecy != Secrecy::kOpen) return problem;
  problem += fmt::format(", not {}", ToToml(value));
  const auto* word = std::get_if<std::string>(&value);
  const auto* choice = std::get_if<Choice>(&key.member);
  if (word && choice) problem += DidYouMean(*word, Views(choice->names));
  return problem;
}

std::optional<std::string> SetText(const Key& key, std::string_view text, Config& config) {
  const auto value = std::visit(FromText{text}, key.member);
  return Set(key, value.value_or(std::string{text}), config);
}

Value Get(const Key& key, const Config& config) {
  return std::visit(Read{Mutable(config)}, key.member);
}

Value GetMasked(const Key& key, const Config& config) {
  Value value = Get(key, config);
  auto* text = std::get_if<std::string>(&value);
  if (!text || text->empty() || key.secrecy == Secrecy::kOpen) return value;
  return key.secrecy == Secrecy::kSecret ? "[secret]" : WithoutPassword(*text);
}

}  // namespace gathering::config
