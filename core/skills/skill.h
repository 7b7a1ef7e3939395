#pragma once
// Skills: what agents can be taught, and which agent has which.
//
// The catalogue comes with the schema.  An agent's skills keep the order they
// were given in.  A configured skill is loaded unless it is switched off for
// everybody; then it counts as failed.
#include <cstdint>
#include <string>
#include <vector>

#include "core/db/tx.h"
#include "core/schema/fields.h"

namespace gathering::skills {

struct SkillDetail {
  std::string name;
  std::string description;
  std::string version;
  std::int64_t tools_count = 0;
  std::vector<std::string> tools;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name);
    visit("description", self.description);
    visit("version", self.version);
    visit("tools_count", self.tools_count);
    visit("tools", self.tools, {.doc = "The tools' names, where they are known"});
  }
};

struct AgentSkills {
  std::int64_t agent_id = 0;
  std::vector<std::string> configured_skills;
  std::vector<std::string> loaded_skills;
  std::vector<std::string> failed_skills;
  schema::Json<std::vector<SkillDetail>> skill_details;
  std::vector<std::string> available_skills;
  std::int64_t tools_count = 0;

  static void Fields(auto& self, auto& visit) {
    visit("agent_id", self.agent_id);
    visit("configured_skills", self.configured_skills, {.doc = "As given, in order"});
    visit("loaded_skills", self.loaded_skills);
    visit("failed_skills", self.failed_skills);
    visit("skill_details", self.skill_details, {.doc = "Of the loaded skills"});
    visit("available_skills", self.available_skills, {.doc = "All that can be given, sorted"});
    visit("tools_count", self.tools_count, {.doc = "Tools of the loaded skills together"});
  }
};

enum class SkillOutcome : std::uint8_t { kAdded, kAlreadyExists, kRemoved, kNotFound };

struct SkillChange {
  SkillOutcome status = SkillOutcome::kAdded;
  std::int64_t agent_id = 0;
  std::string skill;
  std::vector<std::string> skills;
  std::int64_t tools_count = 0;

  static void Fields(auto& self, auto& visit) {
    visit("status", self.status);
    visit("agent_id", self.agent_id);
    visit("skill", self.skill);
    visit("skills", self.skills, {.doc = "The agent's skills now"});
    visit("tools_count", self.tools_count);
  }
};

// All four throw kNotFound when there is no such agent; Set and Add throw kRejected, naming what is
// available, for a skill that is not in the catalogue.
[[nodiscard]] AgentSkills Of(db::Executor& db, std::int64_t agent_id);

// Repeated names count once, in their first place.
AgentSkills Set(db::Tx& tx, std::int64_t agent_id, const std::vector<std::string>& names);
SkillChange Add(db::Tx& tx, std::int64_t agent_id, const std::string& name);
SkillChange Remove(db::Tx& tx, std::int64_t agent_id, const std::string& name);

}  // namespace gathering::skills

template <>
struct gathering::schema::Names<gathering::skills::SkillOutcome> {
  static constexpr std::string_view kTexts[] = {"added", "already_exists", "removed", "not_found"};
};
