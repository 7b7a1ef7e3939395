// /personas: templates for agents.
#include "core/personas/persona.h"

#include "daemon/api/table.h"

namespace gathering::http {
namespace {

struct PersonaPath {
  std::int64_t persona_id = 0;

  static void Fields(auto& self, auto& visit) { visit("persona_id", self.persona_id, {.required = true}); }
};

personas::PersonaList List(Call& call) {
  return call.Read([](db::Tx& tx) { return personas::List(tx); });
}

Created<personas::Persona> Create(Call& call, Body<personas::NewPersona> body) {
  return {call.Write([&](db::Tx& tx) { return personas::Create(tx, body.value); })};
}

personas::Persona Get(Call& call, Path<PersonaPath> path) {
  return call.Read([&](db::Tx& tx) { return personas::Get(tx, path->persona_id); });
}

personas::Persona Change(Call& call, Path<PersonaPath> path, Body<personas::PersonaChange> body) {
  return call.Write([&](db::Tx& tx) { return personas::Change(tx, path->persona_id, body.value); });
}

void Delete(Call& call, Path<PersonaPath> path) {
  call.Write([&](db::Tx& tx) { personas::Delete(tx, path->persona_id); });
}

constexpr Route kRoutes[] = {
    {"personas.list", Method::kGet, "/personas", Authority::kUser, Tier::kRead, Handle<&List>,
     "All personas with their prompts."},
    {"personas.create", Method::kPost, "/personas", Authority::kUser, Tier::kWrite, Handle<&Create>,
     "Create a persona."},
    {"personas.get", Method::kGet, "/personas/{persona_id}", Authority::kUser, Tier::kRead, Handle<&Get>,
     "One persona."},
    {"personas.change", Method::kPatch, "/personas/{persona_id}", Authority::kUser, Tier::kWrite,
     Handle<&Change>, "Change a persona; null leaves a field as it is."},
    {"personas.delete", Method::kDelete, "/personas/{persona_id}", Authority::kUser, Tier::kWrite,
     Handle<&Delete>, "Delete a persona that is not built in; agents made from it stay."},
};
static_assert(WellFormed(kRoutes));

}  // namespace

std::span<const Route> PersonaRoutes() {
  return kRoutes;
}

}  // namespace gathering::http
