#pragma once
// Personas: templates from which agents are made.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/timestamp.h"
#include "core/db/tx.h"
#include "core/schema/fields.h"

namespace gathering::personas {

// Characters, and entries of a list.
inline constexpr std::int64_t kNameMax = 100;
inline constexpr std::int64_t kRoleMax = 200;
inline constexpr std::int64_t kPromptMax = 100'000;
inline constexpr std::int64_t kStyleMax = 50;
inline constexpr std::int64_t kMottoMax = 1'000;
inline constexpr std::int64_t kDescriptionMax = 10'000;
inline constexpr std::int64_t kEntriesMax = 100;

struct Persona {
  std::int64_t id = 0;
  std::string display_name;
  std::string role;
  std::optional<std::string> base_prompt;
  std::vector<std::string> traits;
  std::string communication_style;
  std::vector<std::string> specializations;
  std::optional<std::string> description;
  std::optional<std::string> icon;
  bool is_builtin = false;
  OffsetTimestamp created_at;
  OffsetTimestamp updated_at;
  std::vector<std::string> languages;
  std::optional<std::string> motto;
  std::optional<std::vector<std::string>> work_ethic;
  std::optional<std::string> collaboration_notes;
  std::optional<std::string> full_prompt;
  std::optional<std::int64_t> default_model_id;
  std::optional<std::string> default_model_alias;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("display_name", self.display_name, {.doc = "Unique"});
    visit("role", self.role);
    visit("base_prompt", self.base_prompt);
    visit("traits", self.traits);
    visit("communication_style", self.communication_style);
    visit("specializations", self.specializations);
    visit("description", self.description);
    visit("icon", self.icon);
    visit("is_builtin", self.is_builtin, {.doc = "Came with the system; cannot be deleted"});
    visit("created_at", self.created_at);
    visit("updated_at", self.updated_at);
    visit("languages", self.languages);
    visit("motto", self.motto);
    visit("work_ethic", self.work_ethic);
    visit("collaboration_notes", self.collaboration_notes);
    visit("full_prompt", self.full_prompt, {.doc = "Wins over base_prompt where both are given"});
    visit("default_model_id", self.default_model_id, {.doc = "For agents made without naming a model"});
    visit("default_model_alias", self.default_model_alias);
  }
};

struct PersonaList {
  std::vector<Persona> personas;
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    visit("personas", self.personas);
    visit("total", self.total);
  }
};

struct NewPersona {
  std::string display_name;
  std::string role;
  std::optional<std::string> base_prompt = {};
  std::optional<std::string> full_prompt = {};
  std::vector<std::string> traits = {};
  std::string communication_style = "balanced";
  std::vector<std::string> specializations = {};
  std::vector<std::string> languages = {};
  std::optional<std::string> motto = {};
  std::optional<std::string> description = {};
  std::optional<std::int64_t> default_model_id = {};

  static void Fields(auto& self, auto& visit) {
    visit("display_name", self.display_name, {.doc = "Unique", .min = 1, .max = kNameMax, .required = true});
    visit("role", self.role, {.min = 1, .max = kRoleMax, .required = true});
    visit("base_prompt", self.base_prompt, {.max = kPromptMax});
    visit("full_prompt", self.full_prompt, {.doc = "Wins over base_prompt", .max = kPromptMax});
    visit("traits", self.traits, {.max = kEntriesMax});
    visit("communication_style", self.communication_style, {.max = kStyleMax});
    visit("specializations", self.specializations, {.max = kEntriesMax});
    visit("languages", self.languages, {.max = kEntriesMax});
    visit("motto", self.motto, {.max = kMottoMax});
    visit("description", self.description, {.max = kDescriptionMax});
    visit("default_model_id", self.default_model_id);
  }
};

// null and absent both leave a field as it is.
struct PersonaChange {
  std::optional<std::string> display_name = {};
  std::optional<std::string> role = {};
  std::optional<std::string> base_prompt = {};
  std::optional<std::string> full_prompt = {};
  std::optional<std::vector<std::string>> traits = {};
  std::optional<std::string> communication_style = {};
  std::optional<std::vector<std::string>> specializations = {};
  std::optional<std::vector<std::string>> languages = {};
  std::optional<std::string> motto = {};
  std::optional<std::string> description = {};
  std::optional<std::int64_t> default_model_id = {};

  static void Fields(auto& self, auto& visit) {
    visit("display_name", self.display_name, {.doc = "Unique", .min = 1, .max = kNameMax});
    visit("role", self.role, {.min = 1, .max = kRoleMax});
    visit("base_prompt", self.base_prompt, {.max = kPromptMax});
    visit("full_prompt", self.full_prompt, {.max = kPromptMax});
    visit("traits", self.traits, {.max = kEntriesMax});
    visit("communication_style", self.communication_style, {.max = kStyleMax});
    visit("specializations", self.specializations, {.max = kEntriesMax});
    visit("languages", self.languages, {.max = kEntriesMax});
    visit("motto", self.motto, {.max = kMottoMax});
    visit("description", self.description, {.max = kDescriptionMax});
    visit("default_model_id", self.default_model_id);
  }
};

// In the order they were made.
[[nodiscard]] PersonaList List(db::Executor& db);

// nullopt when there is none with this id.
[[nodiscard]] std::optional<Persona> Find(db::Executor& db, std::int64_t id);

// Throws kNotFound.
[[nodiscard]] Persona Get(db::Executor& db, std::int64_t id);

// Throws kConflict when the name is taken, kInvalid when there is no model with default_model_id.
Persona Create(db::Executor& db, const NewPersona& input);

// Throws kNotFound, and what Create throws.  A change that changes nothing leaves updated_at alone.
Persona Change(db::Executor& db, std::int64_t id, const PersonaChange& input);

// Deleting what is not there is fine; throws kRejected for a built-in persona.  Agents made from it
// are untouched.
void Delete(db::Executor& db, std::int64_t id);

}  // namespace gathering::personas
