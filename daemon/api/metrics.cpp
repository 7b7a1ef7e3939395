#include "daemon/api/metrics.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "core/base/text.h"
#include "daemon/api/metrics_families.h"
#include "daemon/api/table.h"
#include "daemon/loop/fiber.h"

namespace gathering::http {
namespace {

constexpr std::string_view kOpenMetricsType = "application/openmetrics-text";
constexpr std::string_view kTextType = "text/plain";

// One alternative of an Accept header.
struct Wanted {
  std::string type;
  std::string version = {};  // empty: any
  double quality = 1;
};

// Between 0 and 1; what is not understood is not wanted.
double QualityOf(std::string_view text) {
  double quality = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quality);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && quality >= 0 && quality <= 1 ? quality : 0;
}

Wanted Parse(std::string_view alternative) {
  const std::vector<std::string> parts = Split(alternative, ';');
  Wanted wanted{.type = parts.empty() ? std::string{} : Lower(parts.front())};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string_view part = parts[i];
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string name = Lower(Trimmed(part.substr(0, equals)));
    const std::string_view value = Trimmed(part.substr(std::min(equals + 1, part.size())));
    if (name == "version") wanted.version = value;
    if (name == "q") wanted.quality = QualityOf(value);
  }
  return wanted;
}

std::string Write(const Services& services, metrics::Format format) {
  metrics::Exposition out{format};
  WriteHttpMetrics(services, out);
  WriteDatabaseMetrics(services, out);
  WriteLimitMetrics(services, out);
  WriteEventMetrics(services, out);
  WriteCacheMetrics(services, out);
  WriteProcessMetrics(out);
  return std::move(out).Take();
}

// On a worker: files are read, and tables of thousands of entries looked through.
Document Get(Call& call) {
  const metrics::Format format = MetricsFormatFor(call.request().Find("Accept"));
  return {.content_type = std::string{ContentTypeOf(format)},
          .body = loop::RunOn(call.services().file_workers, call.deadline(),
                              [&] { return Write(call.services(), format); })};
}

constexpr Route kRoutes[] = {
    {"metrics.get", Method::kGet, "/metrics", Authority::kAdmin, Tier::kHealth, kNoStatements, Handle<&Get>,
     "The daemon's figures for Prometheus, as text or OpenMetrics."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

metrics::Format MetricsFormatFor(std::optional<std::string_view> accept) {
  double open_metrics = 0;
  double text = 0;
  for (const std::string& alternative : Split(accept.value_or(""), ',')) {
    const Wanted wanted = Parse(alternative);
    const auto is = [&](std::string_view type, std::string_view version) {
      return wanted.type == type && (wanted.version.empty() || wanted.version == version);
    };
    if (is(kOpenMetricsType, "1.0.0")) open_metrics = std::max(open_metrics, wanted.quality);
    if (is(kTextType, "0.0.4")) text = std::max(text, wanted.quality);
  }
  return open_metrics > 0 && open_metrics >= text ? metrics::Format::kOpenMetrics : metrics::Format::kText;
}

std::span<const Route> MetricsRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
