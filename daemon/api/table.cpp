#include "daemon/api/table.h"

#include <algorithm>

namespace gathering::http {

std::span<const std::span<const Route>> RouteTables() {
  static const std::span<const Route> kTables[] = {
      DocsRoutes(),      HealthRoutes(), MetricsRoutes(),   AuthRoutes(),  AgentRoutes(),
      AgentDbRoutes(),   CircleRoutes(), ProviderRoutes(),  ModelRoutes(), PersonaRoutes(),
      DashboardRoutes(), EventRoutes(),  WebSocketRoutes(),
  };
  return kTables;
}

bool IsRoute(std::string_view id) {
  return std::ranges::any_of(RouteTables(), [&](std::span<const Route> table) {
    return std::ranges::find(table, id, &Route::id) != table.end();
  });
}

}  // namespace gathering::http
