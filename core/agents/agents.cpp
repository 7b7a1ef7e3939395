#include "core/agents/agent.h"

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
  if (auto agent = db.Maybe<AgentDetail>(sql::kAgentById, id)) return *std::move(agent);
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
  if (auto report = db.Maybe<AgentReport>(sql::kAgentReport, id)) return *std::move(report);
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
