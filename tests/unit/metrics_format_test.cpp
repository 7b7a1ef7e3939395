// Which format of /metrics a client gets.
#include <catch2/catch.hpp>

#include "daemon/api/metrics.h"

namespace gathering::http {

using metrics::Format;

TEST_CASE("Prometheus gets OpenMetrics, as it asks for it first", "[metrics]") {
  for (const char* accept :
       {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        "application/openmetrics-text", "Application/OpenMetrics-Text ; Version=1.0.0 ; q=0.3",
        "text/plain;q=0.5, application/openmetrics-text;q=0.5"}) {
    INFO(accept);
    CHECK(MetricsFormatFor(accept) == Format::kOpenMetrics);
  }
}

TEST_CASE("who does not ask for OpenMetrics, or would rather have text, gets text", "[metrics]") {
  CHECK(MetricsFormatFor(std::nullopt) == Format::kText);
  for (const char* accept :
       {"", "*/*", "text/plain", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json",
        ",;,;;=,q=", "application/openmetrics-text;version=0.0.1", "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=2", "application/openmetrics-text;q=nan",
        "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5"}) {
    INFO(accept);
    CHECK(MetricsFormatFor(accept) == Format::kText);
  }
}

}  // namespace gathering::http
