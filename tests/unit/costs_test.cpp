#include <catch2/catch.hpp>

#include <chrono>

#include "core/db/costs.h"

namespace gathering::db {
namespace {

using namespace std::chrono_literals;

TEST_CASE("statements are told apart by name, and beyond sixteen of them counted together", "[costs]") {
  std::array<Query, 20> queries;
  Costs costs;
  CHECK(costs.entries().empty());
  for (int round = 1; round <= 3; ++round) {
    for (std::size_t i = 0; i < queries.size(); ++i)
      costs.Note(queries[i], std::chrono::milliseconds{static_cast<int>(i) + round});
  }
  REQUIRE(costs.entries().size() == Costs::kNamesMax);
  for (std::size_t i = 0; i < Costs::kNamesMax; ++i) {
    const Costs::Entry& entry = costs.entries()[i];
    CHECK(entry.query == &queries[i]);
    CHECK(entry.count == 3);
    CHECK(entry.run == std::chrono::milliseconds{3 * static_cast<int>(i) + 6});
  }
  CHECK(costs.rest().count == 12);
  CHECK(costs.rest().run == 12ms * 2 + 3ms * (16 + 17 + 18 + 19));
}

TEST_CASE("waiting for the database and the database's work are added up apart", "[costs]") {
  Costs costs;
  costs.AddWait(3ms);
  costs.AddBusy(5ms);
  costs.AddWait(4ms);
  costs.AddBusy(6ms);
  CHECK(costs.wait() == 7ms);
  CHECK(costs.busy() == 11ms);
}

}  // namespace
}  // namespace gathering::db
