#include "core/db/pg_conninfo.h"

#include <libpq-fe.h>

#include <memory>

#include "core/db/connection.h"

namespace gathering::db {

std::map<std::string, std::string, std::less<>> ParseConnInfo(const std::string& url) {
  // What libpq says about a broken URL quotes it, password and all: it is not asked.
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> parsed{
      PQconninfoParse(url.c_str(), nullptr), PQconninfoFree};
  if (!parsed) throw UnreadableUrl{};
  std::map<std::string, std::string, std::less<>> keywords;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) keywords[option->keyword] = option->val;
  }
  return keywords;
}

}  // namespace gathering::db
