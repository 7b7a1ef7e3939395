#include "core/skills/skill.h"

#include "core/db/queries.h"

namespace gathering::skills {
namespace {

Error NoSuchAgent(std::int64_t id) {
  return Error{Code::kNotFound, "Agent " + std::to_string(id) + " not found"};
}

void Lock(db::Tx& tx, std::int64_t agent_id) {
  if (!tx.Maybe<std::int64_t>(sql::kAgentSkillsLock, agent_id)) throw NoSuchAgent(agent_id);
}

void RequireKnown(db::Tx& tx, const std::vector<std::string>& names) {
  const auto unknown = tx.Maybe<std::string>(sql::kSkillUnknown, names);
  if (!unknown) return;
  std::string available;
  for (const std::string& name : tx.All<std::string>(sql::kSkillNames)) {
    available += (available.empty() ? "'" : ", '") + name + "'";
  }
  throw Error{Code::kRejected, "Invalid skill name: " + *unknown + ". Available: [" + available + "]"};
}

SkillChange Changed(db::Tx& tx, std::int64_t agent_id, SkillOutcome outcome, const std::string& name) {
  AgentSkills now = Of(tx, agent_id);
  return {.status = outcome,
          .agent_id = agent_id,
          .skill = name,
          .skills = std::move(now.configured_skills),
          .tools_count = now.tools_count};
}

}  // namespace

AgentSkills Of(db::Executor& db, std::int64_t agent_id) {
  if (auto skills = db.Maybe<AgentSkills>(sql::kAgentSkillsOf, agent_id)) return *std::move(skills);
  throw NoSuchAgent(agent_id);
}

AgentSkills Set(db::Tx& tx, std::int64_t agent_id, const std::vector<std::string>& names) {
  Lock(tx, agent_id);
  RequireKnown(tx, names);
  tx.Run(sql::kAgentSkillsSet, agent_id, names);
  return Of(tx, agent_id);
}

SkillChange Add(db::Tx& tx, std::int64_t agent_id, const std::string& name) {
  Lock(tx, agent_id);
  RequireKnown(tx, {name});
  const bool added = tx.Run(sql::kAgentSkillsAdd, agent_id, name).affected() > 0;
  return Changed(tx, agent_id, added ? SkillOutcome::kAdded : SkillOutcome::kAlreadyExists, name);
}

SkillChange Remove(db::Tx& tx, std::int64_t agent_id, const std::string& name) {
  Lock(tx, agent_id);
  const bool removed = tx.Run(sql::kAgentSkillsRemove, agent_id, name).affected() > 0;
  return Changed(tx, agent_id, removed ? SkillOutcome::kRemoved : SkillOutcome::kNotFound, name);
}

}  // namespace gathering::skills
