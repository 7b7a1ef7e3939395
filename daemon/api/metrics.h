#pragma once
// GET /metrics: the daemon's figures for Prometheus, which asks for them with an administrator's token.
#include <optional>
#include <string_view>

#include "core/metrics/exposition.h"

namespace gathering::http {

// What a client who sends this as Accept gets: OpenMetrics 1.0.0 if it is named and wanted at least as much
// as plain text, otherwise the text format, which every client can read.
[[nodiscard]] metrics::Format MetricsFormatFor(std::optional<std::string_view> accept);

}  // namespace gathering::http
