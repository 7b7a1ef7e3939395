#include "core/idempotency/idempotency.h"

#include <atomic>
#include <thread>

#include <catch2/catch.hpp>

#include "core/db/pool.h"
#include "tests/support/postgres.h"

namespace gathering::idempotency {
namespace {

using namespace std::chrono_literals;

const std::string kOne(64, 'a');
const std::string kOther(64, 'b');

constexpr db::Query kAge{"test_age", "UPDATE idempotency_keys SET created_at = created_at - interval '2 h'"};
constexpr db::Query kCount{"test_count", "SELECT count(*) FROM idempotency_keys"};
constexpr db::Query kWaiting{"test_waiting", "SELECT count(*) FROM pg_locks WHERE NOT granted"};

class Fixture {
 public:
  // True when the key was claimed and an answer kept, false when one was there.
  bool Once(const Key& key, std::int32_t status = 201) {
    return pool.Write([&](db::Tx& tx) {
      if (const auto known = Claim(tx, key, 1h)) {
        CHECK(known->body == R"({"id":1})");
        return false;
      }
      Keep(tx, key, {.status = status, .content_type = "application/json", .body = R"({"id":1})"});
      return true;
    });
  }
  void Age() {
    pool.Write([](db::Tx& tx) { tx.Run(kAge); });
  }
  std::int64_t Keys() {
    return pool.Read([](db::Tx& tx) { return tx.One<std::int64_t>(kCount); });
  }

  test::FreshDatabase database;
  SystemClock clock;
  db::Pool pool{{.url = database.url(), .connections_max = 8}, clock};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a key is claimed once and then answered", "[idempotency]") {
  const Key key{.user_id = "alice", .key = "k", .fingerprint = kOne};
  CHECK(Once(key));
  CHECK_FALSE(Once(key));
  SECTION("another user's key is another one") {
    CHECK(Once({.user_id = "bob", .key = "k", .fingerprint = kOne}));
  }
  SECTION("for another request it is refused") {
    try {
      Once({.user_id = "alice", .key = "k", .fingerprint = kOther});
      FAIL("taken");
    } catch (const Error& error) {
      CHECK(error.code == Code::kConflict);
    }
  }
  SECTION("past its time it is claimed anew, for whatever request") {
    Age();
    CHECK(Once({.user_id = "alice", .key = "k", .fingerprint = kOther}));
  }
}

TEST_CASE_METHOD(Fixture, "a key whose work failed is free", "[idempotency]") {
  const Key key{.user_id = "alice", .key = "k", .fingerprint = kOne};
  CHECK_THROWS_AS(pool.Write([&](db::Tx& tx) {
    static_cast<void>(Claim(tx, key, 1h));
    throw Error{Code::kRejected, "no"};
  }),
                  Error);
  CHECK(Once(key));
}

TEST_CASE_METHOD(Fixture, "forgotten keys leave as new ones come", "[idempotency]") {
  for (int i = 0; i < 10; ++i) Once({.user_id = "alice", .key = std::to_string(i), .fingerprint = kOne});
  Age();
  for (int i = 0; i < 5; ++i) Once({.user_id = "bob", .key = std::to_string(i), .fingerprint = kOne});
  CHECK(Keys() == 5);
}

TEST_CASE_METHOD(Fixture, "who comes while the key is held waits and is given the answer", "[idempotency]") {
  const Key key{.user_id = "alice", .key = "k", .fingerprint = kOne};
  std::atomic<bool> second_done = false;
  bool second_did_it = true;
  std::jthread second;
  pool.Write([&](db::Tx& tx) {
    CHECK_FALSE(Claim(tx, key, 1h).has_value());
    second = std::jthread{[&] {
      second_did_it = Once(key);
      second_done = true;
    }};
    while (!second_done && tx.One<std::int64_t>(kWaiting) == 0) std::this_thread::yield();
    CHECK_FALSE(second_done);
    Keep(tx, key, {.status = 201, .content_type = "application/json", .body = R"({"id":1})"});
  });
  second.join();
  CHECK(second_done);
  CHECK_FALSE(second_did_it);
}

TEST_CASE_METHOD(Fixture, "who waits too long for the key is told why, and to come again", "[idempotency]") {
  const Key key{.user_id = "alice", .key = "k", .fingerprint = kOne};
  db::Pool impatient{{.url = database.url(), .lock_timeout = 50ms}, clock};
  pool.Write([&](db::Tx& tx) {
    CHECK_FALSE(Claim(tx, key, 1h).has_value());
    try {
      impatient.Write([&](db::Tx& other) { static_cast<void>(Claim(other, key, 1h)); });
      FAIL("the key was held");
    } catch (const Error& error) {
      CHECK(error.code == Code::kUnavailable);
      CHECK(error.message == "the first request with this Idempotency-Key is not done yet");
      CHECK(error.retry_after == 1s);
    }
    Keep(tx, key, {.status = 201, .content_type = "application/json", .body = "{}"});
  });
}

}  // namespace gathering::idempotency
