// /agents and /agents-db: agents, their sessions and their skills.
#include "core/agents/agent.h"

#include "core/skills/skill.h"
#include "daemon/api/table.h"
#include "daemon/http/remembered.h"

namespace gathering::http {
namespace {

struct AgentPath {
  std::int64_t agent_id = 0;

  static void Fields(auto& self, auto& visit) { visit("agent_id", self.agent_id, {.required = true}); }
};

struct AgentSkillPath {
  std::int64_t agent_id = 0;
  std::string skill_name;

  static void Fields(auto& self, auto& visit) {
    visit("agent_id", self.agent_id, {.required = true});
    visit("skill_name", self.skill_name, {.required = true});
  }
};

// The session's calls answer with what they did.
struct SessionCleared {
  std::string status = "ok";

  static void Fields(auto& self, auto& visit) { visit("status", self.status); }
};
struct FileTracked {
  std::string status = "ok";
  std::string file;

  static void Fields(auto& self, auto& visit) {
    visit("status", self.status);
    visit("file", self.file);
  }
};
struct TaskSet {
  std::string status = "ok";
  std::int64_t task_id = 0;
  std::string title;

  static void Fields(auto& self, auto& visit) {
    visit("status", self.status);
    visit("task_id", self.task_id);
    visit("title", self.title);
  }
};

agents::AgentList List(Call& call) {
  return agents::List(call.db());
}

Created<agents::AgentDetail> Create(Call& call, Body<agents::NewAgent> body) {
  return {call.Write([&](db::Tx& tx) { return agents::Create(tx, body.value); })};
}

Remembered<agents::AgentDetail> Get(Call& call, Path<AgentPath> path) {
  return Remember(call, Answers::Kind::kAgents, path->agent_id,
                  [&] { return agents::Get(call.db(), path->agent_id); });
}

agents::AgentDetail Change(Call& call, Path<AgentPath> path, Body<agents::AgentChange> body) {
  return call.Write([&](db::Tx& tx) { return agents::Change(tx, path->agent_id, body.value); });
}

void Delete(Call& call, Path<AgentPath> path) {
  call.Write([&](db::Tx& tx) {
    agents::Delete(tx, {.agent_id = path->agent_id, .user = call.principal().user_id});
  });
}

Remembered<agents::AgentReport> Report(Call& call, Path<AgentPath> path) {
  return Remember(call, Answers::Kind::kSessions, path->agent_id,
                  [&] { return agents::Report(call.db(), path->agent_id); });
}

FileTracked TrackFile(Call& call, Path<AgentPath> path, Query<agents::TrackedFile> query) {
  call.Write([&](db::Tx& tx) { agents::TrackFile(tx, path->agent_id, query.value); });
  return {.file = query->file_path};
}

TaskSet SetTask(Call& call, Path<AgentPath> path, Query<agents::CurrentTask> query) {
  agents::SetTask(call.db(), path->agent_id, query.value);
  return {.task_id = query->task_id, .title = query->title};
}

SessionCleared ClearTask(Call& call, Path<AgentPath> path) {
  agents::ClearTask(call.db(), path->agent_id);
  return {};
}

skills::AgentSkills Skills(Call& call, Path<AgentPath> path) {
  return skills::Of(call.db(), path->agent_id);
}

skills::AgentSkills SetSkills(Call& call, Path<AgentPath> path, Body<std::vector<std::string>> body) {
  return call.Write([&](db::Tx& tx) { return skills::Set(tx, path->agent_id, body.value); });
}

skills::SkillChange AddSkill(Call& call, Path<AgentSkillPath> path) {
  return call.Write([&](db::Tx& tx) { return skills::Add(tx, path->agent_id, path->skill_name); });
}

skills::SkillChange RemoveSkill(Call& call, Path<AgentSkillPath> path) {
  return call.Write([&](db::Tx& tx) { return skills::Remove(tx, path->agent_id, path->skill_name); });
}

agents::AgentRowList ListRows(Call& call) {
  return agents::ListRows(call.db());
}

agents::AgentRecord GetRecord(Call& call, Path<AgentPath> path) {
  return agents::GetRecord(call.db(), path->agent_id);
}

constexpr Route kRoutes[] = {
    {"agents.list", Method::kGet, "/agents", Authority::kUser, Tier::kRead, Statements{1}, Handle<&List>,
     "All agents, oldest first."},
    {"agents.create", Method::kPost, "/agents", Authority::kUser, Tier::kWrite, Statements{4},
     Handle<&Create>, "Create an agent, of its own or after a persona."},
    {"agents.get", Method::kGet, "/agents/{agent_id}", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Get>, "One agent with its persona, configuration and session."},
    {"agents.change", Method::kPatch, "/agents/{agent_id}", Authority::kUser, Tier::kWrite, Statements{7},
     Handle<&Change>, "Replace an agent's persona, its configuration, or both."},
    {"agents.delete", Method::kDelete, "/agents/{agent_id}", Authority::kUser, Tier::kWrite, kVaries,
     Handle<&Delete>, "Delete an agent; it leaves its circles."},
    {"agents.status", Method::kGet, "/agents/{agent_id}/status", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Report>, "What an agent is at."},
    {"agents.session.track_file", Method::kPost, "/agents/{agent_id}/session/track-file", Authority::kUser,
     Tier::kWrite, Statements{2}, Handle<&TrackFile>, "Note a file the agent works on."},
    {"agents.session.set_task", Method::kPost, "/agents/{agent_id}/session/set-task", Authority::kUser,
     Tier::kWrite, Statements{1}, Handle<&SetTask>, "Say which task the agent is at."},
    {"agents.session.clear_task", Method::kDelete, "/agents/{agent_id}/session/task", Authority::kUser,
     Tier::kWrite, Statements{1}, Handle<&ClearTask>, "Say that the agent is at no task."},
    {"agents.skills.list", Method::kGet, "/agents/{agent_id}/skills", Authority::kUser, Tier::kRead,
     Statements{1}, Handle<&Skills>, "An agent's skills and those it could have."},
    {"agents.skills.set", Method::kPut, "/agents/{agent_id}/skills", Authority::kUser, Tier::kWrite,
     Statements{4}, Handle<&SetSkills>, "Replace an agent's skills."},
    {"agents.skills.add", Method::kPost, "/agents/{agent_id}/skills/{skill_name}", Authority::kUser,
     Tier::kWrite, Statements{4}, Handle<&AddSkill>, "Give an agent a skill."},
    {"agents.skills.remove", Method::kDelete, "/agents/{agent_id}/skills/{skill_name}", Authority::kUser,
     Tier::kWrite, Statements{3}, Handle<&RemoveSkill>, "Take a skill from an agent."},
};
static_assert(WellFormed(kRoutes));

constexpr Route kFlatRoutes[] = {
    {"agents_db.list", Method::kGet, "/agents-db", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&ListRows>, "All agents as flat rows with what they have achieved."},
    {"agents_db.get", Method::kGet, "/agents-db/{agent_id}", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&GetRecord>, "Everything about one agent in one flat row."},
};
static_assert(WellFormed(kFlatRoutes));

}  // namespace

std::span<const Route> AgentRoutes() {
  return kRoutes;
}

std::span<const Route> AgentDbRoutes() {
  return kFlatRoutes;
}

}  // namespace gathering::http
