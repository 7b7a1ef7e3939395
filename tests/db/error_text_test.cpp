// What an error of the server says in the log: never a value of a client.
#include <catch2/catch.hpp>

#include <functional>
#include <map>

#include "core/base/error.h"
#include "core/db/connection.h"
#include "core/db/session.h"
#include "tests/support/pipeline_driver.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

constexpr std::string_view kValue = "53cr3t-v4lue";

struct Case {
  db::Query query;
  std::string_view state;
  std::string_view says;  // of the cause
};

// Each is given kValue, and fails over it or with it.
const Case kCases[] = {
    {{.name = "digits", .text = "SELECT $1::text::int"}, "22P02", "digits"},
    {{.name = "day", .text = "SELECT $1::text::timestamptz"}, "22007", "day"},
    {{.name = "document", .text = "SELECT $1::text::jsonb"}, "22P02", "document"},
    {{.name = "unique", .text = "INSERT INTO secrets VALUES ($1, 1)"}, "23505", "secrets_word_key"},
    {{.name = "checked", .text = "INSERT INTO secrets VALUES ($1, -1)"}, "23514", "secrets_number_check"},
    {{.name = "needed", .text = "INSERT INTO secrets VALUES ($1, NULL)"}, "23502", "number"},
    {{.name = "unknown", .text = "INSERT INTO friends VALUES ($1)"}, "23503", "friends_word_fkey"},
};

void MakeTables(db::Connection& database) {
  database.Script(
      "CREATE TABLE secrets (word text UNIQUE, number int NOT NULL CHECK (number > 0));"
      "CREATE TABLE friends (word text REFERENCES secrets (word));"
      "INSERT INTO secrets VALUES ('" +
      std::string{kValue} + "', 1)");
}

void CheckSilent(const Case& expected, const Error& error) {
  INFO(error.cause);
  CHECK(error.sqlstate == expected.state);
  CHECK(error.cause.find(expected.state) != std::string::npos);
  CHECK(error.cause.find(expected.says) != std::string::npos);
  CHECK(error.cause.find(kValue) == std::string::npos);
  CHECK(error.cause.find('\n') == std::string::npos);
  CHECK(error.message.find(kValue) == std::string::npos);
}

// "friends" is given another word, which nobody has.
std::string ValueFor(const Case& one) {
  return one.state == "23503" ? "x" + std::string{kValue} : std::string{kValue};
}

}  // namespace

TEST_CASE("an error of a transaction's statement says which and why, without the values") {
  const FreshDatabase database{FreshDatabase::Schema::kEmpty};
  db::Connection connection{{.url = database.url()}};
  MakeTables(connection);
  for (const Case& one : kCases) {
    INFO(one.query.name);
    try {
      connection.Execute(one.query, {ValueFor(one)});
      FAIL_CHECK("no error");
    } catch (const Error& error) {
      CheckSilent(one, error);
    }
  }
}

TEST_CASE("an error of a pipeline's statement says which and why, without the values") {
  const FreshDatabase database{FreshDatabase::Schema::kEmpty};
  db::Connection connection{{.url = database.url()}};
  MakeTables(connection);
  PipelineDriver driver{database.url(), {.traffic = db::Traffic::kWrites}};
  for (const Case& one : kCases) {
    INFO(one.query.name);
    auto& statement = driver.Send(one.query, {ValueFor(one)});
    driver.UntilAnswered();
    REQUIRE(statement.error);
    CheckSilent(one, *statement.error);
  }
}

}  // namespace gathering::test
