// /personas: templates for agents.
#include "core/personas/persona.h"

#include "daemon/api/table.h"
#include "daemon/http/remembered.h"

namespace gathering::http {
namespace {

struct PersonaPath {
  std::int64_t persona_id = 0;

  static void Fields(auto& self, auto& visit) { visit("persona_id", self.persona_id, {.required = true}); }
};

Remembered<personas::PersonaList> List(Call& call) {
  return Remember(call, Answers::Kind::kPersonas, kWholeList, [&] { return personas::List(call.db()); });
}

Created<personas::Persona> Create(Call& call, Body<personas::NewPersona> body) {
  return {personas::Create(call.db(), body.value)};
}

Remembered<personas::Persona> Get(Call& call, Path<PersonaPath> path) {
  return Remember(call, Answers::Kind::kPersonas, path->persona_id,
                  [&] { return personas::Get(call.db(), path->persona_id); });
}

personas::Persona Change(Call& call, Path<PersonaPath> path, Body<personas::PersonaChange> body) {
  return personas::Change(call.db(), path->persona_id, body.value);
}

void Delete(Call& call, Path<PersonaPath> path) {
  personas::Delete(call.db(), path->persona_id);
}

constexpr Route kRoutes[] = {
    {"personas.list", Method::kGet, "/personas", Authority::kUser, Tier::kRead, Statements{1}, Handle<&List>,
     "All personas with their prompts."},
    {"personas.create", Method::kPost, "/personas", Authority::kUser, Tier::kWrite, Statements{2},
     Handle<&Create>, "Create a persona."},
    {"personas.get", Method::kGet, "/personas/{persona_id}", Authority::kUser, Tier::kRead, Statements{1},
     Handle<&Get>, "One persona."},
    {"personas.change", Method::kPatch, "/personas/{persona_id}", Authority::kUser, Tier::kWrite,
     Statements{2}, Handle<&Change>, "Change a persona; null leaves a field as it is."},
    {"personas.delete", Method::kDelete, "/personas/{persona_id}", Authority::kUser, Tier::kWrite,
     Statements{1}, Handle<&Delete>, "Delete a persona that is not built in; agents made from it stay."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> PersonaRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
