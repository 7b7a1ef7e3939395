#include "core/personas/persona.h"

#include "core/base/limits.h"
#include "core/db/queries.h"
#include "core/models/model.h"

namespace gathering::personas {
namespace {

constexpr const char* kTaken = "Persona with this display name already exists";

void RequireModel(db::Executor& db, const std::optional<std::int64_t>& id) {
  if (id && !models::Find(db, *id)) throw models::NoSuchModel({"body", "default_model_id"}, *id);
}

bool ChangesNothing(const PersonaChange& input) {
  return !input.display_name && !input.role && !input.base_prompt && !input.full_prompt && !input.traits &&
         !input.communication_style && !input.specializations && !input.languages && !input.motto &&
         !input.description && !input.default_model_id;
}

}  // namespace

PersonaList List(db::Executor& db) {
  PersonaList list;
  list.personas = db.All<Persona>(sql::kPersonaList, kListRowsMax);
  list.total = static_cast<std::int64_t>(list.personas.size());
  return list;
}

std::optional<Persona> Find(db::Executor& db, std::int64_t id) {
  return db.Maybe<Persona>(sql::kPersonaById, id);
}

Persona Get(db::Executor& db, std::int64_t id) {
  if (auto persona = Find(db, id)) return *std::move(persona);
  throw Error{Code::kNotFound, "Persona not found"};
}

Persona Create(db::Executor& db, const NewPersona& input) {
  RequireModel(db, input.default_model_id);
  auto created =
      db.Maybe<Persona>(sql::kPersonaCreate, input.display_name, input.role, input.base_prompt,
                        input.full_prompt, input.traits, input.communication_style, input.specializations,
                        input.languages, input.motto, input.description, input.default_model_id);
  if (!created) throw Error{Code::kConflict, kTaken};
  return *std::move(created);
}

Persona Change(db::Executor& db, std::int64_t id, const PersonaChange& input) {
  if (ChangesNothing(input)) return Get(db, id);
  RequireModel(db, input.default_model_id);
  try {
    auto changed =
        db.Maybe<Persona>(sql::kPersonaChange, id, input.display_name, input.role, input.base_prompt,
                          input.full_prompt, input.traits, input.communication_style, input.specializations,
                          input.languages, input.motto, input.description, input.default_model_id);
    if (!changed) throw Error{Code::kNotFound, "Persona not found"};
    return *std::move(changed);
  } catch (Error& error) {
    if (error.code == Code::kConflict) error.message = kTaken;
    throw;
  }
}

void Delete(db::Executor& db, std::int64_t id) {
  const auto was_builtin = db.Maybe<bool>(sql::kPersonaDelete, id);
  if (was_builtin && *was_builtin) throw Error{Code::kRejected, "Cannot delete builtin persona"};
}

}  // namespace gathering::personas
