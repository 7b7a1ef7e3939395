#pragma once
// What a schema consists of, read from the live catalog, and how two schemas differ.
#include <string>
#include <string_view>
#include <vector>

#include "core/db/session.h"

namespace gathering::db {

// One table, column, constraint, index, trigger, function, …; `kind` and `name` together are unique.
struct CatalogItem {
  std::string kind;
  std::string name;        // "agents", or of a table's part "agents.status"
  std::string parent;      // "table agents" of its parts; else empty
  std::string definition;  // comparable text, without the schema's name

  static void Fields(auto& self, auto& visit) {
    visit("kind", self.kind);
    visit("name", self.name);
    visit("parent", self.parent);
    visit("definition", self.definition);
  }
};

using Catalog = std::vector<CatalogItem>;  // sorted by kind and name

// Reads a schema.  Must run inside a transaction, whose search_path it changes: to the schema
// followed by the extensions' schemas, so that definitions come out free of its name.
[[nodiscard]] Catalog ReadCatalog(Session& session, const std::string& schema);

// One line for every difference.  The parts of a table that is missing or extra are not listed.
[[nodiscard]] std::vector<std::string> CompareCatalogs(const Catalog& expected, const Catalog& found);

// Sets the transaction's search_path to `schema` and the extensions' schemas.
void SetSearchPath(Session& session, const std::string& schema);

[[nodiscard]] std::string QuoteIdentifier(std::string_view name);

}  // namespace gathering::db
