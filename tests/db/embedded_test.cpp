#include "core/db/embedded.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <catch2/catch.hpp>

#include "core/base/child.h"
#include "core/base/error.h"
#include "core/db/connection.h"
#include "tests/support/postgres.h"

namespace gathering::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using db::Connection;
using db::EmbeddedPostgres;
using Sharing = db::EmbeddedPostgres::Sharing;

constexpr const char* kOwnerDirectory = "GATHERING_TEST_OWNER_DIRECTORY";

db::EmbeddedOptions Durable(const std::string& directory) {
  return {.data_dir = directory, .binaries_dir = "", .run_as = "", .connections_max = 20};
}

// Quick, for what has nothing to do with crashes.
db::EmbeddedOptions In(const std::string& directory) {
  auto options = Durable(directory);
  options.durable = false;
  return options;
}

const SystemClock kClock;

std::string Refusal(const db::EmbeddedOptions& options, Code code, Sharing sharing = Sharing::kOwnerOnly) {
  try {
    EmbeddedPostgres server{options, sharing, kClock};
  } catch (const Error& error) {
    CHECK(error.code == code);
    return error.message;
  }
  FAIL("nothing was refused");
  return {};
}

std::string Ask(const std::string& url, std::string_view sql) {
  return Connection{{.url = url}}.Execute(sql).As<std::string>(0);
}

void WaitUntil(const std::function<bool()>& condition) {
  const auto give_up_at = kClock.Now() + 30s;
  while (!condition()) {
    if (kClock.Now() > give_up_at) FAIL("waited in vain");
    std::this_thread::yield();
  }
}

bool Answers(const std::string& url) {
  try {
    return Ask(url, "SELECT 'yes'") == "yes";
  } catch (const Error&) {
    return false;
  }
}

// This test binary once more, owning the server of a directory until it is killed.
class OwnerProcess {
 public:
  explicit OwnerProcess(const std::string& directory) {
    int in[2];
    int out[2];
    REQUIRE(pipe2(in, O_CLOEXEC) == 0);
    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    std::vector<std::string> environment{std::string{kOwnerDirectory} + "=" + directory};
    for (const char* name : {"PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
      if (const char* value = getenv(name)) environment.push_back(std::string{name} + "=" + value);
    }
    child_.emplace(ChildOptions{.arguments = {fs::read_symlink("/proc/self/exe").string(), "[.owner]"},
                                .environment = std::move(environment),
                                .input = in[0],
                                .output = out[1]});
    close(in[0]);
    close(out[1]);
    keep_alive_ = in[1];
    std::string said;
    char c = 0;
    while (said.find("ready\n") == std::string::npos && read(out[0], &c, 1) == 1) said += c;
    close(out[0]);
    INFO(said);
    REQUIRE(said.find("ready\n") != std::string::npos);
  }
  ~OwnerProcess() { close(keep_alive_); }

  void Kill() {
    child_->Signal(SIGKILL);
    child_->Wait(-1ms);
  }
  pid_t pid() const { return child_->pid(); }

 private:
  std::optional<Child> child_;
  int keep_alive_ = -1;
};

pid_t PostmasterPid(const std::string& directory) {
  pid_t pid = 0;
  std::ifstream{directory + "/postgres/postmaster.pid"} >> pid;
  return pid;
}

}  // namespace

TEST_CASE("a process that owns a server until it is killed", "[.owner]") {
  const char* directory = getenv(kOwnerDirectory);
  if (directory == nullptr) return;
  EmbeddedPostgres server{Durable(directory), Sharing::kOwnerOnly, kClock};
  char c = 0;
  REQUIRE(write(STDOUT_FILENO, "ready\n", 6) == 6);
  while (read(STDIN_FILENO, &c, 1) > 0) {
  }
}

TEST_CASE("a cluster is made once and keeps what is written", "[embedded]") {
  const TemporaryDirectory directory;
  {
    EmbeddedPostgres server{Durable(directory.path()), Sharing::kOwnerOnly, kClock};
    CHECK(server.owner());
    CHECK(server.created());
    CHECK(server.url().find(directory.path() + "/run") != std::string::npos);
    CHECK(Ask(server.url(), "SHOW listen_addresses").empty());
    CHECK(Ask(server.url(), "SHOW max_connections") == "20");
    CHECK(Ask(server.url(), "SHOW server_encoding") == "UTF8");
    CHECK(Ask(server.url(), "SHOW fsync") == "on");
    CHECK(Ask(server.url(), "SELECT current_database() || '/' || current_user") == "gathering/gathering");
    Connection{{.url = server.url()}}.Script("CREATE TABLE kept AS SELECT 'Grüße'::text AS words");
    const pid_t pid = static_cast<pid_t>(server.Stats().server_pid);
    CHECK(pid == PostmasterPid(directory.path()));
    server.Stop();
    server.Stop();
    CHECK(kill(pid, 0) != 0);
    CHECK(server.Stats().server_pid == 0);
  }
  EmbeddedPostgres server{Durable(directory.path()), Sharing::kOwnerOnly, kClock};
  CHECK_FALSE(server.created());
  CHECK(Ask(server.url(), "SELECT words FROM kept") == "Grüße");
}

TEST_CASE("a data directory has one owner; others join it or are refused", "[embedded]") {
  const TemporaryDirectory directory;
  EmbeddedPostgres owner{In(directory.path()), Sharing::kOwnerOnly, kClock};
  CHECK(owner.owner());
  const std::string refusal = Refusal(In(directory.path()), Code::kUnavailable);
  CHECK(refusal.find(directory.path() + " is in use by gathering pid " + std::to_string(getpid())) !=
        std::string::npos);
  {
    EmbeddedPostgres guest{In(directory.path()), Sharing::kJoin, kClock};
    CHECK_FALSE(guest.owner());
    CHECK(guest.url() == owner.url());
    CHECK(Answers(guest.url()));
  }
  CHECK(Answers(owner.url()));
  owner.Stop();
  EmbeddedPostgres heir{In(directory.path()), Sharing::kOwnerOnly, kClock};
  CHECK(heir.owner());
}

TEST_CASE("commands that come together each have the server for themselves, in turn", "[embedded]") {
  const TemporaryDirectory directory;
  std::atomic<int> owners = 0;
  std::atomic<int> answers = 0;
  std::atomic<int> here = 0;
  std::atomic<int> together = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        EmbeddedPostgres server{In(directory.path()), Sharing::kJoin, kClock};
        together += ++here > 1 ? 1 : 0;
        owners += server.owner() ? 1 : 0;
        answers += Answers(server.url()) ? 1 : 0;
        --here;
      });
    }
  }
  CHECK(owners == 4);
  CHECK(answers == 4);
  CHECK(together == 0);
}

TEST_CASE("a server that is killed is back within two seconds, with all that was committed", "[embedded]") {
  const TemporaryDirectory directory;
  EmbeddedPostgres server{Durable(directory.path()), Sharing::kOwnerOnly, kClock};
  Connection writer{{.url = server.url()}};
  writer.Script("CREATE TABLE kept (n int)");
  std::jthread busy{[url = server.url()] {
    try {
      Connection{{.url = url}}.Script("SELECT count(*) FROM generate_series(1, 10000000000)");
    } catch (const Error&) {
    }
  }};
  WaitUntil([&] {
    return Ask(server.url(),
               "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%generate%' AND pid <> "
               "pg_backend_pid()") == "1";
  });
  for (int round = 1; round <= 2; ++round) {
    Connection{{.url = server.url()}}.Script("INSERT INTO kept VALUES (1)");
    const pid_t pid = static_cast<pid_t>(server.Stats().server_pid);
    const auto start = kClock.Now();
    REQUIRE(kill(pid, SIGKILL) == 0);
    WaitUntil([&] { return server.Stats().server_pid != pid && Answers(server.url()); });
    CHECK(kClock.Now() - start < 2s);
    CHECK(server.Stats().restarts == static_cast<std::uint64_t>(round));
    CHECK(Ask(server.url(), "SELECT count(*)::text FROM kept") == std::to_string(round));
  }
}

TEST_CASE("after its owner is killed a server is recovered within two seconds", "[embedded]") {
  const TemporaryDirectory directory;
  OwnerProcess owner{directory.path()};
  std::string url;
  {
    EmbeddedPostgres guest{Durable(directory.path()), Sharing::kJoin, kClock};
    REQUIRE_FALSE(guest.owner());
    url = guest.url();
  }
  CHECK(Refusal(Durable(directory.path()), Code::kUnavailable).find(std::to_string(owner.pid())) !=
        std::string::npos);
  Connection writer{{.url = url}};
  writer.Script("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n");
  const pid_t old_server = PostmasterPid(directory.path());
  SECTION("when it died with its owner") {
    const auto start = kClock.Now();
    owner.Kill();
    EmbeddedPostgres heir{Durable(directory.path()), Sharing::kOwnerOnly, kClock};
    CHECK(Ask(heir.url(), "SELECT count(*)::text FROM kept") == "1000");
    CHECK(kClock.Now() - start < 2s);
    CHECK_FALSE(heir.created());
    CHECK(heir.Stats().server_pid != old_server);
    CHECK(heir.Stats().restarts == 0);
  }
  SECTION("when the one who joined takes over") {
    owner.Kill();
    EmbeddedPostgres heir{Durable(directory.path()), Sharing::kJoin, kClock};
    CHECK(heir.owner());
    CHECK(Ask(heir.url(), "SELECT count(*)::text FROM kept") == "1000");
  }
  SECTION("when it does not even react to the signal") {
    REQUIRE(kill(old_server, SIGSTOP) == 0);
    owner.Kill();
    EmbeddedPostgres heir{Durable(directory.path()), Sharing::kOwnerOnly, kClock};
    CHECK(Ask(heir.url(), "SELECT count(*)::text FROM kept") == "1000");
  }
}

TEST_CASE("an interrupted first start leaves nothing in the way", "[embedded]") {
  const TemporaryDirectory directory;
  fs::create_directories(directory.path() + "/postgres.new/base");
  std::ofstream{directory.path() + "/postgres.new/PG_VERSION"} << "15\n";
  EmbeddedPostgres server{In(directory.path()), Sharing::kOwnerOnly, kClock};
  CHECK(server.created());
  CHECK(Answers(server.url()));
  CHECK_FALSE(fs::exists(directory.path() + "/postgres.new"));
}

TEST_CASE("where PostgreSQL is missing the package and the key are named", "[embedded]") {
  const TemporaryDirectory directory;
  const TemporaryDirectory empty;
  auto options = In(directory.path());
  options.binaries_dir = empty.path();
  const std::string message = Refusal(options, Code::kUnavailable);
  CHECK(message.find("package postgresql,") != std::string::npos);
  CHECK(message.find("database.binaries_dir") != std::string::npos);
  CHECK(message.find(empty.path()) != std::string::npos);
  CHECK_FALSE(fs::exists(directory.path() + "/postgres"));
}

TEST_CASE("a cluster of another version is told apart", "[embedded]") {
  const TemporaryDirectory directory;
  { EmbeddedPostgres server{In(directory.path()), Sharing::kOwnerOnly, kClock}; }
  std::ofstream{directory.path() + "/postgres/PG_VERSION"} << "14\n";
  const std::string message = Refusal(In(directory.path()), Code::kRejected);
  CHECK(message.find("made by PostgreSQL 14") != std::string::npos);
  CHECK(message.find("postgresql-14") != std::string::npos);
}

TEST_CASE("a server that cannot start says where to read why", "[embedded]") {
  const TemporaryDirectory directory;
  std::ofstream{directory.path() + "/postgresql.local.conf"} << "shared_buffers = 'nonsense'\n";
  chmod((directory.path() + "/postgresql.local.conf").c_str(), 0644);
  const std::string message = Refusal(In(directory.path()), Code::kUnavailable);
  CHECK(message.find(directory.path() + "/postgres.log") != std::string::npos);
  fs::remove(directory.path() + "/postgresql.local.conf");
  EmbeddedPostgres server{In(directory.path()), Sharing::kOwnerOnly, kClock};
  CHECK(Answers(server.url()));
}

TEST_CASE("the path of a data directory may be long or strange", "[embedded]") {
  const TemporaryDirectory directory;
  chmod(directory.path().c_str(), 0755);
  const std::string name =
      GENERATE(std::string(150, 'x'), std::string{R"(it's "a" \ b, c)"}, std::string{"q'\"\\ z"});
  const std::string data_dir = directory.path() + "/" + name;
  std::string host;
  {
    EmbeddedPostgres server{In(data_dir), Sharing::kOwnerOnly, kClock};
    CHECK(Ask(server.url(), "SHOW unix_socket_permissions") == "0700");
    EmbeddedPostgres guest{In(data_dir), Sharing::kJoin, kClock};
    CHECK(guest.url() == server.url());
    host = Ask(server.url(), "SHOW unix_socket_directories");
    if (name.size() > 100) CHECK(host.find("/tmp/gathering-") != std::string::npos);
  }
  if (name.size() > 100) CHECK_FALSE(fs::exists(host.substr(1, host.size() - 2)));
}

TEST_CASE("a large server log is emptied at the start", "[embedded]") {
  const TemporaryDirectory directory;
  const std::string log = directory.path() + "/postgres.log";
  std::ofstream{log} << "old\n";
  SECTION("when it is over 16 MiB") {
    fs::resize_file(log, 16 * 1024 * 1024 + 1);
    EmbeddedPostgres server{In(directory.path()), Sharing::kOwnerOnly, kClock};
    CHECK(fs::file_size(log) < 1024 * 1024);
  }
  SECTION("but not before") {
    fs::resize_file(log, 1024 * 1024);
    EmbeddedPostgres server{In(directory.path()), Sharing::kOwnerOnly, kClock};
    CHECK(fs::file_size(log) > 1024 * 1024);
  }
}

TEST_CASE("root gives the server to an ordinary user", "[embedded]") {
  if (geteuid() != 0) {
    WARN("not root: skipped");
    return;
  }
  const TemporaryDirectory directory;
  SECTION("and keeps the rest of the data directory") {
    EmbeddedPostgres server{In(directory.path()), Sharing::kOwnerOnly, kClock};
    struct stat about {};
    REQUIRE(stat(("/proc/" + std::to_string(server.Stats().server_pid)).c_str(), &about) == 0);
    CHECK(about.st_uid != 0);
    const uid_t user = about.st_uid;
    REQUIRE(stat((directory.path() + "/postgres").c_str(), &about) == 0);
    CHECK(about.st_uid == user);
    CHECK((about.st_mode & 0777) == 0700);
    REQUIRE(stat(directory.path().c_str(), &about) == 0);
    CHECK(about.st_uid == 0);
    CHECK((about.st_mode & 0077) == 0001);
  }
  SECTION("the one who is configured") {
    auto options = In(directory.path());
    options.run_as = "nobody";
    EmbeddedPostgres server{options, Sharing::kOwnerOnly, kClock};
    struct stat about {};
    REQUIRE(stat(("/proc/" + std::to_string(server.Stats().server_pid)).c_str(), &about) == 0);
    CHECK(about.st_uid == FindAccount("nobody")->uid);
    server.Stop();
    options.run_as = "postgres";
    CHECK(Refusal(options, Code::kRejected).find("belongs to the user nobody") != std::string::npos);
    options.run_as = "";
    EmbeddedPostgres again{options, Sharing::kOwnerOnly, kClock};
    CHECK(Answers(again.url()));
  }
  SECTION("who must exist") {
    auto options = In(directory.path());
    options.run_as = "nobody-of-this-name";
    CHECK(Refusal(options, Code::kRejected).find("database.embedded_user") != std::string::npos);
    options.run_as = "root";
    CHECK(Refusal(options, Code::kRejected).find("database.embedded_user") != std::string::npos);
  }
  SECTION("who must be able to get there") {
    const std::string closed = directory.path() + "/closed";
    fs::create_directory(closed);
    chmod(directory.path().c_str(), 0755);
    chmod(closed.c_str(), 0700);
    const std::string message = Refusal(In(closed + "/data"), Code::kRejected);
    CHECK(message.find("chmod o+x " + closed) != std::string::npos);
    CHECK(message.find("--data-dir") != std::string::npos);
  }
}

TEST_CASE("the account that runs the tests may use the server, others may not", "[embedded]") {
  const TemporaryDirectory directory;
  EmbeddedPostgres server{In(directory.path()), Sharing::kOwnerOnly, kClock};
  CHECK(Ask(server.url(), "SELECT rolname FROM pg_roles WHERE rolsuper") == "gathering");
  std::string stranger = server.url();
  stranger.replace(stranger.find("user=gathering"), 14, "user=postgres");
  CHECK_THROWS_AS(Connection{{.url = stranger}}, Error);
}

}  // namespace gathering::test
