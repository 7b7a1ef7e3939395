#include "core/db/sql_split.h"

#include <algorithm>

namespace gathering::db {
namespace {

constexpr std::size_t kWordsMax = 8;

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
// PostgreSQL takes every byte beyond ASCII for a letter.
bool IsWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool IsWordPart(char c) {
  return IsWordStart(c) || IsDigit(c) || c == '$';
}

enum class Kind { kBlank, kComment, kWord, kNumber, kQuoted, kSymbol };

struct Token {
  Kind kind = Kind::kSymbol;
  std::size_t begin = 0;
  std::size_t end = 0;
};

class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  bool Next(Token& token) {
    if (at_ >= sql_.size()) return false;
    token.begin = at_;
    token.kind = Take();
    token.end = at_;
    return true;
  }

 private:
  char Peek(std::size_t ahead) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }

  Kind Take() {
    const char c = sql_[at_];
    if (IsBlank(c)) {
      while (at_ < sql_.size() && IsBlank(sql_[at_])) ++at_;
      return Kind::kBlank;
    }
    if (c == '-' && Peek(1) == '-') {
      at_ = std::min(sql_.find('\n', at_), sql_.size());
      return Kind::kComment;
    }
    if (c == '/' && Peek(1) == '*') return TakeBlockComment();
    if (c == '\'') return TakeQuoted('\'', Escapes::kNo);
    if (c == '"') return TakeQuoted('"', Escapes::kNo);
    if ((c == 'e' || c == 'E') && Peek(1) == '\'') {
      ++at_;
      return TakeQuoted('\'', Escapes::kYes);
    }
    if (c == '$') return TakeDollar();
    if (IsWordStart(c)) {
      while (at_ < sql_.size() && IsWordPart(sql_[at_])) ++at_;
      return Kind::kWord;
    }
    if (IsDigit(c)) {
      while (at_ < sql_.size() && IsWordPart(sql_[at_])) ++at_;
      return Kind::kNumber;
    }
    ++at_;
    return Kind::kSymbol;
  }

  Kind TakeBlockComment() {
    std::size_t depth = 0;
    do {
      if (Peek(0) == '/' && Peek(1) == '*') {
        ++depth;
        at_ += 2;
      } else if (Peek(0) == '*' && Peek(1) == '/') {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0 && at_ < sql_.size());
    at_ = std::min(at_, sql_.size());
    return Kind::kComment;
  }

  enum class Escapes { kNo, kYes };
  Kind TakeQuoted(char quote, Escapes escapes) {
    ++at_;
    while (at_ < sql_.size()) {
      const char c = sql_[at_++];
      if (c == '\\' && escapes == Escapes::kYes) {
        ++at_;
      } else if (c == quote) {
        if (Peek(0) != quote) break;
        ++at_;
      }
    }
    at_ = std::min(at_, sql_.size());
    return Kind::kQuoted;
  }

  // $tag$ … $tag$, or a lone sign, or a parameter.
  Kind TakeDollar() {
    std::size_t end = at_ + 1;
    if (end < sql_.size() && IsWordStart(sql_[end])) {
      while (end < sql_.size() && IsWordPart(sql_[end]) && sql_[end] != '$') ++end;
    }
    if (end >= sql_.size() || sql_[end] != '$') {
      ++at_;
      return Kind::kSymbol;
    }
    const std::string_view mark = sql_.substr(at_, end + 1 - at_);
    const std::size_t close = sql_.find(mark, end + 1);
    at_ = close == std::string_view::npos ? sql_.size() : close + mark.size();
    return Kind::kQuoted;
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

std::string Capitals(std::string_view word) {
  std::string capitals{word};
  for (char& c : capitals) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return capitals;
}

// One statement while it is read.
class Building {
 public:
  bool empty() const { return begin_ == std::string_view::npos; }

  void Add(const Token& token, std::string_view sql) {
    if (empty()) begin_ = token.begin;
    end_ = token.end;
    if (token.kind == Kind::kWord) {
      AddWord(Capitals(sql.substr(token.begin, token.end - token.begin)));
    } else {
      leading_ = leading_ && token.kind == Kind::kWord;
      if (token.kind == Kind::kSymbol) AddSymbol(sql[token.begin]);
    }
  }

  bool EndsAt(char symbol) const { return symbol == ';' && parentheses_ == 0 && blocks_ == 0; }

  SqlStatement Finish(std::string_view sql, std::size_t line) {
    return {.text = sql.substr(begin_, end_ - begin_), .line = line, .words = std::move(words_)};
  }
  std::size_t begin() const { return begin_; }

 private:
  void AddWord(std::string word) {
    // Only in a function or procedure can BEGIN open a block, and CASE has an END of its own there.
    const bool routine = words_.size() > 1 && words_[0] == "CREATE" &&
                         (std::find(words_.begin(), words_.end(), "FUNCTION") != words_.end() ||
                          std::find(words_.begin(), words_.end(), "PROCEDURE") != words_.end());
    if (routine && parentheses_ == 0) {
      if (word == "ATOMIC" && last_word_ == "BEGIN") ++blocks_;
      if (word == "CASE" && blocks_ > 0) ++blocks_;
      if (word == "END" && blocks_ > 0) --blocks_;
    }
    last_word_ = word;
    if (leading_ && words_.size() < kWordsMax) words_.push_back(std::move(word));
  }

  void AddSymbol(char symbol) {
    if (symbol == '(') ++parentheses_;
    if (symbol == ')' && parentheses_ > 0) --parentheses_;
  }

  std::size_t begin_ = std::string_view::npos;
  std::size_t end_ = 0;
  std::size_t parentheses_ = 0;
  std::size_t blocks_ = 0;
  bool leading_ = true;  // nothing but words so far
  std::string last_word_;
  std::vector<std::string> words_;
};

}  // namespace

bool SqlStatement::StartsWith(std::string_view phrase) const {
  std::size_t word = 0;
  while (!phrase.empty()) {
    const std::size_t end = std::min(phrase.find(' '), phrase.size());
    if (word >= words.size() || words[word++] != phrase.substr(0, end)) return false;
    phrase.remove_prefix(std::min(end + 1, phrase.size()));
  }
  return true;
}

std::vector<SqlStatement> SplitSql(std::string_view sql) {
  std::vector<SqlStatement> statements;
  Building building;
  std::size_t line = 1;
  std::size_t counted = 0;  // newlines before here are in `line`
  const auto finish = [&] {
    if (building.empty()) return;
    const auto from = sql.begin() + static_cast<std::ptrdiff_t>(counted);
    line += static_cast<std::size_t>(
        std::count(from, sql.begin() + static_cast<std::ptrdiff_t>(building.begin()), '\n'));
    counted = building.begin();
    statements.push_back(building.Finish(sql, line));
    building = {};
  };
  Lexer lexer{sql};
  for (Token token; lexer.Next(token);) {
    if (token.kind == Kind::kBlank || token.kind == Kind::kComment) continue;
    if (token.kind == Kind::kSymbol && building.EndsAt(sql[token.begin])) {
      finish();
    } else {
      building.Add(token, sql);
    }
  }
  finish();
  return statements;
}

std::string WithoutWord(std::string_view sql, std::string_view word) {
  std::string rest;
  Lexer lexer{sql};
  for (Token token; lexer.Next(token);) {
    const std::string_view text = sql.substr(token.begin, token.end - token.begin);
    if (token.kind == Kind::kWord && Capitals(text) == word) continue;
    rest.append(text);
  }
  return rest;
}

}  // namespace gathering::db
