// The database URL: what it says is what libpq is told, beside our own settings.
#include "core/db/pg_conninfo.h"

#include "tests/fuzz/promise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using gathering::fuzz::Require;
  const std::string url{gathering::fuzz::Input{data, size}.Rest()};
  try {
    const auto keywords = gathering::db::ParseConnInfo(url);
    const auto ours = gathering::db::ParseConnInfo(gathering::db::ConnInfo({.url = url}));
    for (const auto& [keyword, value] : keywords) {
      const auto found = ours.find(keyword);
      Require(found != ours.end() && found->second == value, "what the URL says wins and is kept");
    }
    Require(ours.contains("connect_timeout") && ours.contains("client_encoding"), "ours are there");
  } catch (const gathering::db::UnreadableUrl& error) {
    Require(error.message == gathering::db::UnreadableUrl{}.message, "a refusal says nothing of the text");
  }
  return 0;
}
