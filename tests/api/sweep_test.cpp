// What holds for every row of the route table, asked of a running daemon.
#include <catch2/catch.hpp>

#include <map>
#include <set>

#include "daemon/api/table.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/shared.h"

namespace gathering::test {
namespace {

using http::Authority;
using http::Route;

// The routes of all tables.
std::vector<Route> AllRoutes() {
  std::vector<Route> all;
  for (const auto& table : http::RouteTables()) all.insert(all.end(), table.begin(), table.end());
  return all;
}

// The path with every {parameter} replaced by `value`.
std::string Fill(std::string_view path, std::string_view value) {
  std::string filled;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '{') {
      filled += value;
      i = path.find('}', i);
    } else {
      filled.push_back(path[i]);
    }
  }
  return filled;
}

bool HasParameter(const Route& route) {
  return route.path.find('{') != std::string_view::npos;
}

std::string UserToken(HttpClient client) {
  client.Post("/auth/register",
              {{"email", "user@example.com"}, {"password", "a-long-password"}, {"name", "User"}});
  const Answer answer =
      client.Post("/auth/login/json", {{"email", "user@example.com"}, {"password", "a-long-password"}});
  return answer.Json().at("access_token");
}

Headers Bearer(const std::string& token) {
  return {{"Authorization", "Bearer " + token}};
}

struct World {
  FreshDatabase database;
  RunningDaemon daemon{{.database_url = database.url()}};
  const std::string user = UserToken(daemon.Client());
};

}  // namespace

TEST_CASE("every route keeps its promises") {
  const World& world = Shared<World>();
  const std::string& user = world.user;
  HttpClient client = world.daemon.Client();
  REQUIRE(AllRoutes().size() > 60);

  SECTION("without a token only public routes answer") {
    for (const Route& route : AllRoutes()) {
      INFO(route.id);
      const Answer answer = client.Send(Name(route.method), Fill(route.path, "1"));
      if (route.authority == Authority::kPublic) {
        CHECK(answer.status != 401);
      } else {
        CHECK(answer.status == 401);
        CHECK(answer.Header("WWW-Authenticate") == "Bearer");
        CHECK(answer.Json().at("detail") == "Missing authentication token");
      }
    }
  }
  SECTION("a user is kept out of the administrator's routes") {
    std::size_t admin_routes = 0;
    for (const Route& route : AllRoutes()) {
      if (route.authority != Authority::kAdmin) continue;
      ++admin_routes;
      INFO(route.id);
      CHECK(client.Send(Name(route.method), Fill(route.path, "1"), Bearer(user)).status == 403);
    }
    CHECK(admin_routes > 0);
  }
  SECTION("a number that is none is a broken rule of the path") {
    for (const Route& route : AllRoutes()) {
      if (route.path.find("_id}") == std::string_view::npos) continue;
      INFO(route.id);
      const Answer answer = client.Send(Name(route.method), Fill(route.path, "abc"), Bearer(user));
      CHECK(answer.status == 422);
      CHECK(answer.Json().at("detail").at(0).at("loc").at(0) == "path");
    }
  }
  SECTION("what does not exist is not found, unless deleting it is the goal") {
    for (const Route& route : AllRoutes()) {
      if (!HasParameter(route) || route.method != http::Method::kGet) continue;
      INFO(route.id);
      CHECK(client.Send(Name(route.method), Fill(route.path, "987654321"), Bearer(user)).status == 404);
    }
  }
  SECTION("a body that is missing names every required field") {
    std::size_t bodies = 0;
    for (const Route& route : AllRoutes()) {
      if (route.endpoint.shape.body == nullptr) continue;
      ++bodies;
      INFO(route.id);
      Headers headers = Bearer(user);
      headers.emplace_back("Content-Type", "application/json");
      const Answer answer = client.Send(Name(route.method), Fill(route.path, "1"), headers, "null");
      CHECK(answer.status == 422);
      CHECK(answer.Json().at("detail").at(0).at("type") == "missing");
    }
    CHECK(bodies > 5);
  }
  SECTION("a query of 128 parameters is read and one of 129 is refused") {
    std::string query = "?x=1";
    for (int i = 2; i <= 128; ++i) {
      query += "&x=1";
      if (i >= 127) CHECK(client.Get("/health/live" + query).status == 200);
    }
    CHECK(client.Get("/health/live" + query + "&x=1").status == 400);
  }
  SECTION("every route also answers under /api") {
    for (const Route& route : AllRoutes()) {
      if (route.authority == Authority::kPublic) continue;
      INFO(route.id);
      CHECK(client.Send(Name(route.method), "/api" + Fill(route.path, "1")).status == 401);
    }
  }
  SECTION("another method is refused and the right ones are named") {
    std::map<std::string, std::set<http::Method>> methods;
    for (const Route& route : AllRoutes()) methods[std::string{route.path}].insert(route.method);
    for (const auto& [path, allowed] : methods) {
      if (allowed.contains(http::Method::kPut)) continue;
      INFO(path);
      const Answer answer = client.Send("PUT", Fill(path, "1"), Bearer(user));
      CHECK(answer.status == 405);
      for (const http::Method method : allowed) {
        CHECK(answer.Header("Allow").value_or("").find(Name(method)) != std::string::npos);
      }
    }
  }
  SECTION("every answer carries one request id, the date and the security headers") {
    for (const Route& route : AllRoutes()) {
      INFO(route.id);
      const Answer answer = client.Send(Name(route.method), Fill(route.path, "1"));
      CHECK(answer.Count("X-Request-ID") == 1);
      CHECK(answer.Count("Date") == 1);
      CHECK(answer.Header("X-Content-Type-Options") == "nosniff");
      CHECK(answer.Header("X-Frame-Options") == "DENY");
      CHECK(answer.Count("Content-Security-Policy") == 1);
    }
  }
  SECTION("HEAD answers what GET answers, without the body") {
    for (const Route& route : AllRoutes()) {
      if (route.method != http::Method::kGet || HasParameter(route)) continue;
      INFO(route.id);
      const Answer get = client.Send("GET", route.path, Bearer(user));
      const Answer head = client.Send("HEAD", route.path, Bearer(user));
      CHECK(head.status == get.status);
      CHECK(head.Header("Content-Type") == get.Header("Content-Type"));
      CHECK(head.body.empty());
    }
  }
}

}  // namespace gathering::test
