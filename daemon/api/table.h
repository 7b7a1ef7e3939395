#pragma once
// The whole API: every noun's rows, each from the file of that noun.
#include <span>
#include <string_view>

#include "daemon/http/route.h"

namespace gathering::http {

std::span<const Route> AgentDbRoutes();  // agents.cpp
std::span<const Route> AgentRoutes();
std::span<const Route> AuthRoutes();
std::span<const Route> CircleRoutes();
std::span<const Route> DashboardRoutes();
std::span<const Route> DocsRoutes();
std::span<const Route> EventRoutes();
std::span<const Route> HealthRoutes();
std::span<const Route> MetricsRoutes();
std::span<const Route> ModelRoutes();
std::span<const Route> PersonaRoutes();
std::span<const Route> ProviderRoutes();
std::span<const Route> WebSocketRoutes();

// All of them, in the order in which the documentation shows them.
[[nodiscard]] std::span<const std::span<const Route>> RouteTables();

// Whether one of them has this id.
[[nodiscard]] bool IsRoute(std::string_view id);

}  // namespace gathering::http
