// SQL files: the statements are pieces of the text in their order, and stay what they are when they are put
// together again.
#include "core/db/sql_split.h"

#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  const std::string_view sql = gathering::fuzz::Input{data, size}.Rest();
  const auto statements = gathering::db::SplitSql(sql);
  const char* behind = sql.data();
  std::string together;
  for (const auto& statement : statements) {
    Require(!statement.text.empty(), "no statement is empty");
    Require(statement.text.data() >= behind, "statements follow each other");
    behind = statement.text.data() + statement.text.size();
    Require(behind <= sql.data() + sql.size(), "a statement is a piece of the text");
    const std::string_view before =
        sql.substr(0, static_cast<std::size_t>(statement.text.data() - sql.data()));
    Require(statement.line == 1 + static_cast<std::size_t>(std::ranges::count(before, '\n')),
            "a statement knows its line");
    Require(statement.text.find_first_of(" \t\n\r\f\v") != 0, "no blank stands before it");
    Require(statement.words.size() <= 8, "its words are few");
    together.append(statement.text).append(";\n");
  }
  const auto again = gathering::db::SplitSql(together);
  // Text that ends in a quote or a comment takes what is put behind it.
  Require(again.size() == statements.size(), "the statements are as many");
  for (std::size_t i = 0; i + 1 < again.size(); ++i)
    gathering::fuzz::RequireSame(again[i].text, statements[i].text, "a statement stays what it is");
  const std::string without = gathering::db::WithoutWord(sql, "CONCURRENTLY");
  Require(without.size() <= sql.size(), "a word less makes nothing longer");
  return 0;
}
