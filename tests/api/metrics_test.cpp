// The daemon's figures as Prometheus and Grafana get them.
#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/postgres.h"
#include "tests/support/process.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {
namespace {

using nlohmann::json;

constexpr const char* kPromtool = "/usr/bin/promtool";
constexpr std::string_view kOpenMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
constexpr std::string_view kText = "text/plain; version=0.0.4; charset=utf-8";

// Every family, whether or not it has samples.
const std::set<std::string> kFamilies = {
    "gathering_build_info",
    "gathering_cache_bytes",
    "gathering_cache_entries",
    "gathering_cache_evictions_total",
    "gathering_cache_hits_total",
    "gathering_cache_joined_total",
    "gathering_cache_load_failures_total",
    "gathering_cache_load_seconds_total",
    "gathering_cache_loads_total",
    "gathering_cache_max_bytes",
    "gathering_cache_max_entries",
    "gathering_cache_misses_total",
    "gathering_cache_oldest_age_seconds",
    "gathering_cache_outdated_total",
    "gathering_caches_part_ratio",
    "gathering_caches_shrinks_total",
    "gathering_answers_current",
    "gathering_answers_bypassed_total",
    "gathering_cache_refused_total",
    "gathering_db_jobs_refused_total",
    "gathering_db_jobs_waiting",
    "gathering_db_pipeline_batches_total",
    "gathering_db_pipeline_cancels_total",
    "gathering_db_pipeline_connect_failures_total",
    "gathering_db_pipeline_connections",
    "gathering_db_pipeline_connections_lost_total",
    "gathering_db_pipeline_connections_retired_total",
    "gathering_db_pipeline_connects_total",
    "gathering_db_pipeline_expired_total",
    "gathering_db_pipeline_failed_total",
    "gathering_db_pipeline_given_up_total",
    "gathering_db_pipeline_in_doubt_total",
    "gathering_db_pipeline_in_flight",
    "gathering_db_pipeline_max_queued",
    "gathering_db_pipeline_moved_total",
    "gathering_db_pipeline_queued",
    "gathering_db_pipeline_refused_total",
    "gathering_db_pipeline_resent_total",
    "gathering_db_pipeline_statements_total",
    "gathering_db_pipeline_syncs_total",
    "gathering_db_pool_acquire_timeouts_total",
    "gathering_db_pool_acquired_total",
    "gathering_db_pool_connect_failures_total",
    "gathering_db_pool_connections",
    "gathering_db_pool_connections_idle",
    "gathering_db_pool_connections_in_use",
    "gathering_db_pool_connections_lost_total",
    "gathering_db_pool_connections_retired_total",
    "gathering_db_pool_connects_total",
    "gathering_db_pool_max_connections",
    "gathering_db_pool_max_waiting",
    "gathering_db_pool_refused_total",
    "gathering_db_pool_retries_total",
    "gathering_db_pool_wait_seconds_total",
    "gathering_db_pool_waiting",
    "gathering_db_statement_duration_seconds",
    "gathering_db_statement_failures_total",
    "gathering_db_statement_wait_seconds_total",
    "gathering_db_workers",
    "gathering_db_workers_busy",
    "gathering_event_bus_calls_running",
    "gathering_event_bus_duplicates_total",
    "gathering_event_bus_max_calls_running",
    "gathering_event_bus_published_total",
    "gathering_event_bus_publishers_waiting",
    "gathering_event_bus_refused_total",
    "gathering_event_consumer_failures_total",
    "gathering_event_consumer_position",
    "gathering_event_consumer_taken_total",
    "gathering_event_log_announced_total",
    "gathering_event_log_connected",
    "gathering_event_log_connects_total",
    "gathering_event_log_events_total",
    "gathering_event_log_failures_total",
    "gathering_event_log_newest_position",
    "gathering_event_log_notified_total",
    "gathering_event_log_polls_total",
    "gathering_event_log_position",
    "gathering_event_log_unknown_total",
    "gathering_event_streams",
    "gathering_event_streams_delivered_total",
    "gathering_event_streams_overruns_total",
    "gathering_event_subscription_abandoned_total",
    "gathering_event_subscription_calls_running",
    "gathering_event_subscription_calls_total",
    "gathering_event_subscription_dead_total",
    "gathering_event_subscription_delivered_total",
    "gathering_event_subscription_dropped_total",
    "gathering_event_subscription_failures_total",
    "gathering_event_subscription_lag_seconds",
    "gathering_event_subscription_max_queued",
    "gathering_event_subscription_offered_total",
    "gathering_event_subscription_queued",
    "gathering_event_subscription_timeouts_total",
    "gathering_http_connections",
    "gathering_http_connections_accepted_total",
    "gathering_http_connections_refused_total",
    "gathering_http_handler_failures_total",
    "gathering_http_loop_stalls_total",
    "gathering_http_max_connections",
    "gathering_http_max_requests_in_progress",
    "gathering_http_refused_by_gate_total",
    "gathering_http_request_duration_seconds",
    "gathering_http_request_statements_total",
    "gathering_http_requests_in_progress",
    "gathering_http_requests_over_budget_total",
    "gathering_http_requests_refused_busy_total",
    "gathering_http_requests_total",
    "gathering_http_timeouts_total",
    "gathering_log_lines_dropped_total",
    "gathering_login_backoff_accounts",
    "gathering_login_backoff_accounts_waiting",
    "gathering_login_backoff_tries_total",
    "gathering_rate_limit_decisions_total",
    "gathering_rate_limit_enabled",
    "gathering_rate_limit_evictions_total",
    "gathering_rate_limit_exempt_total",
    "gathering_rate_limit_keys",
    "gathering_rate_limit_max_keys",
    "gathering_rate_limit_memory_bytes",
    "gathering_rate_limit_overflow_decisions_total",
    "gathering_rate_limit_redis_batches_total",
    "gathering_rate_limit_redis_breaker_opened_total",
    "gathering_rate_limit_redis_connect_failures_total",
    "gathering_rate_limit_redis_connects_total",
    "gathering_rate_limit_redis_decisions_total",
    "gathering_rate_limit_redis_fallbacks_total",
    "gathering_rate_limit_redis_instances",
    "gathering_rate_limit_redis_loops",
    "gathering_rate_limit_redis_memory_lost_total",
    "gathering_tls_handshakes_failed_total",
    "gathering_tls_handshakes_total",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "process_virtual_memory_bytes",
};

double Number(std::string_view text) {
  double value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  INFO(text);
  REQUIRE(error == std::errc{});
  REQUIRE(end == text.data() + text.size());
  return value;
}

bool HasSamples(const std::string& family, const std::string& type, std::string_view name) {
  if (type != "histogram") return name == family;
  return name == family + "_bucket" || name == family + "_sum" || name == family + "_count";
}

// What the text format says, read strictly: families in one piece and once, no series twice.
struct Figures {
  std::map<std::string, std::string> types;  // of families
  std::map<std::string, double> series;      // by name and labels, as they are spelled

  explicit Figures(const std::string& text) {
    std::istringstream lines{text};
    std::string family;
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      std::istringstream words{line};
      std::string mark, what, name, type;
      if (line.starts_with("# ")) {
        words >> mark >> what >> name >> type;
        if (what != "TYPE") continue;
        family = name;
        REQUIRE(types.emplace(family, type).second);
        continue;
      }
      const std::size_t space = line.rfind(' ');
      const std::string key = line.substr(0, space);
      REQUIRE(HasSamples(family, types.at(family), std::string_view{key}.substr(0, key.find('{'))));
      REQUIRE(series.emplace(key, Number(std::string_view{line}.substr(space + 1))).second);
    }
  }

  [[nodiscard]] double At(const std::string& key) const {
    const auto found = series.find(key);
    return found == series.end() ? 0 : found->second;
  }
  [[nodiscard]] std::set<std::string> Families() const {
    std::set<std::string> names;
    for (const auto& [name, type] : types) names.insert(name);
    return names;
  }
};

std::string RequestsOf(const std::string& route, const std::string& code) {
  return "gathering_http_requests_total{route=\"" + route + "\",code=\"" + code + "\"}";
}

struct World {
  const FreshDatabase database;
  const RunningDaemon daemon{{.database_url = database.url()}};
  const std::string token = daemon.AdminToken();
};

struct Watched {
  const RunningDaemon& daemon = Shared<World>().daemon;
  const std::string& token = Shared<World>().token;
  HttpClient admin = daemon.Client();

  Watched() { admin.Use(token); }

  Answer Ask(std::string accept = {}) {
    Headers headers = {{"Authorization", "Bearer " + token}};
    if (!accept.empty()) headers.emplace_back("Accept", std::move(accept));
    Answer answer = admin.Send("GET", "/metrics", headers);
    REQUIRE(answer.status == 200);
    return answer;
  }
  Figures Look() { return Figures{Ask().body}; }
};

bool HasPromtool() {
  if (::access(kPromtool, X_OK) == 0) return true;
  WARN("skipped: no promtool here; install prometheus");
  return false;
}

std::string Read(const std::string& name) {
  std::ifstream in{GATHERING_SOURCE_DIR "/examples/" + name};
  REQUIRE(in);
  return {std::istreambuf_iterator<char>{in}, {}};
}

// The words in `text` that are names of metrics.
void CollectNames(const std::string& text, std::set<std::string>& names) {
  std::string word;
  for (const char c : text + " ") {
    if ((c >= 'a' && c <= 'z') || c == '_') {
      word += c;
      continue;
    }
    if (word.starts_with("gathering_") || word.starts_with("process_")) names.insert(word);
    word.clear();
  }
}

// Those of all queries of a dashboard.
void CollectNames(const json& value, std::set<std::string>& names) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) {
      if ((key == "expr" || key == "query") && inner.is_string())
        CollectNames(inner.get<std::string>(), names);
    }
  }
  if (!value.is_structured()) return;
  for (const json& inner : value) CollectNames(inner, names);
}

}  // namespace

TEST_CASE_METHOD(Watched, "every figure there is has its family, and those of what is used have samples") {
  REQUIRE(admin.Post("/circles", {{"name", "crew"}}).status == 201);
  Ask();
  const Figures figures = Look();
  CHECK(figures.Families() == kFamilies);
  for (const auto& [family, type] : figures.types) {
    if (family.starts_with("gathering_rate_limit_redis_") || family.ends_with("_decisions_total")) continue;
    INFO(family);
    CHECK(std::ranges::any_of(figures.series, [&, &family = family, &type = type](const auto& one) {
      return HasSamples(family, type, std::string_view{one.first}.substr(0, one.first.find('{')));
    }));
  }
  CHECK(figures.At("gathering_build_info{version=\"" GATHERING_VERSION "\"}") == 1);
  CHECK(figures.At("gathering_cache_entries{cache=\"tokens\"}") >= 1);
  CHECK(figures.At("gathering_event_log_connected") == 1);
  CHECK(figures.At("process_threads") > 5);
}

TEST_CASE_METHOD(Watched, "figures are for administrators") {
  CHECK(daemon.Client().Get("/metrics").status == 401);
  CHECK(admin.Get("/api/metrics").status == 200);
}

TEST_CASE_METHOD(Watched, "requests are counted exactly, by route and class of status") {
  Look();
  const Figures before = Look();
  for (int i = 0; i < 7; ++i) REQUIRE(admin.Get("/health/live").status == 200);
  for (int i = 0; i < 3; ++i) REQUIRE(admin.Get("/agents/987654321").status == 404);
  for (int i = 0; i < 2; ++i) REQUIRE(admin.Get("/no/such/thing").status == 404);
  REQUIRE(admin.Get("/agents/").status == 307);
  REQUIRE(daemon.Client().Get("/agents/1").status == 401);
  const Figures after = Look();
  const auto rise = [&](const std::string& key) { return after.At(key) - before.At(key); };
  CHECK(rise(RequestsOf("health.live", "2xx")) == 7);
  CHECK(rise(RequestsOf("health.live", "4xx")) == 0);
  CHECK(rise(RequestsOf("agents.get", "4xx")) == 4);
  CHECK(rise(RequestsOf("-", "4xx")) == 2);
  CHECK(rise(RequestsOf("-", "3xx")) == 1);
  CHECK(rise(RequestsOf("metrics.get", "2xx")) == 1);
  CHECK(rise("gathering_http_request_duration_seconds_count{route=\"health.live\"}") == 7);
  CHECK(rise("gathering_http_request_statements_total{route=\"agents.get\"}") == 3);
  CHECK(after.At("gathering_http_request_statements_total{route=\"metrics.get\"}") == 0);
}

TEST_CASE_METHOD(Watched, "each question about a token is a hit or a miss of its cache") {
  const Figures before = Look();
  for (int i = 0; i < 20; ++i) REQUIRE(admin.Get("/auth/me").status == 200);
  const Figures after = Look();
  const auto rise = [&](const std::string& what) {
    const std::string key = "gathering_cache_" + what + "_total{cache=\"tokens\"}";
    return after.At(key) - before.At(key);
  };
  CHECK(rise("hits") + rise("misses") == 21);
  CHECK(rise("hits") >= 1);
}

TEST_CASE_METHOD(Watched, "what clients ask for makes no new series") {
  const auto labelled = [&] {
    std::set<std::string> keys;
    // Consumers and the log's reader may run a statement for the first time at any moment.
    for (const auto& [key, value] : Look().series) {
      if (!key.starts_with("gathering_db_statement_")) keys.insert(key);
    }
    return keys;
  };
  HttpClient stranger = daemon.Client();
  admin.Get("/nothing");
  stranger.Get("/nothing");
  labelled();
  const std::set<std::string> before = labelled();
  const double known = Look().At(RequestsOf("-", "4xx"));
  for (int i = 0; i < 100; ++i) {
    const std::string path = "/nothing-" + std::to_string(i * 7919) + "/route=%22x%22";
    CHECK(admin.Get(path).status == 404);
    CHECK(stranger.Get(path + "?code=" + std::to_string(i)).status == 401);
  }
  CHECK(labelled() == before);
  CHECK(Look().At(RequestsOf("-", "4xx")) == known + 200);
}

TEST_CASE_METHOD(Watched, "a histogram's buckets grow up to its count, which is that of its requests") {
  for (int i = 0; i < 5; ++i) REQUIRE(admin.Get("/agents").status == 200);
  const std::string body = Ask().body;
  const Figures figures{body};
  std::istringstream lines{body};
  double last = 0;
  int histograms = 0;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t bound = line.find("le=\"");
    if (bound == std::string::npos) {
      last = 0;
      continue;
    }
    INFO(line);
    const double count = Number(std::string_view{line}.substr(line.rfind(' ') + 1));
    CHECK(count >= last);
    last = count;
    if (line.find("le=\"+Inf\"") == std::string::npos) continue;
    ++histograms;
    std::string key = line.substr(0, bound - 1) + "}";
    key.replace(key.find("_bucket{"), 7, "_count");
    CHECK(figures.At(key) == count);
    key.replace(key.find("_count{"), 6, "_sum");
    CHECK(figures.series.contains(key));
  }
  CHECK(histograms > 3);
  CHECK(figures.At("gathering_http_request_duration_seconds_bucket{route=\"agents.list\",le=\"+Inf\"}") == 5);
  CHECK(figures.At(RequestsOf("agents.list", "2xx")) == 5);
}

TEST_CASE_METHOD(Watched, "who asks for OpenMetrics gets it, with the same series") {
  Ask();
  const Answer text = Ask();
  const Answer open = Ask("application/openmetrics-text; version=1.0.0, text/plain; q=0.5");
  CHECK(text.Header("Content-Type") == kText);
  CHECK(open.Header("Content-Type") == kOpenMetrics);
  CHECK(Ask("text/plain").Header("Content-Type") == kText);
  CHECK(open.body.ends_with("\n# EOF\n"));
  CHECK(open.body.find("# EOF") == open.body.size() - 6);
  CHECK(text.body.find("# EOF") == std::string::npos);
  for (const char* line : {"# TYPE gathering_http_requests counter\n", "# TYPE gathering_build info\n",
                           "# UNIT gathering_http_request_duration_seconds seconds\n",
                           "# UNIT process_cpu_seconds seconds\n", "# UNIT gathering_cache_bytes bytes\n"}) {
    INFO(line);
    CHECK(open.body.find(line) != std::string::npos);
  }
  const auto keys = [](const std::string& body) {
    std::set<std::string> all;
    std::istringstream lines{body};
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("#") || line.starts_with("gathering_db_statement_")) continue;
      all.insert(line.substr(0, line.rfind(' ')));
    }
    return all;
  };
  CHECK(keys(open.body) == keys(text.body));
}

TEST_CASE("decisions of rate limits are counted by tier and outcome") {
  const FreshDatabase database;
  const RunningDaemon daemon{
      {.database_url = database.url(),
       .environment = {{"GATHERING_RATE_LIMITS_ENABLED", "true"}, {"GATHERING_RATE_LIMITS_READ", "2/hour"}}}};
  HttpClient admin = daemon.Admin();
  int refused = 0;
  for (int i = 0; i < 5; ++i) refused += admin.Get("/agents").status == 429 ? 1 : 0;
  CHECK(refused == 3);
  const Figures figures{admin.Get("/metrics").body};
  const auto decisions = [&](const std::string& outcome) {
    return figures.At("gathering_rate_limit_decisions_total{tier=\"read\",outcome=\"" + outcome + "\"}");
  };
  CHECK(decisions("allowed") == 2);
  CHECK(decisions("refused") == 3);
  CHECK(decisions("shadowed") == 0);
  CHECK(figures.At(RequestsOf("agents.list", "4xx")) == 3);
  CHECK(figures.At("gathering_rate_limit_enabled") == 1);
}

TEST_CASE_METHOD(Watched, "promtool finds nothing to say about the figures") {
  if (!HasPromtool()) return;
  REQUIRE(admin.Post("/circles", {{"name", "promtool"}}).status == 201);
  Ask();
  const ProcessResult result = Run(kPromtool, {.arguments = {"check", "metrics"}, .input = Ask().body});
  CHECK(result.out.empty());
  CHECK(result.err.empty());
  CHECK(result.code == 0);
}

TEST_CASE("promtool accepts the example of a configuration of Prometheus") {
  if (!HasPromtool()) return;
  const TemporaryDirectory directory;
  std::ofstream{directory.path() + "/prometheus.yml"} << Read("prometheus.yml");
  std::ofstream{directory.path() + "/gathering.token"} << "token";
  const ProcessResult result =
      Run(kPromtool, {.arguments = {"check", "config", directory.path() + "/prometheus.yml"}});
  INFO(result.out << result.err);
  CHECK(result.code == 0);
}

TEST_CASE_METHOD(Watched, "every figure the example of a dashboard asks for is there") {
  const json dashboard = json::parse(Read("grafana-dashboard.json"));
  const std::set<std::string> families = Look().Families();
  std::set<std::string> names;
  CollectNames(dashboard, names);
  CHECK(names.size() > 50);
  for (const std::string& name : names) {
    INFO(name);
    std::string histogram = name;
    for (const char* ending : {"_bucket", "_sum", "_count"}) {
      if (name.ends_with(ending)) histogram = name.substr(0, name.rfind('_'));
    }
    CHECK((families.contains(name) || families.contains(histogram)));
  }
}

TEST_CASE("the example of a dashboard has a row for each part, and panels that can be told apart") {
  const json dashboard = json::parse(Read("grafana-dashboard.json"));
  std::vector<std::string> rows;
  std::set<int> ids;
  for (const json& panel : dashboard.at("panels")) {
    INFO(panel.at("title"));
    CHECK(ids.insert(panel.at("id").get<int>()).second);
    if (panel.at("type") == "row") {
      rows.push_back(panel.at("title"));
      continue;
    }
    CHECK(panel.at("datasource").at("uid") == "${datasource}");
    CHECK_FALSE(panel.at("targets").empty());
  }
  CHECK(rows == std::vector<std::string>{"HTTP", "Database", "Rate limits", "Events", "Caches", "Process"});
  CHECK(dashboard.at("schemaVersion") == 38);
}

}  // namespace gathering::test
