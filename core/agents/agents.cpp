#include "core/agents/agent.h"

#include <charconv>
#include <type_traits>
#include <utility>

#include "core/base/limits.h"
#include "core/circles/circle.h"
#include "core/db/queries.h"
#include "core/models/model.h"
#include "core/schema/writer.h"

namespace gathering::agents {
namespace {

// An agent's persona and configuration with nothing left open.
struct Persona {
  std::string name;
  std::string role;
  std::optional<std::string> base_prompt;
  std::vector<std::string> traits;
  std::string communication_style;
  std::vector<std::string> specializations;
  std::vector<std::string> languages;
  std::optional<std::string> motto;
};
struct ModelName {
  std::string provider;
  std::string model;
};
struct Lock {
  std::int64_t id = 0;
  std::optional<std::int64_t> persona_id;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("persona_id", self.persona_id);
  }
};

// An agent as stored, with its skills ("github 12": name and number of tools) and files.
struct WholeAgent {
  std::int64_t id = 0;
  std::string name;
  std::string role;
  std::string provider_name;
  std::string model_name;
  AgentStatus status = AgentStatus::kIdle;
  std::vector<std::string> competencies;
  std::vector<std::string> specializations;
  std::vector<std::string> can_review;
  std::optional<std::int64_t> current_task_id;
  std::optional<std::string> current_task_title;
  std::optional<std::string> current_task_progress;
  Timestamp created_at;
  std::optional<Timestamp> last_active_at;
  Timestamp now;
  std::vector<std::string> traits;
  std::string communication_style;
  std::vector<std::string> languages;
  std::optional<std::string> base_prompt;
  std::optional<std::string> motto;
  std::int64_t max_tokens = 0;
  double temperature = 0;
  std::optional<std::int64_t> model_id;
  std::optional<std::int64_t> persona_id;
  std::vector<std::string> pending_actions;
  std::vector<std::string> working_files;
  std::vector<std::string> skills;

  static void Fields(auto& self, auto& visit) {
    visit("id", self.id);
    visit("name", self.name);
    visit("role", self.role);
    visit("provider_name", self.provider_name);
    visit("model_name", self.model_name);
    visit("status", self.status);
    visit("competencies", self.competencies);
    visit("specializations", self.specializations);
    visit("can_review", self.can_review);
    visit("current_task_id", self.current_task_id);
    visit("current_task_title", self.current_task_title);
    visit("current_task_progress", self.current_task_progress);
    visit("created_at", self.created_at);
    visit("last_active_at", self.last_active_at);
    visit("now", self.now);
    visit("traits", self.traits);
    visit("communication_style", self.communication_style);
    visit("languages", self.languages);
    visit("base_prompt", self.base_prompt);
    visit("motto", self.motto);
    visit("max_tokens", self.max_tokens);
    visit("temperature", self.temperature);
    visit("model_id", self.model_id);
    visit("persona_id", self.persona_id);
    visit("pending_actions", self.pending_actions);
    visit("working_files", self.working_files);
    visit("skills", self.skills);
  }
  [[nodiscard]] Timestamp last_activity() const { return last_active_at.value_or(created_at); }
};

constexpr std::int64_t kMinute = 60;  // seconds
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

// How long ago, as the dashboard's users read it.
std::string TimeSince(std::int64_t seconds) {
  if (seconds < kMinute) return "quelques secondes";
  if (seconds < 2 * kMinute) return "1 minute";
  if (seconds < kHour) return std::to_string(seconds / kMinute) + " minutes";
  if (seconds < 2 * kHour) return "1 heure";
  if (seconds < kDay) return std::to_string(seconds / kHour) + " heures";
  if (seconds < 2 * kDay) return "1 jour";
  return std::to_string(seconds / kDay) + " jours";
}

// Until that reads differently.
std::chrono::microseconds UntilNextTimeSince(std::int64_t micros) {
  constexpr std::int64_t kMicros = 1'000'000;
  const std::int64_t step = (micros < kHour * kMicros  ? kMinute
                             : micros < kDay * kMicros ? kHour
                                                       : kDay) *
                            kMicros;
  return std::chrono::microseconds{micros < 0 ? 0 : step - micros % step};
}

// Fills what sessions and reports of sessions have in common.
template <class Session>
Session Judge(WholeAgent& agent) {
  const std::int64_t micros = agent.now.micros - agent.last_activity().micros;
  const std::int64_t seconds = micros / 1'000'000;
  const bool idle = seconds >= kHour;
  Session session;
  session.status = idle ? SessionStatus::kIdle : SessionStatus::kActive;
  session.needs_resume = idle && (agent.current_task_id || !agent.pending_actions.empty());
  session.time_since = TimeSince(seconds);
  session.holds_for = UntilNextTimeSince(micros);
  session.working_files = std::move(agent.working_files);
  session.pending_actions = std::move(agent.pending_actions);
  return session;
}

// Names into `skills`; the sum of their tools comes back.
std::int64_t TakeSkills(WholeAgent& agent, std::vector<std::string>& skills) {
  std::int64_t tools = 0;
  for (std::string& skill : agent.skills) {
    const std::size_t space = skill.find(' ');
    std::int64_t count = 0;
    std::from_chars(skill.data() + space + 1, skill.data() + skill.size(), count);
    tools += count;
    skill.resize(space);
  }
  skills = std::move(agent.skills);
  return tools;
}

AgentDetail ToDetail(WholeAgent agent) {
  const std::vector<std::string>& competencies =
      agent.competencies.empty() ? agent.specializations : agent.competencies;
  AgentDetail detail;
  detail.session = Judge<AgentSession>(agent);
  detail.tools_count = TakeSkills(agent, detail.skills);
  detail.id = agent.id;
  detail.status = agent.status;
  detail.current_task = std::move(agent.current_task_title).value_or("");
  detail.created_at = agent.created_at;
  detail.last_activity = agent.last_activity();
  detail.config = {.provider = agent.provider_name,
                   .model = agent.model_name,
                   .max_tokens = agent.max_tokens,
                   .temperature = agent.temperature,
                   .competencies = competencies,
                   .can_review = agent.can_review,
                   .model_id = agent.model_id,
                   .persona_id = agent.persona_id};
  detail.competencies = competencies;
  detail.can_review = std::move(agent.can_review);
  detail.provider = std::move(agent.provider_name);
  detail.model = std::move(agent.model_name);
  detail.persona = {.name = agent.name,
                    .role = agent.role,
                    .traits = std::move(agent.traits),
                    .communication_style = std::move(agent.communication_style),
                    .specializations = std::move(agent.specializations),
                    .languages = std::move(agent.languages),
                    .base_prompt = std::move(agent.base_prompt),
                    .motto = std::move(agent.motto)};
  detail.name = std::move(agent.name);
  detail.role = std::move(agent.role);
  return detail;
}

AgentReport ToReport(WholeAgent agent) {
  AgentReport report;
  report.session = Judge<SessionReport>(agent);
  report.session.last_activity = {agent.last_activity().micros};
  if (agent.current_task_id) {
    report.session.current_task = {.id = *agent.current_task_id,
                                   .title = std::move(agent.current_task_title).value_or(""),
                                   .progress = std::move(agent.current_task_progress).value_or("")};
  }
  report.tools_count = TakeSkills(agent, report.skills);
  report.agent_id = agent.id;
  report.name = std::move(agent.name);
  report.role = std::move(agent.role);
  report.provider = std::move(agent.provider_name);
  report.model = std::move(agent.model_name);
  report.is_processing = agent.status == AgentStatus::kBusy;
  return report;
}

// Writes the fields that were given, so that an error can show what came in.
class GivenWriter {
 public:
  explicit GivenWriter(std::string& out) : writer_(out) {}
  template <class T>
  void operator()(std::string_view name, const std::optional<T>& value, const schema::Rule& = {}) {
    if (value) writer_(name, *value);
  }
  void Close() { writer_.Close(); }

 private:
  schema::JsonWriter writer_;
};

std::string Given(const AgentPersonaInput& input) {
  std::string text;
  GivenWriter writer{text};
  AgentPersonaInput::Fields(input, writer);
  writer.Close();
  return text;
}

void RequireText(const AgentPersonaInput& input, const std::string& field,
                 const std::optional<std::string>& value, std::vector<FieldError>& errors) {
  if (!value) {
    errors.push_back({"missing", {"body", "persona", field}, "Field required", Given(input), {}});
  } else if (value->empty()) {
    errors.push_back({"string_too_short",
                      {"body", "persona", field},
                      "String should have at least 1 character",
                      "\"\"",
                      R"({"min_length":1})"});
  }
}

bool IsGiven(const std::optional<std::string>& text) {
  return text && !text->empty();
}

// What was given, else what the template says, else the default.
Persona Complete(const AgentPersonaInput& input, const std::optional<personas::Persona>& model) {
  std::vector<FieldError> errors;
  if (!model) {
    RequireText(input, "name", input.name, errors);
    RequireText(input, "role", input.role, errors);
  }
  if (!errors.empty()) throw Error{std::move(errors)};
  const personas::Persona base = model.value_or(personas::Persona{});
  const std::vector<std::string> languages =
      base.languages.empty() ? std::vector<std::string>{"fr", "en"} : base.languages;
  return {.name = IsGiven(input.name) ? *input.name : base.display_name,
          .role = IsGiven(input.role) ? *input.role : base.role,
          .base_prompt = input.base_prompt  ? input.base_prompt
                         : base.full_prompt ? base.full_prompt
                                            : base.base_prompt,
          .traits = input.traits.value_or(base.traits),
          .communication_style =
              input.communication_style.value_or(model ? base.communication_style : "balanced"),
          .specializations = input.specializations.value_or(base.specializations),
          .languages = input.languages.value_or(languages),
          .motto = input.motto ? input.motto : base.motto};
}

std::optional<personas::Persona> Template(db::Tx& tx, const AgentConfigInput& config) {
  if (!config.persona_id) return std::nullopt;
  auto persona = personas::Find(tx, *config.persona_id);
  if (persona) return persona;
  const std::string id = std::to_string(*config.persona_id);
  throw Error{std::vector{FieldError{.type = "value_error",
                                     .location = {"body", "config", "persona_id"},
                                     .message = "Value error, persona " + id + " does not exist",
                                     .input = id,
                                     .context = {}}}};
}

ModelName Choose(db::Tx& tx, const AgentConfigInput& config,
                 const std::optional<personas::Persona>& persona) {
  std::optional<std::int64_t> id = config.model_id;
  if (!id && !config.provider && !config.model && persona) id = persona->default_model_id;
  if (!id) {
    return {config.provider.value_or(std::string{kDefaultProvider}),
            config.model.value_or(std::string{kDefaultModel})};
  }
  auto model = models::Find(tx, *id);
  if (!model) throw models::NoSuchModel({"body", "config", "model_id"}, *id);
  return {std::move(model->provider_name), std::move(model->model_name)};
}

}  // namespace

Error NoSuchAgent(std::int64_t id) {
  return Error{Code::kNotFound, "Agent " + std::to_string(id) + " not found"};
}

AgentList List(db::Executor& db) {
  AgentList list;
  list.agents = db.All<Agent>(sql::kAgentList, kListRowsMax);
  list.total = static_cast<std::int64_t>(list.agents.size());
  return list;
}

AgentRowList ListRows(db::Executor& db) {
  AgentRowList list;
  list.agents = db.All<AgentRow>(sql::kAgentRows, kListRowsMax);
  list.total = static_cast<std::int64_t>(list.agents.size());
  return list;
}

std::vector<DashboardAgent> ListForDashboard(db::Executor& db) {
  return db.All<DashboardAgent>(sql::kAgentRows, kListRowsMax);
}

AgentDetail Get(db::Executor& db, std::int64_t id) {
  if (auto agent = db.Maybe<WholeAgent>(sql::kAgentWhole, id)) return ToDetail(*std::move(agent));
  throw NoSuchAgent(id);
}

AgentRecord GetRecord(db::Executor& db, std::int64_t id) {
  if (auto agent = db.Maybe<AgentRecord>(sql::kAgentRecord, id)) return *std::move(agent);
  throw NoSuchAgent(id);
}

DashboardAgentRecord GetForDashboard(db::Executor& db, std::int64_t id) {
  if (auto agent = db.Maybe<DashboardAgentRecord>(sql::kAgentRecord, id)) return *std::move(agent);
  throw NoSuchAgent(id);
}

AgentReport Report(db::Executor& db, std::int64_t id) {
  if (auto agent = db.Maybe<WholeAgent>(sql::kAgentWhole, id)) return ToReport(*std::move(agent));
  throw NoSuchAgent(id);
}

AgentDetail Create(db::Tx& tx, const NewAgent& input) {
  const AgentConfigInput& config = input.config;
  const auto persona = Template(tx, config);
  const Persona who = Complete(input.persona, persona);
  const ModelName model = Choose(tx, config, persona);
  const auto id = tx.One<std::int64_t>(sql::kAgentCreate, who.name, who.role, who.base_prompt, who.traits,
                                       who.communication_style, who.specializations, who.languages, who.motto,
                                       model.provider, model.model, config.persona_id, config.max_tokens,
                                       config.temperature, config.competencies, config.can_review);
  return Get(tx, id);
}

AgentDetail Change(db::Tx& tx, std::int64_t id, const AgentChange& input) {
  if (!input.persona && !input.config) return Get(tx, id);
  const auto before = tx.Maybe<Lock>(sql::kAgentLock, id);
  if (!before) throw NoSuchAgent(id);
  std::optional<personas::Persona> persona;
  if (input.config) persona = Template(tx, *input.config);
  const bool other_persona = persona && before->persona_id != persona->id;
  if (input.persona || other_persona) {
    const Persona who = Complete(input.persona.value_or(AgentPersonaInput{}), persona);
    tx.Run(sql::kAgentSetPersona, id, who.name, who.role, who.base_prompt, who.traits,
           who.communication_style, who.specializations, who.languages, who.motto);
  }
  if (input.config) {
    const AgentConfigInput& config = *input.config;
    const ModelName model = Choose(tx, config, persona);
    tx.Run(sql::kAgentSetConfig, id, model.provider, model.model, config.persona_id, config.max_tokens,
           config.temperature, config.competencies, config.can_review);
  }
  tx.Run(sql::kAgentUpdated, id);
  return Get(tx, id);
}

void Delete(db::Tx& tx, const Removal& removal) {
  const std::int64_t id = removal.agent_id;
  for (const std::string& circle : tx.All<std::string>(sql::kAgentCircles, id)) {
    circles::RemoveMember(tx, circle, {.agent_id = id, .user = removal.user});
  }
  if (tx.Run(sql::kAgentDelete, id).affected() == 0) throw NoSuchAgent(id);
}

void TrackFile(db::Tx& tx, std::int64_t id, const TrackedFile& file) {
  // With the lock held, the count of files is true when several come at once.
  if (!tx.Maybe<Lock>(sql::kAgentLock, id)) throw NoSuchAgent(id);
  tx.Run(sql::kAgentTrackFile, id, file.file_path, kWorkingFilesMax);
}

void SetTask(db::Executor& db, std::int64_t id, const CurrentTask& task) {
  const auto set = db.Run(sql::kAgentSetTask, id, task.task_id, task.title, task.progress);
  if (set.affected() == 0) throw NoSuchAgent(id);
}

void ClearTask(db::Executor& db, std::int64_t id) {
  if (db.Run(sql::kAgentClearTask, id).affected() == 0) throw NoSuchAgent(id);
}

}  // namespace gathering::agents
