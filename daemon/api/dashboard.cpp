// /dashboard: the catalogue, the circles and their figures as the dashboard reads them.
#include "core/dashboard/dashboard.h"

#include "core/agents/agent.h"
#include "core/models/model.h"
#include "core/providers/provider.h"
#include "daemon/api/table.h"

namespace gathering::http {
namespace {

struct DashboardAgentPath {
  std::int64_t agent_id = 0;

  static void Fields(auto& self, auto& visit) { visit("agent_id", self.agent_id, {.required = true}); }
};
struct DashboardProviderPath {
  std::int64_t provider_id = 0;

  static void Fields(auto& self, auto& visit) { visit("provider_id", self.provider_id, {.required = true}); }
};
struct DashboardModelPath {
  std::int64_t model_id = 0;

  static void Fields(auto& self, auto& visit) { visit("model_id", self.model_id, {.required = true}); }
};
struct DashboardCirclePath {
  std::int64_t circle_id = 0;

  static void Fields(auto& self, auto& visit) { visit("circle_id", self.circle_id, {.required = true}); }
};

struct DashboardModelQuery {
  std::optional<std::int64_t> provider_id;

  static void Fields(auto& self, auto& visit) { visit("provider_id", self.provider_id); }
};
struct DashboardCircleQuery {
  std::optional<bool> is_active;

  static void Fields(auto& self, auto& visit) {
    visit("is_active", self.is_active, {.doc = "Only circles that are, or that are not, deleted"});
  }
};
struct DashboardTaskQuery {
  std::optional<tasks::TaskStatus> status;

  static void Fields(auto& self, auto& visit) { visit("status", self.status); }
};

struct DashboardFeatures {
  bool agents = true;
  bool circles = true;
  bool conversations = false;
  bool memories = false;

  static void Fields(auto& self, auto& visit) {
    visit("agents", self.agents);
    visit("circles", self.circles);
    visit("conversations", self.conversations);
    visit("memories", self.memories);
  }
};
struct DashboardConfig {
  bool demo_mode = false;
  std::string version = GATHERING_VERSION;
  DashboardFeatures features;

  static void Fields(auto& self, auto& visit) {
    visit("demo_mode", self.demo_mode, {.doc = "Always false: everything shown is real"});
    visit("version", self.version);
    visit("features", self.features);
  }
};

struct DashboardAgents {
  std::vector<agents::DashboardAgent> agents;
  std::int64_t total = 0;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("agents", self.agents);
    visit("total", self.total);
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardAgentDetail {
  agents::DashboardAgentRecord agent;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("agent", self.agent);
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardProviders {
  std::vector<providers::DashboardProvider> providers;
  std::int64_t total = 0;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("providers", self.providers);
    visit("total", self.total);
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardProviderDetail {
  providers::DashboardProvider provider;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("provider", self.provider);
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardModels {
  std::vector<models::DashboardModel> models;
  std::int64_t total = 0;
  std::optional<std::int64_t> provider_id;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("models", self.models);
    visit("total", self.total);
    visit("provider_id", self.provider_id, {.doc = "The filter asked for"});
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardModelDetail {
  models::DashboardModel model;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("model", self.model);
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardCircles {
  std::vector<dashboard::DashboardCircle> circles;
  std::int64_t total = 0;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("circles", self.circles);
    visit("total", self.total);
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardCircleDetail {
  dashboard::DashboardCircle circle;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("circle", self.circle);
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardMembers {
  std::int64_t circle_id = 0;
  std::vector<dashboard::DashboardMember> members;
  std::int64_t total = 0;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("circle_id", self.circle_id);
    visit("members", self.members);
    visit("total", self.total);
    visit("demo_mode", self.demo_mode);
  }
};
struct DashboardTasks {
  std::int64_t circle_id = 0;
  std::vector<dashboard::DashboardTask> tasks;
  std::int64_t total = 0;
  std::optional<tasks::TaskStatus> status_filter;
  bool demo_mode = false;

  static void Fields(auto& self, auto& visit) {
    visit("circle_id", self.circle_id);
    visit("tasks", self.tasks);
    visit("total", self.total);
    visit("status_filter", self.status_filter, {.doc = "The filter asked for"});
    visit("demo_mode", self.demo_mode);
  }
};

std::int64_t Count(const auto& list) {
  return static_cast<std::int64_t>(list.size());
}

Error NotFound(std::string_view noun, std::int64_t id) {
  return Error{Code::kNotFound, std::string{noun} + " " + std::to_string(id) + " not found"};
}

DashboardConfig Configuration(Call&) {
  return {};
}

DashboardAgents Agents(Call& call) {
  auto agents = agents::ListForDashboard(call.db());
  const std::int64_t total = Count(agents);
  return {.agents = std::move(agents), .total = total};
}

DashboardAgentDetail Agent(Call& call, Path<DashboardAgentPath> path) {
  return {.agent = agents::GetForDashboard(call.db(), path->agent_id)};
}

DashboardProviders Providers(Call& call) {
  auto providers = providers::ListForDashboard(call.db());
  const std::int64_t total = Count(providers);
  return {.providers = std::move(providers), .total = total};
}

DashboardProviderDetail Provider(Call& call, Path<DashboardProviderPath> path) {
  auto provider = providers::FindForDashboard(call.db(), path->provider_id);
  if (!provider) throw NotFound("Provider", path->provider_id);
  return {.provider = *std::move(provider)};
}

DashboardModels Models(Call& call, Query<DashboardModelQuery> query) {
  const models::ModelFilter filter{.provider_id = query->provider_id, .include_deprecated = true};
  auto models = models::ListForDashboard(call.db(), filter);
  const std::int64_t total = Count(models);
  return {.models = std::move(models), .total = total, .provider_id = query->provider_id};
}

DashboardModelDetail Model(Call& call, Path<DashboardModelPath> path) {
  auto model = models::FindForDashboard(call.db(), path->model_id);
  if (!model) throw NotFound("Model", path->model_id);
  return {.model = *std::move(model)};
}

dashboard::DashboardStats Stats(Call& call) {
  return dashboard::Stats(call.db());
}

DashboardCircles Circles(Call& call, Query<DashboardCircleQuery> query) {
  auto circles = dashboard::Circles(call.db(), query->is_active);
  const std::int64_t total = Count(circles);
  return {.circles = std::move(circles), .total = total};
}

DashboardCircleDetail Circle(Call& call, Path<DashboardCirclePath> path) {
  auto circle = dashboard::FindCircle(call.db(), path->circle_id);
  if (!circle) throw NotFound("Circle", path->circle_id);
  return {.circle = *std::move(circle)};
}

DashboardMembers Members(Call& call, Path<DashboardCirclePath> path) {
  auto members = dashboard::Members(call.db(), path->circle_id);
  const std::int64_t total = Count(members);
  return {.circle_id = path->circle_id, .members = std::move(members), .total = total};
}

DashboardTasks Tasks(Call& call, Path<DashboardCirclePath> path, Query<DashboardTaskQuery> query) {
  auto tasks = dashboard::Tasks(call.db(), path->circle_id, query->status);
  const std::int64_t total = Count(tasks);
  return {.circle_id = path->circle_id,
          .tasks = std::move(tasks),
          .total = total,
          .status_filter = query->status};
}

constexpr Route kRoutes[] = {
    {"dashboard.config", Method::kGet, "/dashboard/config", Authority::kUser, Tier::kRead, kNoStatements,
     Handle<&Configuration>, "What the dashboard can show."},
    {"dashboard.agents", Method::kGet, "/dashboard/agents", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Agents>, "All agents with what they have achieved."},
    {"dashboard.agent", Method::kGet, "/dashboard/agents/{agent_id}", Authority::kUser, Tier::kRead,
     Statements{1}, Handle<&Agent>, "Everything about one agent."},
    {"dashboard.providers", Method::kGet, "/dashboard/providers", Authority::kUser, Tier::kRead,
     Statements{1}, Handle<&Providers>, "All providers with the number of their models."},
    {"dashboard.provider", Method::kGet, "/dashboard/providers/{provider_id}", Authority::kUser, Tier::kRead,
     Statements{1}, Handle<&Provider>, "One provider."},
    {"dashboard.models", Method::kGet, "/dashboard/models", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Models>, "All models, deprecated ones included."},
    {"dashboard.model", Method::kGet, "/dashboard/models/{model_id}", Authority::kUser, Tier::kRead,
     Statements{1}, Handle<&Model>, "One model."},
    {"dashboard.stats", Method::kGet, "/dashboard/stats", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Stats>, "How many there are of everything."},
    {"dashboard.circles", Method::kGet, "/dashboard/circles", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Circles>, "All circles, newest first, deleted ones included."},
    {"dashboard.circle", Method::kGet, "/dashboard/circles/{circle_id}", Authority::kUser, Tier::kRead,
     Statements{1}, Handle<&Circle>, "One circle."},
    {"dashboard.circle.members", Method::kGet, "/dashboard/circles/{circle_id}/members", Authority::kUser,
     Tier::kRead, Statements{2}, Handle<&Members>, "A circle's active members."},
    {"dashboard.circle.tasks", Method::kGet, "/dashboard/circles/{circle_id}/tasks", Authority::kUser,
     Tier::kRead, Statements{2}, Handle<&Tasks>, "A circle's tasks, oldest first."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> DashboardRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
