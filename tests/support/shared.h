#pragma once
// A world (a daemon, its database, its clients) that several cases have in common, because each of them minds
// only what it made itself.
#include <memory>

#include "tests/support/postgres.h"

namespace gathering::test {

// Where the one there is at a time is kept.
inline std::shared_ptr<void>& SharedWorld() {
  TestCluster::Instance();  // made before, so that it outlives what has a database in it
  static std::shared_ptr<void> world;
  return world;
}

// The World of the cases that ask for it: made for the first of them, and ended when cases ask for another
// kind, or with the binary.  A World in an anonymous namespace is its file's own.  Not for several threads.
template <class World>
World& Shared() {
  static std::weak_ptr<World> mine;
  if (const auto world = mine.lock()) return *world;
  SharedWorld() = nullptr;
  const auto world = std::make_shared<World>();
  mine = world;
  SharedWorld() = world;
  return *world;
}

}  // namespace gathering::test
