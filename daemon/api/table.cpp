#include "daemon/api/table.h"

namespace gathering::http {

std::span<const std::span<const Route>> RouteTables() {
  static const std::span<const Route> kTables[] = {
      DocsRoutes(),   HealthRoutes(),   AuthRoutes(),  AgentRoutes(),   AgentDbRoutes(),
      CircleRoutes(), ProviderRoutes(), ModelRoutes(), PersonaRoutes(), DashboardRoutes(),
  };
  return kTables;
}

}  // namespace gathering::http
