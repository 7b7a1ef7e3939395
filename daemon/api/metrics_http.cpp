#include <array>

#include "core/config/config.h"
#include "daemon/api/metrics_families.h"
#include "daemon/http/api.h"
#include "daemon/http/server.h"

namespace gathering::http {
namespace {

using metrics::Exposition;
using metrics::Kind;

constexpr std::string_view kNoRoute = "-";
constexpr std::array<std::string_view, kStatusClasses> kStatusNames = {"1xx", "2xx", "3xx", "4xx", "5xx"};

constexpr Column<ServerStats, std::uint32_t> kGauges[] = {
    {{Kind::kGauge, "gathering_http_connections", "Connections that are open and served"},
     &ServerStats::connections_open},
    {{Kind::kGauge, "gathering_http_max_connections", "Connections that may be open"},
     &ServerStats::connections_max},
    {{Kind::kGauge, "gathering_http_requests_in_progress", "Requests that are not answered yet"},
     &ServerStats::requests_in_progress},
};

constexpr Column<ServerStats, std::uint64_t> kCounters[] = {
    {{Kind::kCounter, "gathering_http_connections_accepted_total", "Connections that were accepted"},
     &ServerStats::connections_accepted},
    {{Kind::kCounter, "gathering_http_connections_refused_total",
      "Connections beyond a limit, of all or of one address"},
     &ServerStats::connections_refused},
    {{Kind::kCounter, "gathering_http_requests_refused_busy_total",
      "Requests refused because too many were in progress"},
     &ServerStats::requests_refused_busy},
    {{Kind::kCounter, "gathering_http_refused_by_gate_total",
      "Errors answered by the gate, before a request reached a route"},
     &ServerStats::refused_by_gate},
    {{Kind::kCounter, "gathering_http_handler_failures_total",
      "Requests whose answer was not made, or could not be sent"},
     &ServerStats::handler_failures},
    {{Kind::kCounter, "gathering_http_timeouts_total",
      "Connections on which a head, a body, a next request or a reader took too long"},
     &ServerStats::timeouts},
    {{Kind::kCounter, "gathering_tls_handshakes_total", "TLS handshakes that were done"},
     &ServerStats::handshakes},
    {{Kind::kCounter, "gathering_tls_handshakes_failed_total",
      "TLS handshakes that failed: no TLS, or none we speak"},
     &ServerStats::handshakes_failed},
    {{Kind::kCounter, "gathering_http_loop_stalls_total", "Times a request held its loop for over 20 ms"},
     &ServerStats::loop_stalls},
};

std::string_view NameOf(const RouteAnswers& answers) {
  return answers.route == nullptr ? kNoRoute : answers.route->id;
}

std::array<double, kDurationBoundsMicros.size()> DurationBounds() {
  std::array<double, kDurationBoundsMicros.size()> seconds{};
  for (std::size_t i = 0; i < seconds.size(); ++i)
    seconds[i] = static_cast<double>(kDurationBoundsMicros[i]) / kMicrosPerSecond;
  return seconds;
}

void WriteAnswers(const std::vector<RouteAnswers>& all, Exposition& out) {
  out.Begin({Kind::kCounter, "gathering_http_requests_total",
             "Answered requests by route and class of status; - reached no route"});
  for (const RouteAnswers& answers : all) {
    for (std::size_t i = 0; i < kStatusClasses; ++i)
      out.Sample({{"route", NameOf(answers)}, {"code", kStatusNames[i]}}, answers.by_status[i]);
  }
  const auto bounds = DurationBounds();
  out.Begin({Kind::kHistogram, "gathering_http_request_duration_seconds",
             "Time from a request's head to its answer; of a stream, to the answer's head"});
  for (const RouteAnswers& answers : all) {
    out.Sample({{"route", NameOf(answers)}},
               metrics::Distribution{.bounds = bounds,
                                     .counts = answers.by_duration,
                                     .sum = static_cast<double>(answers.duration.count()) / kNanosPerSecond});
  }
}

void WriteStatements(const std::vector<RouteCost>& costs, Exposition& out) {
  static constexpr Column<RouteCost, std::uint64_t> kColumns[] = {
      {{Kind::kCounter, "gathering_http_request_statements_total",
        "Statements the route's handler needed of the database"},
       &RouteCost::statements},
      {{Kind::kCounter, "gathering_http_requests_over_budget_total",
        "Requests that needed more statements than their route may"},
       &RouteCost::over_budget},
  };
  WriteColumns(out, kColumns, costs, [](const RouteCost& cost) {
    return metrics::Label{"route", cost.route->id};
  });
}

}  // namespace

void WriteHttpMetrics(const Services& services, Exposition& out) {
  const RouteStatistics& routes = services.api.route_statistics();
  WriteAnswers(routes.ReadAnswers(), out);
  WriteStatements(routes.Read(), out);
  const ServerStats stats = services.server.Stats();
  WriteColumns(out, kGauges, stats);
  WriteOne(out, {Kind::kGauge, "gathering_http_max_requests_in_progress", "Requests that may be in progress"},
           services.config.http.limits.requests_in_progress_max);
  WriteColumns(out, kCounters, stats);
  if (stats.certificate_not_after) {
    WriteOne(
        out,
        {Kind::kGauge, "gathering_tls_certificate_not_after_seconds", "When the certificate ends, Unix time"},
        static_cast<double>(stats.certificate_not_after->micros) / kMicrosPerSecond);
  }
}

}  // namespace gathering::http
