#pragma once
// Whether a PostgreSQL server will do for the daemon.  Reads only.
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/db/embedded.h"
#include "core/db/migrate.h"
#include "core/doctor/examination.h"

namespace gathering::doctor {

// Servers before 13 have no gen_random_uuid(), which the schema uses.
inline constexpr std::int64_t kServerVersionMin = 130'000;
inline constexpr std::chrono::seconds kClockDifferenceMax{1};

// As the server tells of itself, and of the connections there may be; negative: no bound.
struct Server {
  std::string version;
  std::int64_t version_number = 0;
  std::string address;
  std::string role;
  std::string database;
  bool read_only = false;
  bool fsync = true;
  bool full_page_writes = true;
  bool synchronous_commit = true;
  std::int64_t connections_max = 0;
  std::int64_t role_connections_max = -1;
  std::int64_t database_connections_max = -1;
  std::int64_t others = 0;  // connections of other programs now

  static void Fields(auto& self, auto& visit) {
    visit("version", self.version);
    visit("version_number", self.version_number);
    visit("address", self.address);
    visit("role", self.role);
    visit("database", self.database);
    visit("read_only", self.read_only);
    visit("fsync", self.fsync);
    visit("full_page_writes", self.full_page_writes);
    visit("synchronous_commit", self.synchronous_commit);
    visit("connections_max", self.connections_max);
    visit("role_connections_max", self.role_connections_max);
    visit("database_connections_max", self.database_connections_max);
    visit("others", self.others);
  }
};

// What the role may do with the tables and sequences of the migrations.
struct Rights {
  std::string schema;
  bool may_create = false;
  bool may_maintain = false;         // the days of the event log
  std::int64_t present = 0;          // tables and sequences
  std::int64_t foreign_owned = 0;    // of them, those of a role that ours does not belong to
  std::vector<std::string> lacking;  // that cannot be both read and written

  static void Fields(auto& self, auto& visit) {
    visit("schema", self.schema);
    visit("may_create", self.may_create);
    visit("may_maintain", self.may_maintain);
    visit("present", self.present);
    visit("foreign_owned", self.foreign_owned);
    visit("lacking", self.lacking);
  }
};

// Connections of one daemon, and how many daemons there are; at least the one asked about.
struct ConnectionNeed {
  std::int64_t of_daemon = 0;
  std::int64_t daemons = 1;
};

[[nodiscard]] Finding JudgeVersion(const Server& server);
[[nodiscard]] Finding JudgeRights(const Server& server, const Rights& rights);
// `upgraded_at_start`: the daemon migrates by itself, as it does its own server.
[[nodiscard]] Finding JudgeSchema(const db::SchemaCheck& check, bool upgraded_at_start);
[[nodiscard]] Finding JudgeConnections(const Server& server, const ConnectionNeed& need);
// How far the server's clock is ahead of ours, known within `uncertainty`.
[[nodiscard]] Finding JudgeClock(std::chrono::microseconds ahead, std::chrono::microseconds uncertainty);
[[nodiscard]] Finding JudgeDurability(const Server& server);

// Names of what the migrations create: of "TABLE" or "SEQUENCE".
[[nodiscard]] std::vector<std::string> Created(std::string_view kind);

struct DatabaseOptions {
  std::string url;               // empty: the embedded server
  db::EmbeddedOptions embedded;  // data_dir may not exist
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::milliseconds deadline{5'000};  // of each statement
  std::int64_t connections = 0;               // of one daemon
};

// The embedded server is never started: while it does not run, what only it could tell is skipped.
[[nodiscard]] Subject DatabaseSubject(DatabaseOptions options, const Clock& clock);

// Who holds a flock on the file, of the text of /proc/locks.
[[nodiscard]] std::optional<pid_t> LockHolder(std::string_view locks, ino_t inode);

// What there is of an embedded server, told as the first checks of DatabaseSubject: its programs, the user
// who runs it, its files.  Returns where it listens; empty: it does not run.
[[nodiscard]] std::string LookAtEmbedded(const db::EmbeddedOptions& options, const Tell& tell);

}  // namespace gathering::doctor
