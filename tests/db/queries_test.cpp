// Every named statement of the binary, against the schema the binary makes.
#include <set>

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/db/connection.h"
#include "core/db/query.h"
#include "tests/support/postgres.h"

namespace gathering::test {

TEST_CASE("the server understands every named statement", "[queries]") {
  const FreshDatabase database;
  db::Connection connection{{.url = database.url()}};
  CHECK_FALSE(db::AllQueries().empty());
  for (const db::Query* query : db::AllQueries()) {
    INFO(query->name);
    INFO(query->text);
    try {
      connection.Prepare(*query);
    } catch (const Error& error) {
      FAIL_CHECK(error.cause);
    }
  }
}

TEST_CASE("no two statements share a name", "[queries]") {
  std::set<std::string_view> names;
  for (const db::Query* query : db::AllQueries()) CHECK(names.insert(query->name).second);
}

}  // namespace gathering::test
