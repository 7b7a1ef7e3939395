// Where one statement of an SQL file ends and the next begins.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "core/db/sql_split.h"

namespace gathering::db {
namespace {

std::vector<std::string> Texts(std::string_view sql) {
  std::vector<std::string> texts;
  for (const SqlStatement& statement : SplitSql(sql)) texts.emplace_back(statement.text);
  return texts;
}

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("a semicolon ends a statement, and nothing between two is no statement", "[sql_split]") {
  CHECK(Texts("").empty());
  CHECK(Texts(" ;; \n ; ").empty());
  CHECK(Texts("SELECT 1") == List{"SELECT 1"});
  CHECK(Texts("SELECT 1; SELECT 2;\n\nSELECT 3") == List{"SELECT 1", "SELECT 2", "SELECT 3"});
}

TEST_CASE("semicolons in quotes, comments and parentheses end nothing", "[sql_split]") {
  CHECK(Texts("SELECT 'a;b'; SELECT 2") == List{"SELECT 'a;b'", "SELECT 2"});
  CHECK(Texts("SELECT 'it''s;'; SELECT 2") == List{"SELECT 'it''s;'", "SELECT 2"});
  CHECK(Texts(R"(SELECT E'\';'; SELECT 2)") == List{R"(SELECT E'\';')", "SELECT 2"});
  CHECK(Texts(R"(SELECT '\'; SELECT 2)") == List{R"(SELECT '\')", "SELECT 2"});
  CHECK(Texts(R"(SELECT "a;""b"; SELECT 2)") == List{R"(SELECT "a;""b")", "SELECT 2"});
  CHECK(Texts("SELECT 1 -- one; really\n; SELECT 2") == List{"SELECT 1", "SELECT 2"});
  CHECK(Texts("SELECT /* a; /* b; */ c; */ 1; SELECT 2") ==
        List{"SELECT /* a; /* b; */ c; */ 1", "SELECT 2"});
  CHECK(Texts("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3") ==
        List{"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"});
}

TEST_CASE("a dollar quote ends only at its own mark", "[sql_split]") {
  CHECK(Texts("DO $$ BEGIN x; END $$; SELECT 2") == List{"DO $$ BEGIN x; END $$", "SELECT 2"});
  CHECK(Texts("DO $a$ x; $$ y; $b$ $a$; SELECT 2") == List{"DO $a$ x; $$ y; $b$ $a$", "SELECT 2"});
  CHECK(Texts("SELECT $1; SELECT a$b$; SELECT c$b$") == List{"SELECT $1", "SELECT a$b$", "SELECT c$b$"});
}

TEST_CASE("the body of a function in SQL's own form is part of it", "[sql_split]") {
  const std::string function =
      "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql\n"
      "BEGIN ATOMIC\n SELECT 1;\n SELECT CASE WHEN a > 0 THEN 1 ELSE 2 END;\nEND";
  CHECK(Texts(function + "; SELECT 2") == List{function, "SELECT 2"});
  CHECK(Texts("BEGIN; SELECT 1; END; SELECT 2") == List{"BEGIN", "SELECT 1", "END", "SELECT 2"});
}

TEST_CASE("text that ends inside a quote is given as it is", "[sql_split]") {
  for (const char* text : {"SELECT 'a;", "SELECT \"a;", "SELECT $$a;", "SELECT E'a;\\", "SELECT (1;"}) {
    CHECK(Texts(text) == List{text});
  }
  CHECK(Texts("SELECT 1 /* a;") == List{"SELECT 1"});
}

TEST_CASE("a statement knows its line and its first words", "[sql_split]") {
  const auto statements = SplitSql(
      "-- why\n\nCREATE TABLE a (x int);\n/* and\n */ create unique index\n  concurrently if not exists a_x "
      "on a (x);");
  REQUIRE(statements.size() == 2);
  CHECK(statements[0].line == 3);
  CHECK(statements[1].line == 5);
  CHECK(statements[0].StartsWith("CREATE TABLE"));
  CHECK_FALSE(statements[0].StartsWith("CREATE TABLE B"));
  CHECK_FALSE(statements[0].StartsWith("CREATE TAB"));
  CHECK(statements[1].words ==
        List{"CREATE", "UNIQUE", "INDEX", "CONCURRENTLY", "IF", "NOT", "EXISTS", "A_X"});
}

TEST_CASE("a word is taken out only where it is one", "[sql_split]") {
  CHECK(WithoutWord("CREATE INDEX concurrently a ON b ('CONCURRENTLY')", "CONCURRENTLY") ==
        "CREATE INDEX  a ON b ('CONCURRENTLY')");
}

}  // namespace gathering::db
