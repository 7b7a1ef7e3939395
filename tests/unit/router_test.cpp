#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "core/base/error.h"
#include "daemon/http/router.h"

namespace gathering::http {
namespace {

using Kind = Match::Kind;

Route Row(std::string_view id, Method method, std::string_view path, Authority authority = Authority::kUser) {
  return {.id = id,
          .method = method,
          .path = path,
          .authority = authority,
          .tier = Tier::kNone,
          .statements = kNoStatements,
          .endpoint = {},
          .summary = "A row."};
}

// A router over rows that it may borrow.
class Table {
 public:
  explicit Table(std::vector<Route> rows) : rows_(std::move(rows)), tables_{rows_}, router_(tables_) {}

  Match Find(std::string_view path, Method method = Method::kGet) const { return router_.Find(method, path); }
  // The id of what is found, or "".
  std::string_view Id(std::string_view path, Method method = Method::kGet) const {
    const Match match = Find(path, method);
    return match.kind == Kind::kFound ? match.route->id : std::string_view{};
  }

 private:
  std::vector<Route> rows_;
  std::vector<std::span<const Route>> tables_;
  Router router_;
};

Table Goals() {
  return Table{{Row("root", Method::kGet, "/"), Row("goals.get", Method::kGet, "/goals/{goal_id}"),
                Row("goals.stats", Method::kGet, "/goals/stats"), Row("goals.list", Method::kGet, "/goals"),
                Row("goals.create", Method::kPost, "/goals"),
                Row("goals.delete", Method::kDelete, "/goals/{goal_id}"),
                Row("goals.steps", Method::kGet, "/goals/{goal_id}/steps"),
                Row("goals.step", Method::kGet, "/goals/{goal_id}/steps/{step}"),
                Row("login", Method::kPost, "/auth/login", Authority::kPublic)}};
}

}  // namespace

TEST_CASE("a fixed segment goes before a parameter in whatever order the rows come") {
  const Table table = Goals();
  CHECK(table.Id("/goals/stats") == "goals.stats");
  CHECK(table.Id("/goals/statsx") == "goals.get");
  CHECK(table.Id("/goals/7") == "goals.get");
  CHECK(table.Id("/") == "root");
}

TEST_CASE("a parameter is tried when the fixed segment leads nowhere") {
  const Table table = Goals();
  CHECK(table.Id("/goals/stats/steps") == "goals.steps");
  CHECK(table.Id("/goals/stats", Method::kDelete) == "goals.delete");
}

TEST_CASE("parameters come decoded and under their names") {
  const Match match = Goals().Find("/goals/a%20b%2Fc/steps/%C3%A9+");
  REQUIRE(match.kind == Kind::kFound);
  CHECK(match.parameters == schema::Pairs{{"goal_id", "a b/c"}, {"step", "\xc3\xa9+"}});
}

TEST_CASE("an encoded slash never separates segments") {
  const Table table = Goals();
  CHECK(table.Find("/goals%2Fstats").kind == Kind::kNotFound);
  CHECK(table.Id("/goals/stats%2F") == "goals.get");
  CHECK(table.Id("/goals/7%2Fsteps") == "goals.get");
  CHECK(table.Id("/goals/%2e%2e") == "goals.get");
  CHECK(table.Id("/%67oals") == "goals.list");
}

TEST_CASE("empty segments lead nowhere") {
  const Table table = Goals();
  for (const char* path :
       {"//", "//goals", "/goals//", "/goals//steps", "/goals//steps/1", "/api//goals", "/goals///"}) {
    INFO(path);
    CHECK(table.Find(path).kind == Kind::kNotFound);
  }
}

TEST_CASE("a path that cannot be decoded is malformed") {
  const Table table = Goals();
  for (const char* path : {"/goals/%", "/goals/%4", "/goals/%zz", "/goals/%00", "/goals/%ff", "/%c0%80"}) {
    INFO(path);
    CHECK(table.Find(path).kind == Kind::kMalformed);
  }
}

TEST_CASE("a slash at the end is one too many") {
  const Table table = Goals();
  CHECK(table.Find("/goals/").kind == Kind::kTrailingSlash);
  CHECK(table.Find("/goals/7/").kind == Kind::kTrailingSlash);
  CHECK(table.Find("/api/goals/").kind == Kind::kTrailingSlash);
  CHECK(table.Find("/nothing/").kind == Kind::kNotFound);
}

TEST_CASE("every path also answers under /api, and /api is the root") {
  const Table table = Goals();
  CHECK(table.Id("/api/goals") == "goals.list");
  CHECK(table.Id("/api/goals/stats") == "goals.stats");
  CHECK(table.Id("/api") == "root");
  CHECK(table.Id("/api/") == "root");
  CHECK(table.Find("/apigoals").kind == Kind::kNotFound);
  CHECK(table.Find("/api/api/goals").kind == Kind::kNotFound);
}

TEST_CASE("another method is not allowed, and the right ones are named") {
  const Table table = Goals();
  const Match goals = table.Find("/goals", Method::kPut);
  CHECK(goals.kind == Kind::kMethodNotAllowed);
  CHECK(goals.allow == "GET, HEAD, POST, OPTIONS");
  CHECK(goals.authority == Authority::kUser);
  CHECK(table.Find("/goals/stats", Method::kPut).allow == "GET, HEAD, DELETE, OPTIONS");
  CHECK(table.Find("/auth/login").authority == Authority::kPublic);
  CHECK(table.Find("/nothing").authority == Authority::kUser);
}

TEST_CASE("HEAD is answered by the row of GET") {
  const Table table = Goals();
  CHECK(table.Id("/goals", Method::kHead) == "goals.list");
  CHECK(table.Find("/auth/login", Method::kHead).kind == Kind::kMethodNotAllowed);
}

TEST_CASE("rows that would answer the same requests do not start") {
  CHECK_THROWS_AS((Table{{Row("a", Method::kGet, "/x/{id}"), Row("b", Method::kGet, "/x/{name}")}}), Error);
  CHECK_THROWS_AS((Table{{Row("a", Method::kGet, "/x"), Row("b", Method::kGet, "/x")}}), Error);
  CHECK_NOTHROW((Table{{Row("a", Method::kGet, "/x/{id}"), Row("b", Method::kPost, "/x/{name}")}}));
}

TEST_CASE("two hundred rows are all found, each by its own path") {
  std::vector<std::string> texts;
  texts.reserve(400);
  std::vector<Route> rows;
  for (int i = 0; i < 50; ++i) {
    for (const char* path : {"/noun{}", "/noun{}/all", "/noun{}/{{id}}", "/noun{}/{{id}}/part{}/{{part}}"}) {
      texts.push_back(fmt::format("id{}", texts.size()));
      const std::string_view id = texts.back();
      texts.push_back(fmt::format(fmt::runtime(path), i, i));
      rows.push_back(Row(id, Method::kGet, texts.back()));
    }
  }
  const std::vector<Route> copy = rows;
  const Table table{std::move(rows)};
  for (const Route& row : copy) {
    std::string path{row.path};
    for (const std::string_view parameter : {"{id}", "{part}"}) {
      if (const std::size_t at = path.find(parameter); at != std::string::npos)
        path.replace(at, parameter.size(), "5");
    }
    INFO(path);
    CHECK(table.Id(path) == row.id);
    CHECK(table.Id("/api" + path) == row.id);
  }
}

TEST_CASE("a path of very many segments is simply unknown") {
  std::string path;
  for (int i = 0; i < 500; ++i) path += "/a";
  CHECK(Goals().Find(path).kind == Kind::kNotFound);
}

}  // namespace gathering::http
