#pragma once
// Cuts the text of an SQL file into its statements, where psql would.
//
// Semicolons inside quotes, dollar quotes, comments, parentheses and the body of a
// function written in SQL's own form (BEGIN ATOMIC … END) do not end a statement.
// Nothing is checked beyond that; text that ends inside a quote is given as it is, for
// the server to refuse.  Linear in the length of the text, never recursive.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gathering::db {

struct SqlStatement {
  std::string_view text;  // without the semicolon and the blanks and comments around it
  std::size_t line = 1;   // of its first character in the whole text
  std::vector<std::string>
      words;  // the first few bare words in capitals: {"CREATE", "INDEX", "CONCURRENTLY"}

  // The statement's bare words begin with these, separated by one space.
  [[nodiscard]] bool StartsWith(std::string_view phrase) const;
};

// The result points into `sql`.
[[nodiscard]] std::vector<SqlStatement> SplitSql(std::string_view sql);

// The text without the bare word `word` (in capitals) wherever it stands outside quotes and comments.
[[nodiscard]] std::string WithoutWord(std::string_view sql, std::string_view word);

}  // namespace gathering::db
