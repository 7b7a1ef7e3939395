#include "tests/support/db_proxy.h"

#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <catch2/catch.hpp>

#include "core/base/error.h"
#include "core/db/connection.h"
#include "core/db/pool.h"
#include "core/db/session.h"
#include "tests/support/postgres.h"
#include "tests/support/raw_client.h"
#include "tests/support/temporary_directory.h"

namespace gathering::test {
namespace {

using namespace std::chrono_literals;
using db::Connection;

constexpr std::string_view kAdd = "INSERT INTO things VALUES ($1)";

void WaitUntil(const std::function<bool()>& condition) {
  const auto give_up_at = SystemClock{}.Now() + 20s;
  while (!condition()) {
    if (SystemClock{}.Now() > give_up_at) FAIL("waited in vain");
    std::this_thread::yield();
  }
}

template <class F>
Code Refused(F&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code;
  }
  FAIL("nothing was thrown");
  throw std::logic_error{"not reached"};
}

// A database seen twice: through the proxy, and as it is.
class ProxyFixture {
 public:
  ProxyFixture() { server.Script("CREATE TABLE things (name text NOT NULL)"); }

  std::string Url() const { return proxy.Url(database.url()); }
  std::int64_t Things() { return server.Execute("SELECT count(*) FROM things").As<std::int64_t>(0); }
  bool SessionOver(std::int64_t pid) {
    return server.Execute("SELECT 1 FROM pg_stat_activity WHERE pid = $1", db::ToParams(pid)).empty();
  }
  // `verdict` for the messages that `which` says, for the others kPass.
  void Let(Verdict verdict, bool (*which)(const FrontendMessage&)) {
    proxy.SetHook([=](const FrontendMessage& message) { return which(message) ? verdict : Verdict::kPass; });
  }

  FreshDatabase database{FreshDatabase::Schema::kEmpty};
  Connection server{{.url = database.url()}};
  DbProxy proxy{TestCluster::Instance().Socket()};
};

bool IsExecute(const FrontendMessage& message) {
  return message.type == 'E';
}

}  // namespace

TEST_CASE("a query passes through the proxy, whatever its size", "[db_proxy]") {
  ProxyFixture fixture;
  Connection client{{.url = fixture.Url()}};
  CHECK(client.Execute("SELECT 7").As<std::int64_t>(0) == 7);
  const std::string large(3'000'000, 'x');
  CHECK(client.Execute("SELECT $1::text", db::ToParams(large)).As<std::string>(0) == large);
  client.Script("INSERT INTO things VALUES ('a'); INSERT INTO things VALUES ('b')");
  CHECK(fixture.Things() == 2);
  CHECK(fixture.proxy.Stats().accepted == 1);
  CHECK(fixture.proxy.Stats().open == 1);
  CHECK(fixture.proxy.Stats().cuts == 0);
}

TEST_CASE("a session that ends at one side of the proxy ends at the other", "[db_proxy]") {
  ProxyFixture fixture;
  auto client = std::make_unique<Connection>(db::ConnectionOptions{.url = fixture.Url()});
  const std::int64_t pid = client->backend_pid();
  SECTION("when the client leaves") {
    client.reset();
    WaitUntil([&] { return fixture.SessionOver(pid); });
  }
  SECTION("when the server leaves") {
    fixture.server.Execute("SELECT pg_terminate_backend($1)", db::ToParams(pid));
    CHECK(Refused([&] { client->Script("SELECT 1"); }) == Code::kUnavailable);
    CHECK(client->failure() == db::Failure::kLost);
  }
  WaitUntil([&] { return fixture.proxy.Stats().open == 0; });
  CHECK(fixture.proxy.Stats().cuts == 0);
}

TEST_CASE("the hook sees each message once, in order, with its connection", "[db_proxy]") {
  ProxyFixture fixture;
  std::mutex mutex;
  std::string types;
  std::vector<std::string> queries;
  std::uint64_t last = 0;
  fixture.proxy.SetHook([&](const FrontendMessage& message) {
    const std::scoped_lock lock{mutex};
    types += message.type == '\0' ? '*' : message.type;
    if (message.type == 'Q') queries.emplace_back(SimpleQuery(message));
    last = message.connection;
    return Verdict::kPass;
  });
  {
    Connection client{{.url = fixture.Url()}};
    client.Script("COMMIT");
    client.Execute("SELECT 7");
  }
  WaitUntil([&] { return fixture.proxy.Stats().open == 0; });
  Connection another{{.url = fixture.Url()}};
  fixture.proxy.SetHook({});
  another.Script("SELECT 1");
  REQUIRE(queries.size() >= 2);
  CHECK(queries[1] == "COMMIT");
  CHECK(types.starts_with("*QQPBDESX*"));
  CHECK(last == 2);
}

TEST_CASE("a COMMIT cut after it was forwarded happens, and the client has lost its connection",
          "[db_proxy]") {
  ProxyFixture fixture;
  Connection client{{.url = fixture.Url()}};
  client.Script("BEGIN");
  client.Execute(kAdd, db::ToParams("a"));
  fixture.Let(Verdict::kCutAfter, IsCommit);
  SECTION("at once") {
    CHECK(Refused([&] { client.Script("COMMIT"); }) == Code::kUnavailable);
    WaitUntil([&] { return fixture.proxy.Stats().open == 0; });
  }
  SECTION("before the server has finished") {
    // The commit waits for the lock that its deferred trigger wants.
    fixture.server.Script(
        "CREATE FUNCTION await() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;"
        "CREATE TABLE others (name text);"
        "CREATE CONSTRAINT TRIGGER waiting AFTER INSERT ON others DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION await();"
        "SELECT pg_advisory_lock(1)");
    client.Script("INSERT INTO others VALUES ('a')");
    CHECK(Refused([&] { client.Script("COMMIT"); }) == Code::kUnavailable);
    CHECK(fixture.proxy.Stats().cuts == 1);
    CHECK(fixture.proxy.Stats().open == 1);
    CHECK(fixture.Things() == 0);
    fixture.server.Script("SELECT pg_advisory_unlock(1)");
    WaitUntil([&] { return fixture.proxy.Stats().open == 0; });
  }
  CHECK(client.failure() == db::Failure::kLost);
  CHECK(fixture.Things() == 1);
  CHECK(fixture.proxy.Stats().cuts == 1);
}

TEST_CASE("a COMMIT cut before it was forwarded does not happen", "[db_proxy]") {
  ProxyFixture fixture;
  Connection client{{.url = fixture.Url()}};
  const std::int64_t pid = client.backend_pid();
  client.Script("BEGIN");
  client.Execute(kAdd, db::ToParams("a"));
  fixture.Let(Verdict::kCutBefore, IsCommit);
  CHECK(Refused([&] { client.Script("COMMIT"); }) == Code::kUnavailable);
  CHECK(client.failure() == db::Failure::kLost);
  WaitUntil([&] { return fixture.SessionOver(pid); });
  CHECK(fixture.Things() == 0);
  CHECK(fixture.proxy.Stats().cuts == 1);
}

TEST_CASE("a statement with parameters, cut at its Sync, happens if that was forwarded", "[db_proxy]") {
  ProxyFixture fixture;
  Connection client{{.url = fixture.Url()}};
  const std::int64_t pid = client.backend_pid();
  std::int64_t happened = 0;
  SECTION("after the Sync") {
    fixture.Let(Verdict::kCutAfter, IsSync);
    happened = 1;
  }
  SECTION("before the Sync") {
    fixture.Let(Verdict::kCutBefore, IsSync);
  }
  SECTION("after the message that comes before the Sync") {
    fixture.Let(Verdict::kCutAfter, IsExecute);
  }
  CHECK(Refused([&] { client.Execute(kAdd, db::ToParams("a")); }) == Code::kUnavailable);
  WaitUntil([&] { return fixture.SessionOver(pid) && fixture.proxy.Stats().open == 0; });
  CHECK(fixture.Things() == happened);
  CHECK(fixture.proxy.Stats().cuts == 1);
}

TEST_CASE("a pool that does not hear of its commit says so, and has written once", "[db_proxy]") {
  ProxyFixture fixture;
  const SystemClock clock;
  db::Pool pool{{.url = fixture.Url()}, clock};
  fixture.Let(Verdict::kCutAfter, IsCommit);
  CHECK(Refused([&] { pool.Write([](db::Tx& tx) { tx.Run({"add", kAdd}, "a"); }); }) == Code::kInDoubt);
  WaitUntil([&] { return fixture.proxy.Stats().open == 0; });
  CHECK(fixture.Things() == 1);
  fixture.proxy.SetHook({});
  pool.Write([](db::Tx& tx) { tx.Run({"add", kAdd}, "b"); });
  CHECK(fixture.Things() == 2);
}

TEST_CASE("behind a frozen proxy a query waits, and after the thaw it goes on", "[db_proxy]") {
  ProxyFixture fixture;
  Connection client{{.url = fixture.Url()}};
  fixture.proxy.Freeze();
  auto answer =
      std::async(std::launch::async, [&] { return client.Execute(kAdd, db::ToParams("a")).affected(); });
  auto connected =
      std::async(std::launch::async, [&] { return Connection{{.url = fixture.Url()}}.backend_pid(); });
  CHECK(answer.wait_for(100ms) == std::future_status::timeout);
  CHECK(connected.wait_for(0ms) == std::future_status::timeout);
  CHECK(fixture.Things() == 0);
  CHECK(fixture.proxy.Stats().accepted == 1);
  fixture.proxy.Thaw();
  CHECK(answer.get() == 1);
  CHECK(connected.get() > 0);
  CHECK(fixture.Things() == 1);
  CHECK(fixture.proxy.Stats().accepted == 2);
}

TEST_CASE("a proxy that refuses closes new connections and keeps those there are", "[db_proxy]") {
  ProxyFixture fixture;
  Connection client{{.url = fixture.Url()}};
  fixture.proxy.Refuse(true);
  const auto connect = [&] { Connection{{.url = fixture.Url()}}; };
  CHECK(Refused(connect) == Code::kUnavailable);
  CHECK(fixture.proxy.Stats().refused >= 1);
  CHECK(fixture.proxy.Stats().accepted == 1);
  CHECK(client.Execute("SELECT 7").As<std::int64_t>(0) == 7);
  fixture.proxy.Refuse(false);
  CHECK_NOTHROW(connect());
}

TEST_CASE("a request to cancel reaches the server through the proxy", "[db_proxy]") {
  ProxyFixture fixture;
  const std::atomic<bool> cancel = true;
  db::Session session{{.url = fixture.Url(), .cancel = &cancel}};
  std::string state;
  try {
    session.Execute("SELECT pg_sleep(20)");
  } catch (const db::SqlError& error) {
    state = error.sqlstate;
  }
  CHECK(state == "57014");
  CHECK(fixture.proxy.Stats().accepted >= 2);
}

TEST_CASE("encryption is declined, and what is not the protocol is cut", "[db_proxy]") {
  ProxyFixture fixture;
  RawClient client{"127.0.0.1:" + std::to_string(fixture.proxy.port())};
  const auto answered = [&] {
    char answer = '\0';
    return ::recv(client.descriptor(), &answer, 1, 0) == 1 ? answer : '\0';
  };
  SECTION("TLS, then GSSAPI, in pieces") {
    client.Send(std::string{"\0\0\0\10\4\322", 6});
    client.Send(std::string{"\26\57", 2});
    CHECK(answered() == 'N');
    client.Send(std::string{"\0\0\0\10\4\322\26\60", 8});
    CHECK(answered() == 'N');
  }
  client.Send("GET / HTTP/1.1\r\n\r\n");
  CHECK(client.IsClosed());
  WaitUntil([&] { return fixture.proxy.Stats().open == 0; });
}

TEST_CASE("a proxy takes the place of host and port in both forms of a URL", "[db_proxy]") {
  ProxyFixture fixture;
  const std::string form =
      GENERATE("postgresql://gathering@192.0.2.1:9/",
               "postgresql://gathering@/?dbname=", "host=192.0.2.1 port=9 user=gathering dbname=");
  Connection client{{.url = fixture.proxy.Url(form + fixture.database.name())}};
  CHECK(client.Execute("SELECT current_database()").As<std::string>(0) == fixture.database.name());
  CHECK(fixture.proxy.Stats().accepted == 1);
}

TEST_CASE("proxies in a row pass on, and one without a server closes", "[db_proxy]") {
  ProxyFixture fixture;
  DbProxy second{"127.0.0.1:" + std::to_string(fixture.proxy.port())};
  Connection client{{.url = second.Url(fixture.database.url())}};
  CHECK(client.Execute("SELECT 7").As<std::int64_t>(0) == 7);
  const TemporaryDirectory nowhere;
  DbProxy third{nowhere.path() + "/.s.PGSQL.5432"};
  CHECK(Refused([&] { Connection{{.url = third.Url(fixture.database.url())}}; }) == Code::kUnavailable);
  for (const char* target : {"", "localhost", "127.0.0.1:", "127.0.0.1:70000", ":5432"}) {
    CHECK_THROWS_AS(DbProxy{target}, std::runtime_error);
  }
}

}  // namespace gathering::test
