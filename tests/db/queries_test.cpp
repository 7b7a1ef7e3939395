// Every named statement of the binary, against the schema the binary makes.
#include <set>

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/db/connection.h"
#include "core/db/queries.h"
#include "core/db/query.h"
#include "tests/support/postgres.h"

namespace gathering::test {

TEST_CASE("the server understands every named statement", "[queries]") {
  const FreshDatabase database;
  db::Connection connection{{.url = database.url()}};
  connection.Script(sql::kBenchSchema);
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

TEST_CASE("a statement that is not marked as a write changes nothing", "[queries]") {
  const FreshDatabase database;
  // What a read-only transaction lets through: these change nothing in the tables.
  const std::set<std::string_view> kHarmless = {"commit_barrier", "pipeline_barrier", "backend_cancel"};
  db::Connection connection{{.url = database.url()}};
  connection.Script(sql::kBenchSchema);
  connection.Script("SET default_transaction_read_only = on");
  std::size_t reads = 0;
  std::size_t writes = 0;
  for (const db::Query* query : db::AllQueries()) {
    INFO(query->name);
    const std::string name{query->name};
    connection.Script("PREPARE " + name + " AS " + std::string{query->text});
    const db::Rows types = connection.Execute(
        "SELECT coalesce(cardinality(parameter_types), 0)::bigint FROM pg_prepared_statements WHERE name = "
        "$1",
        {name});
    std::string values;
    for (std::int64_t i = 0; i < types.As<std::int64_t>(0); ++i) values += values.empty() ? "NULL" : ", NULL";
    std::string refusal;
    try {
      connection.Script("EXECUTE " + name + (values.empty() ? "" : "(" + values + ")"));
    } catch (const Error& error) {
      refusal = error.cause;
    }
    const bool refused_as_write = refusal.find("read-only transaction") != std::string::npos;
    (query->effect == db::Effect::kRead ? reads : writes) += 1;
    CHECK(refused_as_write == (query->effect == db::Effect::kWrite && !kHarmless.contains(query->name)));
  }
  CHECK(reads > 20);
  CHECK(writes > 20);
}

TEST_CASE("no two statements share a name", "[queries]") {
  std::set<std::string_view> names;
  for (const db::Query* query : db::AllQueries()) CHECK(names.insert(query->name).second);
}

}  // namespace gathering::test
