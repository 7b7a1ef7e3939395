#pragma once
// Agents: who they are (a persona of their own), what they run on (their
// configuration), and what they are at (their session).
//
// An agent made from a persona takes a copy of it; later changes of either leave
// the other alone.  Provider and model are texts and need not be in the
// catalogue.  What an agent has achieved is counted in its circles.
//
// Functions throw kNotFound "Agent 7 not found" for an id no agent has.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/timestamp.h"
#include "core/db/tx.h"
#include "core/personas/persona.h"
#include "core/schema/fields.h"

namespace gathering::agents {

inline constexpr std::string_view kDefaultProvider = "anthropic";
inline constexpr std::string_view kDefaultModel = "claude-sonnet-4-20250514";
inline constexpr std::int64_t kDefaultMaxTokens = 4'096;
inline constexpr double kDefaultTemperature = 0.7;

inline constexpr std::int64_t kProviderNameMax = 50;  // characters, here and below
inline constexpr std::int64_t kModelNameMax = 100;
inline constexpr std::int64_t kFilePathMax = 1'000;
inline constexpr std::int64_t kTaskTitleMax = 500;
inline constexpr std::int64_t kTaskProgressMax = 200;
inline constexpr std::int64_t kMaxTokensMax = 1'000'000'000;
inline constexpr std::int64_t kWorkingFilesMax = 100;  // of one agent; the oldest are forgotten

enum class AgentStatus : std::uint8_t { kIdle, kBusy, kOffline };

// --- input ---------------------------------------------------------------------------------------

// Who an agent is.  Name and role may be left out when the configuration names a persona to copy;
// of that persona everything not given here is taken.
struct AgentPersonaInput {
  std::optional<std::string> name = {};
  std::optional<std::string> role = {};
  std::optional<std::string> base_prompt = {};
  std::optional<std::vector<std::string>> traits = {};
  std::optional<std::string> communication_style = {};
  std::optional<std::vector<std::string>> specializations = {};
  std::optional<std::vector<std::string>> languages = {};
  std::optional<std::string> motto = {};

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.doc = "Needed unless config.persona_id is given", .max = personas::kNameMax});
    visit("role", self.role, {.doc = "Needed unless config.persona_id is given", .max = personas::kRoleMax});
    visit("base_prompt", self.base_prompt, {.max = personas::kPromptMax});
    visit("traits", self.traits, {.max = personas::kEntriesMax});
    visit("communication_style", self.communication_style,
          {.doc = "\"balanced\" unless given", .max = personas::kStyleMax});
    visit("specializations", self.specializations, {.max = personas::kEntriesMax});
    visit("languages", self.languages,
          {.doc = "[\"fr\", \"en\"] unless given", .max = personas::kEntriesMax});
    visit("motto", self.motto, {.max = personas::kMottoMax});
  }
};

// What an agent runs on.  model_id wins over provider and model; without any of the three the
// persona's model is taken, else the default one.
struct AgentConfigInput {
  std::optional<std::string> provider = {};
  std::optional<std::string> model = {};
  std::optional<std::int64_t> model_id = {};
  std::optional<std::int64_t> persona_id = {};
  std::int64_t max_tokens = kDefaultMaxTokens;
  double temperature = kDefaultTemperature;
  std::vector<std::string> competencies = {};
  std::vector<std::string> can_review = {};

  static void Fields(auto& self, auto& visit) {
    visit("provider", self.provider,
          {.doc = "\"anthropic\" unless given", .min = 1, .max = kProviderNameMax});
    visit("model", self.model,
          {.doc = "\"claude-sonnet-4-20250514\" unless given", .min = 1, .max = kModelNameMax});
    visit("model_id", self.model_id, {.doc = "A model of the catalogue, instead of provider and model"});
    visit("persona_id", self.persona_id, {.doc = "The persona to copy"});
    visit("max_tokens", self.max_tokens, {.min = 1, .max = kMaxTokensMax});
    visit("temperature", self.temperature, {.min = 0, .max = 2});
    visit("competencies", self.competencies,
          {.doc = "The specializations unless given", .max = personas::kEntriesMax});
    visit("can_review", self.can_review, {.max = personas::kEntriesMax});
  }
};

struct NewAgent {
  AgentPersonaInput persona;
  AgentConfigInput config;

  static void Fields(auto& self, auto& visit) {
    visit("persona", self.persona, {.required = true});
    visit("config", self.config);
  }
};

// Each part is replaced as a whole: what it leaves out goes back to its default.
struct AgentChange {
  std::optional<AgentPersonaInput> persona = {};
  std::optional<AgentConfigInput> config = {};

  static void Fields(auto& self, auto& visit) {
    visit("persona", self.persona);
    visit("config", self.config);
  }
};

struct TrackedFile {
  std::string file_path;

  static void Fields(auto& self, auto& visit) {
    visit("file_path", self.file_path, {.min = 1, .max = kFilePathMax, .required = true});
  }
};

struct CurrentTask {
  std::int64_t task_id = 0;
  std::string title;
  std::string progress;

  static void Fields(auto& self, auto& visit) {
    visit("task_id", self.task_id, {.required = true});
    visit("title", self.title, {.min = 1, .max = kTaskTitleMax, .required = true});
    visit("progress", self.progress, {.doc = "Free text, e.g. \"50%\"", .max = kTaskProgressMax});
  }
};

// --- output --------------------------------------------------------------------------------------

struct Agent {
  std::int64_t id = 0;
  std::string name;
  std::string role;
  std::string provider;
  std::string model;
  AgentStatus status = AgentStatus::kIdle;
  std::vector<std::string> competencies;
  std::vector<std::string> can_review;
  std::optional<std::string> current_task;
  Timestamp created_at;
  std::optional<Timestamp> last_activity;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id, {.required = true});
    visit("name", self.name, {.required = true});
    visit("role", self.role, {.required = true});
    visit("provider", self.provider, {.required = true});
    visit("model", self.model, {.required = true});
    visit("status", self.status, {.required = true});
    visit("competencies", self.competencies);
    visit("can_review", self.can_review);
    visit("current_task", self.current_task, {.doc = "Its title; empty without one"});
    visit("created_at", self.created_at, {.required = true});
    visit("last_activity", self.last_activity);
  }
};

struct AgentList {
  std::vector<Agent> agents;
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    visit("agents", self.agents, {.required = true});
    visit("total", self.total, {.required = true});
  }
};

struct AgentPersona {
  std::string name;
  std::string role;
  std::vector<std::string> traits;
  std::string communication_style;
  std::vector<std::string> specializations;
  std::vector<std::string> languages;
  std::optional<std::string> base_prompt;
  std::optional<std::string> motto;

  static void Fields(auto& self, auto& visit) {
    visit("name", self.name, {.required = true});
    visit("role", self.role, {.required = true});
    visit("traits", self.traits);
    visit("communication_style", self.communication_style);
    visit("specializations", self.specializations);
    visit("languages", self.languages);
    visit("base_prompt", self.base_prompt);
    visit("motto", self.motto);
  }
};

struct AgentConfig {
  std::string provider;
  std::string model;
  std::int64_t max_tokens = 0;
  double temperature = 0;
  std::vector<std::string> competencies;
  std::vector<std::string> can_review;
  std::optional<std::int64_t> model_id;
  std::optional<std::int64_t> persona_id;

  static void Fields(auto& self, auto& visit) {
    visit("provider", self.provider);
    visit("model", self.model);
    visit("max_tokens", self.max_tokens);
    visit("temperature", self.temperature);
    visit("competencies", self.competencies);
    visit("can_review", self.can_review);
    visit("model_id", self.model_id, {.doc = "null when the model is not in the catalogue"});
    visit("persona_id", self.persona_id, {.doc = "The persona it was copied from"});
  }
};

enum class SessionStatus : std::uint8_t { kActive, kIdle };

struct AgentSession {
  SessionStatus status = SessionStatus::kActive;
  std::vector<std::string> working_files;
  std::vector<std::string> pending_actions;
  std::int64_t message_count = 0;
  bool needs_resume = false;
  std::string time_since;
  std::chrono::microseconds holds_for{0};  // if nothing happens; not a field

  static void Fields(auto& self, auto& visit) {
    visit("status", self.status, {.doc = "active within an hour of the last activity, else idle"});
    visit("working_files", self.working_files, {.doc = "The newest last"});
    visit("pending_actions", self.pending_actions);
    visit("message_count", self.message_count);
    visit("needs_resume", self.needs_resume, {.doc = "Idle with a task or actions left"});
    visit("time_since", self.time_since, {.doc = "Since the last activity, in words"});
  }
};

struct AgentDetail : Agent {
  AgentPersona persona;
  AgentConfig config;
  AgentSession session;
  std::vector<std::string> skills;
  std::int64_t tools_count = 0;

  static void Fields(auto& self, auto& visit) {
    Agent::Fields(self, visit);
    visit("persona", self.persona, {.required = true});
    visit("config", self.config, {.required = true});
    visit("session", self.session);
    visit("skills", self.skills);
    visit("tools_count", self.tools_count);
  }
};

struct SessionTask {
  std::int64_t id = 0;
  std::string title;
  std::string progress;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("title", self.title);
    visit("progress", self.progress);
  }
};

struct SessionReport {
  SessionStatus status = SessionStatus::kActive;
  OffsetTimestamp last_activity;
  std::string time_since;
  bool needs_resume = false;
  std::vector<std::string> working_files;
  std::vector<std::string> pending_actions;
  std::optional<SessionTask> current_task;
  std::chrono::microseconds holds_for{0};  // if nothing happens; not a field

  static void Fields(auto& self, auto& visit) {
    visit("status", self.status);
    visit("last_activity", self.last_activity);
    visit("time_since", self.time_since);
    visit("needs_resume", self.needs_resume);
    visit("working_files", self.working_files);
    visit("pending_actions", self.pending_actions);
    visit("current_task", self.current_task);
  }
};

struct AgentReport {
  std::int64_t agent_id = 0;
  std::string name;
  std::string role;
  std::string provider;
  std::string model;
  bool is_processing = false;
  SessionReport session;
  std::vector<std::string> skills;
  std::int64_t tools_count = 0;
  std::optional<std::string> project;

  static void Fields(auto& self, auto& visit) {
    visit("agent_id", self.agent_id);
    visit("name", self.name);
    visit("role", self.role);
    visit("provider", self.provider);
    visit("model", self.model);
    visit("is_processing", self.is_processing, {.doc = "Busy with a conversation"});
    visit("session", self.session);
    visit("skills", self.skills);
    visit("tools_count", self.tools_count);
    visit("project", self.project);
  }
};

// An agent as the flat lists print it; the two spellings of times are the API's.
template <class Time>
struct AgentRowOf {
  std::int64_t id = 0;
  std::string name;
  std::string role;
  std::string provider;
  std::string model;  // the alias where the model is in the catalogue and has one
  AgentStatus status = AgentStatus::kIdle;
  bool is_active = true;
  std::int64_t tasks_completed = 0;
  std::int64_t reviews_done = 0;
  double approval_rate = 0;
  double average_quality_score = 0;
  std::optional<Time> last_active_at;
  std::string persona_name;
  std::string persona_role;
  std::int64_t memory_count = 0;
  std::int64_t message_count = 0;
  std::int64_t circle_count = 0;
  std::vector<std::string> competencies;
  std::vector<std::string> can_review;
  std::optional<std::string> current_task;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("name", self.name);
    visit("role", self.role);
    visit("provider", self.provider);
    visit("model", self.model, {.doc = "What people call the model"});
    visit("status", self.status);
    visit("is_active", self.is_active);
    visit("tasks_completed", self.tasks_completed, {.doc = "In all circles together"});
    visit("reviews_done", self.reviews_done, {.doc = "Given to others"});
    visit("approval_rate", self.approval_rate, {.doc = "Of its reviewed results, 0 to 1"});
    visit("average_quality_score", self.average_quality_score);
    visit("last_active_at", self.last_active_at);
    visit("persona_name", self.persona_name);
    visit("persona_role", self.persona_role);
    visit("memory_count", self.memory_count);
    visit("message_count", self.message_count);
    visit("circle_count", self.circle_count, {.doc = "Circles it is an active member of"});
    visit("competencies", self.competencies);
    visit("can_review", self.can_review);
    visit("current_task", self.current_task);
  }
};
struct AgentRow : AgentRowOf<OffsetTimestamp> {};
struct DashboardAgent : AgentRowOf<Timestamp> {};

struct AgentRowList {
  std::vector<AgentRow> agents;
  std::int64_t total = 0;

  static void Fields(auto& self, auto& visit) {
    visit("agents", self.agents);
    visit("total", self.total);
  }
};

// Everything about one agent, flat.
template <class Time>
struct AgentRecordOf {
  std::int64_t id = 0;
  std::string name;
  std::string role;
  std::string provider;
  std::string model;
  std::optional<std::int64_t> model_id;
  std::string model_name;
  std::optional<std::string> model_alias;
  std::string provider_name;
  std::optional<std::int64_t> persona_id;
  std::string persona_name;
  std::string persona_role;
  std::optional<std::string> system_prompt;
  std::vector<std::string> traits;
  std::string communication_style;
  std::vector<std::string> specializations;
  std::vector<std::string> languages;
  std::optional<std::string> motto;
  double temperature = 0;
  std::int64_t max_tokens = 0;
  std::vector<std::string> competencies;
  std::vector<std::string> can_review;
  double review_strictness = 0;
  std::optional<std::string> current_task;
  std::int64_t tasks_completed = 0;
  std::int64_t reviews_done = 0;
  double approval_rate = 0;
  double average_quality_score = 0;
  bool is_active = true;
  AgentStatus status = AgentStatus::kIdle;
  std::optional<Time> last_active_at;
  Time created_at;
  Time updated_at;
  std::optional<std::int64_t> context_window;
  std::optional<bool> extended_thinking;
  std::optional<bool> vision;
  std::optional<std::string> pricing_in;
  std::optional<std::string> pricing_out;
  std::int64_t memory_count = 0;
  std::int64_t message_count = 0;
  std::int64_t circle_count = 0;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("name", self.name);
    visit("role", self.role);
    visit("provider", self.provider);
    visit("model", self.model, {.doc = "What people call the model"});
    visit("model_id", self.model_id, {.doc = "null when the model is not in the catalogue"});
    visit("model_name", self.model_name, {.doc = "What the provider calls it"});
    visit("model_alias", self.model_alias);
    visit("provider_name", self.provider_name);
    visit("persona_id", self.persona_id, {.doc = "The persona it was copied from"});
    visit("persona_name", self.persona_name);
    visit("persona_role", self.persona_role);
    visit("system_prompt", self.system_prompt);
    visit("traits", self.traits);
    visit("communication_style", self.communication_style);
    visit("specializations", self.specializations);
    visit("languages", self.languages);
    visit("motto", self.motto);
    visit("temperature", self.temperature);
    visit("max_tokens", self.max_tokens);
    visit("competencies", self.competencies);
    visit("can_review", self.can_review);
    visit("review_strictness", self.review_strictness);
    visit("current_task", self.current_task);
    visit("tasks_completed", self.tasks_completed);
    visit("reviews_done", self.reviews_done);
    visit("approval_rate", self.approval_rate);
    visit("average_quality_score", self.average_quality_score);
    visit("is_active", self.is_active);
    visit("status", self.status);
    visit("last_active_at", self.last_active_at);
    visit("created_at", self.created_at);
    visit("updated_at", self.updated_at);
    visit("context_window", self.context_window);
    visit("extended_thinking", self.extended_thinking);
    visit("vision", self.vision);
    visit("pricing_in", self.pricing_in);
    visit("pricing_out", self.pricing_out);
    visit("memory_count", self.memory_count);
    visit("message_count", self.message_count);
    visit("circle_count", self.circle_count);
  }
};
struct AgentRecord : AgentRecordOf<OffsetTimestamp> {};
struct DashboardAgentRecord : AgentRecordOf<Timestamp> {};

// --- functions -----------------------------------------------------------------------------------

[[nodiscard]] Error NoSuchAgent(std::int64_t id);

// By id, oldest first.
[[nodiscard]] AgentList List(db::Executor& db);
[[nodiscard]] AgentRowList ListRows(db::Executor& db);
[[nodiscard]] std::vector<DashboardAgent> ListForDashboard(db::Executor& db);

[[nodiscard]] AgentDetail Get(db::Executor& db, std::int64_t id);
[[nodiscard]] AgentRecord GetRecord(db::Executor& db, std::int64_t id);
[[nodiscard]] DashboardAgentRecord GetForDashboard(db::Executor& db, std::int64_t id);
[[nodiscard]] AgentReport Report(db::Executor& db, std::int64_t id);

// Both throw kInvalid for a name or role that is missing, and for a persona or model that does not exist.
AgentDetail Create(db::Tx& tx, const NewAgent& input);
AgentDetail Change(db::Tx& tx, std::int64_t id, const AgentChange& input);

struct Removal {
  std::int64_t agent_id = 0;
  std::string_view user;  // the id of who asks
};
// The agent leaves its circles first, so that its unfinished tasks go to others.
void Delete(db::Tx& tx, const Removal& removal);

// A file tracked again counts as new.
void TrackFile(db::Tx& tx, std::int64_t id, const TrackedFile& file);
void SetTask(db::Executor& db, std::int64_t id, const CurrentTask& task);
void ClearTask(db::Executor& db, std::int64_t id);

}  // namespace gathering::agents

template <>
struct gathering::schema::Names<gathering::agents::AgentStatus> {
  static constexpr std::string_view kTexts[] = {"idle", "busy", "offline"};
};
template <>
struct gathering::schema::Names<gathering::agents::SessionStatus> {
  static constexpr std::string_view kTexts[] = {"active", "idle"};
};
