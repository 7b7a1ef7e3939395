#include "core/db/pg_conninfo.h"

#include <libpq-fe.h>

#include <memory>

#include <fmt/format.h>

#include "core/db/session.h"

namespace gathering::db {
namespace {

void AppendKeyword(std::string& conninfo, std::string_view keyword, std::string_view value) {
  conninfo.append(keyword).append("='");
  for (const char c : value) {
    if (c == '\'' || c == '\\') conninfo += '\\';
    conninfo += c;
  }
  conninfo += "' ";
}

}  // namespace

std::map<std::string, std::string, std::less<>> ParseConnInfo(const std::string& url) {
  if (url.find('\0') != std::string::npos) throw UnreadableUrl{};  // libpq would read what is before it
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

std::string ConnInfo(const ConnectionOptions& options) {
  using std::chrono::ceil;
  std::map<std::string, std::string, std::less<>> keywords{
      {"application_name", options.application_name},
      {"client_encoding", "UTF8"},
      {"connect_timeout", fmt::format("{}", ceil<std::chrono::seconds>(options.connect_timeout).count())},
      {"keepalives_idle", "10"},
      {"keepalives_interval", "3"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", fmt::format("{}", options.tcp_user_timeout.count())},
  };
  for (auto& [keyword, value] : ParseConnInfo(options.url)) keywords[keyword] = std::move(value);
  std::string conninfo;
  for (const auto& [keyword, value] : keywords) AppendKeyword(conninfo, keyword, value);
  return conninfo;
}

// A prepared statement and the check of a foreign key keep the plan of their first executions.  Made on a
// table of one page it reads the whole table, and still does when there are a million rows: so plans use
// indexes from the first day.  JIT would take the price that keeps them from reading the table for a long
// query's.
std::string SessionSettings(const ConnectionOptions& options) {
  return fmt::format(
      "{}; SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; "
      "SET gathering.tells = '{}'",
      kSessionSettings, options.statement_timeout.count(), options.lock_timeout.count(),
      options.idle_in_transaction_timeout.count(), options.tells ? "on" : "off");
}

}  // namespace gathering::db
